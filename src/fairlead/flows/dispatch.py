"""raised alerts -> notices -> channels -> what became of them. The outbox is the journal: what is to be told is derived
from it, and each step is a fact before the next is taken. A stop between sending and its fact sends again, under the
same id; a stop anywhere else repeats nothing, and none loses a notice."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.facts_act import NoticeTried
from fairlead.core.held import Quiet, never_quiet
from fairlead.core.listing import counted
from fairlead.core.notice import Notice
from fairlead.core.noticing import due, notices
from fairlead.core.outbox import KINDS, Outbox, Posting
from fairlead.core.paging import Outlet, PagingPlan
from fairlead.errors import FairleadError
from fairlead.flows.telling import Telling
from fairlead.ports import Acknowledger, ChangeTaker, Clock, Journal, Notifier, Reminded, Resolver

_LOG = logging.getLogger("fairlead.dispatch")
ACTOR = "dispatch"
Run = Callable[[Callable[[], None]], object]


def at_once(work: Callable[[], None]) -> None:
    """Sends in the caller's thread."""
    work()


def outlet_of(
    notifier: Notifier,
    severities: Sequence[str],
    *,
    every: float = 0.0,
    changes: bool = False,
    daily: Sequence[str] = (),
) -> Outlet:
    """A channel as the outbox sees it."""
    return Outlet(
        notifier.name,
        tuple(severities),
        ends=isinstance(notifier, Resolver),
        acknowledges=isinstance(notifier, Acknowledger),
        changes=changes and isinstance(notifier, ChangeTaker),
        every=every,
        daily=tuple(daily),
    )


class _Sent(Struct, frozen=True):
    """What became of some notices that were given to a channel together."""

    channel: str
    postings: tuple[Posting, ...]
    failure: str = ""


class Dispatch:
    """Tells people what the journal says. `run` starts a channel's work: each has at most one piece of it under way, so
    that one which hangs keeps no other waiting."""

    def __init__(
        self,
        journal: Journal,
        notifiers: Sequence[Notifier],
        plan: PagingPlan,
        clock: Clock,
        quiet: Quiet = never_quiet,
        run: Run = at_once,
    ) -> None:
        self._journal = journal
        self._notifiers: Mapping[str, Notifier] = {one.name: one for one in notifiers}
        self._clock = clock
        self._quiet = quiet
        self._run = run
        self._telling = Telling(_LOG)
        self._busy: set[str] = set()
        self._sent: deque[_Sent] = deque()  # filled by the channels' threads
        self._rests: dict[str, float] = {}  # until when a channel that failed is left alone
        self._reminded: dict[tuple[str, str], float] = {}
        self.box = Outbox(plan)

    def tick(self) -> None:
        """One round: what was sent is journalled, what is due is made and handed to the channels."""
        self._journal_sent()
        self._follow()
        now = self._clock.now()
        facts = notices(self.box, now, self._quiet)
        if facts:
            self._journal.append(facts, actor=ACTOR, at=now)
            self._follow()
        for channel, postings in due(self.box, now).items():
            self._give(channel, postings, now)
        self._remind(now)
        self._journal_sent()

    def _follow(self) -> None:
        self.box.take(self._journal.read(self.box.read, kinds=KINDS))

    def _give(self, channel: str, postings: Sequence[Posting], now: float) -> None:
        if channel in self._busy or now < self._rests.get(channel, 0.0):
            return
        outlet, notifier = self.box.plan.outlet(channel), self._notifiers.get(channel)
        if outlet is None or notifier is None:
            return
        collected = [one for one in postings if outlet.collects(one.body.severity)]
        together: list[tuple[Posting, ...]] = [(one,) for one in postings if one not in collected]
        together += [tuple(collected)] if collected else []
        self._busy.add(channel)
        self._run(partial(self._work, notifier, together))

    def _work(self, notifier: Notifier, together: Sequence[tuple[Posting, ...]]) -> None:
        """In the channel's own thread: until the first failure."""
        try:
            for postings in together:
                failure = _sent(notifier, postings)
                self._sent.append(_Sent(notifier.name, postings, failure))
                if failure:
                    return
        finally:
            self._sent.append(_Sent(notifier.name, ()))

    def _journal_sent(self) -> None:
        """Writes down what became of what was sent. What cannot be written is sent again."""
        facts: list[NoticeTried] = []
        now = self._clock.now()
        while self._sent:
            sent = self._sent.popleft()
            if not sent.postings:
                self._busy.discard(sent.channel)
                continue
            facts += [self._tried(one, sent, now) for one in sent.postings]
        if facts:
            self._journal.append(facts, actor=ACTOR, at=now)
            self._follow()

    def _tried(self, posting: Posting, sent: _Sent, now: float) -> NoticeTried:
        attempt, plan = posting.attempts + 1, self.box.plan
        model, channel = posting.body.model, sent.channel
        if not sent.failure:
            self._rests.pop(channel, None)
            self._telling.right(f"channel {channel}")
            return NoticeTried(model, posting.notice, channel, delivered=True, attempt=attempt)
        self._telling.wrong(f"channel {channel}", sent.failure)
        again: float | None = now + plan.pause(attempt)
        self._rests[channel] = now + plan.pause(attempt)
        if now - posting.made_at >= plan.give_up:
            _LOG.error("notice %s was given up after %d attempts: %s", posting.notice, attempt, sent.failure)
            again = None
        return NoticeTried(model, posting.notice, channel, False, attempt, sent.failure, again)

    def _remind(self, now: float) -> None:
        """Tells channels that forget what stands of it again, before they do. Nothing of that is a fact."""
        for name, notifier in self._notifiers.items():
            if isinstance(notifier, Reminded) and name not in self._busy and now >= self._rests.get(name, 0.0):
                self._again(name, notifier, notifier.remind_seconds, now)

    def _again(self, name: str, notifier: Notifier, every: float, now: float) -> None:
        for thread in self.box.threads.values():
            known = name in self.box.delivered.get(thread.id, ())
            if known and now - self._reminded.get((thread.id, name), thread.last_at) >= every:
                self._reminded[thread.id, name] = now
                self._run(partial(_reminder, notifier, _named(thread.body, thread.id)))


def _reminder(notifier: Notifier, notice: Notice) -> None:
    try:
        notifier.send(notice)
    except FairleadError as error:
        _LOG.warning("a reminder was not delivered: %s", error.line)


def _sent(notifier: Notifier, postings: Sequence[Posting]) -> str:
    """Gives a channel one notice, or a digest of several; what went wrong, if anything did."""
    first = postings[0]
    notice = _named(first.body, first.thread) if len(postings) == 1 else digest(postings)
    try:
        _act(notifier, first.what if len(postings) == 1 else "raised", notice)
    except FairleadError as error:
        return error.line
    except Exception as error:  # noqa: BLE001 - whatever one channel does, the others are served
        _LOG.exception("channel %s failed", notifier.name)
        return f"channel {notifier.name}: {type(error).__name__}"
    return ""


def _act(notifier: Notifier, what: str, notice: Notice) -> None:
    if what == "over" and isinstance(notifier, Resolver):
        notifier.resolve(notice)
    elif what == "acknowledged" and isinstance(notifier, Acknowledger):
        notifier.acknowledge(notice)
    elif what == "change" and isinstance(notifier, ChangeTaker):
        notifier.change(notice)
    elif what == "raised":
        notifier.send(notice)


def _named(notice: Notice, thread: str) -> Notice:
    return notice if notice.thread else replace(notice, thread=thread)


def digest(postings: Sequence[Posting]) -> Notice:
    """One notice of several that a channel collects."""
    words = {"over": "over: ", "acknowledged": "acknowledged: "}
    bodies = [one.body for one in postings]
    return Notice(
        model="",
        alert="digest",
        severity=bodies[0].severity,
        title=f"Digest of {counted(len(postings), 'notice')}",
        reason="; ".join(f"{words.get(one.what, '')}{one.body.title}" for one in postings[:5]),
        owner=", ".join(dict.fromkeys(one.owner for one in bodies if one.owner)),
        runbook=", ".join(dict.fromkeys(one.runbook for one in bodies if one.runbook)),
        at=min(one.at for one in bodies),
        details=tuple((f"{words.get(one.what, '')}{one.body.title}", one.body.reason) for one in postings),
        count=sum(one.count for one in bodies),
        notice=postings[0].notice,
    )
