"""What people have still to be told, as a fold over the journal: alerts that no notice tells of yet, notices that some
channel has not taken yet, pages that nobody acknowledged. All of it is derived, so a restart loses nothing.

A *thread* is one trouble of one group: the notice that opened it, later ones on the same, and that it is over. Its id
is the first notice's, and what channels tell pages apart by.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from msgspec import Struct, json
from msgspec.structs import replace

from fairlead.core.alarm import LOG_REFUSED
from fairlead.core.event import AlertQuieted, AlertRaised, Entry
from fairlead.core.facts_act import (
    AlertAcknowledged,
    NoticeEscalated,
    NoticeMade,
    NoticeTried,
    SilenceEnded,
    SilenceSet,
)
from fairlead.core.notice import Notice
from fairlead.core.pages_made import Made, models_of
from fairlead.core.paging import PagingPlan

KINDS = (
    "alert_raised",
    "alert_quieted",
    "alert_acknowledged",
    "silence_set",
    "silence_ended",
    "notice_made",
    "notice_tried",
    "notice_escalated",
    "rollout_started",
    "alias_moved",
)
RANK = {"low": 0, "medium": 1, "high": 2, "critical": 3}
PAGING = ("critical", "high")
Key = tuple[str, str]  # model, alert


class Acknowledged(Struct, frozen=True):
    """Who works on an alert, since when, and until when at most."""

    actor: str
    at: float
    note: str = ""
    until: float | None = None

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.actor} works on it" + (f": {self.note}" if self.note else "")


class Known(Struct, frozen=True):
    """A standing alert. `severity` is the one that it is told with, and `told` whether a notice tells of it."""

    model: str
    alert: str
    severity: str
    seq: int  # its place in the journal
    at: float  # on the journal's clock
    fact: AlertRaised
    told: bool = False
    thread: str = ""  # that it was told of in
    acknowledged: Acknowledged | None = None

    @property
    def key(self) -> Key:
        """Which alert it is."""
        return self.model, self.alert


class Thread(Struct, frozen=True):
    """One trouble that people were told of."""

    id: str
    group: str
    severity: str
    opened_at: float
    paged_at: float  # when it last paged, or was opened
    last_at: float
    body: Notice  # the last notice on it
    channels: tuple[str, ...]
    steps: int = 0  # of the escalation that were taken
    acknowledged: bool = False  # channels were told that somebody works on it


class Posting(Struct, frozen=True):
    """A notice that a channel has not taken yet. `what`: raised, over, acknowledged or change."""

    notice: str
    thread: str
    channel: str
    what: str
    seq: int
    made_at: float
    body: Notice
    attempts: int = 0
    next_at: float = 0.0
    reason: str = ""
    dead: bool = False  # others were told in this channel's place


class Change(Struct, frozen=True):
    """A rollout or a promotion that channels are told of."""

    seq: int
    at: float
    model: str
    title: str


class Silence(Struct, frozen=True):
    """A silence as it stands."""

    id: str
    model: str
    alerts: tuple[str, ...]
    starts_at: float
    ends_at: float
    reason: str
    actor: str


class Outbox:
    """The fold. `read` is the place of the last entry that it has seen."""

    def __init__(self, plan: PagingPlan) -> None:
        self.plan = plan
        self.read = 0
        self.alerts: dict[Key, Known] = {}
        self.threads: dict[str, Thread] = {}
        self.current: dict[str, str] = {}  # by group: the thread that its new alerts may join
        self.postings: dict[tuple[str, str], Posting] = {}
        self.silences: dict[str, Silence] = {}
        self.changes: dict[int, Change] = {}  # that no notice tells of, by place
        self.made: list[Made] = []  # notices of new trouble
        self.delivered: dict[str, frozenset[str]] = {}  # by thread: the channels that took something of it
        self._untold: set[Key] = set()
        self._standing: dict[str, set[Key]] = {}  # by thread
        self._thread_of: dict[str, str] = {}  # by notice, while its thread or a posting of it stands

    def take(self, entries: Iterable[Entry]) -> None:
        """Folds in entries of `KINDS`, oldest first."""
        for entry in entries:
            self.read = entry.seq
            self._take(entry)

    def group_of(self, known: Known) -> str:
        """What is told together with an alert."""
        parts = {"model": known.model, "alert": known.alert.partition(":")[0], "severity": known.severity}
        parts["owner"] = known.fact.owner
        return ",".join(f"{name}={parts[name]}" for name in self.plan.group_by) or "all"

    def untold(self) -> Iterator[Known]:
        """Standing alerts that no notice tells of, oldest first."""
        yield from sorted((self.alerts[key] for key in self._untold), key=lambda one: one.seq)

    def standing_in(self, thread: Thread) -> list[Known]:
        """The alerts of a thread that stand."""
        return [self.alerts[key] for key in self._standing.get(thread.id, ())]

    def is_over(self, thread: Thread) -> bool:
        """Whether no alert of a thread stands."""
        return not self._standing.get(thread.id)

    # -- entries -----------------------------------------------------------------------------------------------------

    def _take(self, entry: Entry) -> None:
        match entry.fact:
            case AlertRaised() as fact:
                self._raised(entry, fact)
            case AlertQuieted(recovered=True) as fact:
                self._over((fact.model, fact.alert))
            case NoticeMade() as fact:
                self._made(entry, fact)
            case NoticeTried() as fact:
                self._tried(fact)
            case NoticeEscalated() as fact:
                self._escalated(entry, fact)
            case _:
                self._by_hand(entry)

    def _by_hand(self, entry: Entry) -> None:
        match entry.fact:
            case AlertAcknowledged() as fact:
                known = self.alerts.get((fact.model, fact.alert))
                if known is not None:
                    seen = Acknowledged(entry.actor, entry.at, fact.note, fact.until)
                    self.alerts[known.key] = replace(known, acknowledged=seen)
            case SilenceSet() as fact:
                self.silences[fact.silence] = Silence(
                    fact.silence, fact.model, fact.alerts, fact.starts_at, fact.ends_at, fact.reason, entry.actor
                )
            case SilenceEnded(silence=silence):
                self.silences.pop(silence, None)
            case _:
                self._changed(entry)

    def _raised(self, entry: Entry, fact: AlertRaised) -> None:
        key = fact.model, fact.alert
        before = self.alerts.get(key)
        severity = "medium" if fact.severity == "high" and not fact.paged else fact.severity
        seen = None if before is None or RANK[severity] > RANK[before.severity] else before.acknowledged
        thread = "" if before is None else before.thread
        self.alerts[key] = Known(*key, severity, entry.seq, entry.at, fact, fact.benign, thread, seen)
        # Of the log people were told at once: its trouble may be that nothing can be written.
        quiet = fact.benign or key == ("", LOG_REFUSED)
        (self._untold.discard if quiet else self._untold.add)(key)

    def _over(self, key: Key) -> None:
        known = self.alerts.pop(key, None)
        self._untold.discard(key)
        if known is not None:
            self._standing.get(known.thread, set()).discard(key)

    def _changed(self, entry: Entry) -> None:
        fact = entry.fact
        if fact.__struct_config__.tag == "rollout_started":
            title = f"A rollout of {fact.model} version {getattr(fact, 'version', '?')} began"
        elif getattr(fact, "alias", "") == "champion" and getattr(fact, "version", None) is not None:
            title = f"{fact.model} version {getattr(fact, 'version', '?')} is champion"
        else:
            return
        if any(outlet.changes for outlet in self.plan.outlets):
            self.changes[entry.seq] = Change(entry.seq, entry.at, fact.model, title)

    def _made(self, entry: Entry, fact: NoticeMade) -> None:
        body = json.decode(fact.body, type=Notice)
        what = "over" if fact.over else "acknowledged" if fact.acknowledged else "raised"
        if fact.group == "change":
            what = "change"
            self.changes.pop(fact.places[0][0], None)
        identity = fact.thread or fact.notice
        if what == "raised":
            self._told(entry, fact, identity, body)
        elif what == "over":
            self.threads.pop(identity, None)
            self._standing.pop(identity, None)
        elif what == "acknowledged" and identity in self.threads:
            self.threads[identity] = replace(self.threads[identity], acknowledged=True)
        self._post(fact.notice, identity, fact.channels, Posting("", identity, "", what, entry.seq, entry.at, body))
        self._forget(identity)

    def _told(self, entry: Entry, fact: NoticeMade, identity: str, body: Notice) -> None:
        keys = self._standing.setdefault(identity, set())
        for one in [one for one in self.untold() if _within(one.seq, fact.places)]:
            self._untold.discard(one.key)
            self._standing.get(one.thread, set()).discard(one.key)
            keys.add(one.key)
            self.alerts[one.key] = replace(one, told=True, thread=identity)
            self.current[self.group_of(one)] = identity
        self.current[fact.group] = identity
        before = self.threads.get(identity)
        if before is None:
            self._count(Made(entry.at, fact.pages, models_of(fact)))
            first = (identity, fact.group, fact.severity, entry.at, entry.at, entry.at, body, fact.channels)
            self.threads[identity] = Thread(*first)
            return
        self.threads[identity] = replace(
            before,
            severity=max(before.severity, fact.severity, key=RANK.__getitem__),
            paged_at=entry.at if fact.pages else before.paged_at,
            last_at=entry.at,
            body=body,
            channels=tuple(dict.fromkeys((*before.channels, *fact.channels))),
            steps=0 if fact.pages else before.steps,
            acknowledged=False,
        )
        if fact.pages:
            self._count(Made(entry.at, True, models_of(fact)))

    def _count(self, made: Made) -> None:
        since = made.at - max(self.plan.pages_seconds, self.plan.throttle_seconds)
        self.made = [*(one for one in self.made if one.at > since), made]

    def _tried(self, fact: NoticeTried) -> None:
        posting = self.postings.get((fact.notice, fact.channel))
        if posting is None:
            return
        if fact.delivered:
            known = self.delivered.get(posting.thread, frozenset())
            self.delivered[posting.thread] = known | {fact.channel}
        if fact.next_at is None:
            del self.postings[fact.notice, fact.channel]
            self._forget(posting.thread)
            return
        tried = replace(posting, attempts=fact.attempt, next_at=fact.next_at, reason=fact.reason)
        self.postings[fact.notice, fact.channel] = tried

    def _escalated(self, entry: Entry, fact: NoticeEscalated) -> None:
        identity = self._thread_of.get(fact.notice, fact.notice)
        thread = self.threads.get(identity)
        if fact.dead:
            posting = self.postings.get((fact.notice, fact.dead))
            if posting is not None:
                self.postings[fact.notice, fact.dead] = replace(posting, dead=True)
        if thread is not None:
            told = tuple(dict.fromkeys((*thread.channels, *fact.channels)))
            self.threads[identity] = replace(thread, channels=told, steps=thread.steps + (not fact.dead))
        body = json.decode(fact.body, type=Notice)
        first = Posting("", identity, "", "raised", entry.seq, entry.at, body)
        self._post(fact.notice, identity, fact.channels, first)

    def _post(self, notice: str, identity: str, channels: Iterable[str], first: Posting) -> None:
        for channel in channels:
            outlet = self.plan.outlet(channel)
            if outlet is None:  # it was taken out of the settings since
                continue
            every = outlet.collects(first.body.severity)
            due = first.made_at if not every else (first.made_at // every + 1) * every
            self.postings[notice, channel] = replace(first, notice=notice, channel=channel, next_at=due)
            self._thread_of[notice] = identity

    def _forget(self, identity: str) -> None:
        """Drops what is kept of a thread that is over, once nothing of it waits for a channel."""
        if identity in self.threads or any(one.thread == identity for one in self.postings.values()):
            return
        self.delivered.pop(identity, None)
        self.current = {group: one for group, one in self.current.items() if one != identity}
        self._thread_of = {notice: one for notice, one in self._thread_of.items() if one != identity}


def _within(seq: int, places: tuple[tuple[int, int], ...]) -> bool:
    """Whether a place lies in one of the runs, which are in order."""
    found = bisect_right(places, seq, key=lambda run: run[0])
    return found > 0 and seq <= places[found - 1][1]
