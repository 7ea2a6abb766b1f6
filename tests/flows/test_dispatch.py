"""Few notices, and none lost: what is grouped, tried again, passed on, held back; and stops at every step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.event import AlertQuieted, AlertRaised, AliasMoved, AnyFact, canonical
from fairlead.core.facts_act import (
    AlertAcknowledged,
    NoticeEscalated,
    NoticeMade,
    NoticeTried,
    SilenceEnded,
    SilenceSet,
)
from fairlead.core.noticing import due, held, lined_up
from fairlead.core.outbox import Outbox, Posting
from fairlead.core.paging import Escalation, Inhibition, Outlet, PagingPlan
from fairlead.errors import StateError
from fairlead.flows.dispatch import Dispatch, outlet_of
from fairlead.ports import Notice, Notifier
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier

ALL = ("critical", "high", "medium", "low")
START = 1_700_000_000.0


class Pager(MemoryNotifier):
    """A channel that keeps things open, and is told of changes."""

    def __init__(self, name: str = "pager") -> None:
        super().__init__(name)
        self.over: list[Notice] = []
        self.seen: list[Notice] = []
        self.changes: list[Notice] = []

    def resolve(self, notice: Notice) -> None:
        """Closes it."""
        self.over.append(notice)

    def acknowledge(self, notice: Notice) -> None:
        """Somebody works on it."""
        self.seen.append(notice)

    def change(self, notice: Notice) -> None:
        """Something was changed."""
        self.changes.append(notice)


class Desk:
    """A journal, two channels, and what tells them of it, each second."""

    def __init__(self, *notifiers: MemoryNotifier, quiet: Callable[[float, str], float | None] | None = None,
                 **plan: object) -> None:  # fmt: skip
        self.journal, self.clock = MemoryJournal(), ManualClock(at=START)
        self.pager, self.mail = Pager(), MemoryNotifier("mail")
        self.channels: list[Notifier] = [self.pager, self.mail, *notifiers]
        takes = {"pager": ("critical", "high"), "mail": ALL}
        outlets = tuple(outlet_of(one, takes.get(one.name, ()), changes=True) for one in self.channels)
        self.plan = PagingPlan(**{"outlets": outlets} | plan)  # type: ignore[arg-type]
        self.quiet = quiet or (lambda _at, _severity: None)
        self.restart()

    def restart(self) -> None:
        """All that was in memory is gone."""
        self.dispatch = Dispatch(self.journal, self.channels, self.plan, self.clock, self.quiet)

    def add(self, *facts: AnyFact, actor: str = "respond") -> None:
        """Something happened."""
        self.journal.append(facts, actor=actor, at=self.clock.now())

    def passes(self, seconds: int, step: int = 1) -> None:
        """Time passes, and the rounds with it."""
        for _ in range(0, seconds, step):
            self.clock.advance(step)
            self.dispatch.tick()

    def facts(self, kind: type) -> list[object]:
        """Those of a kind."""
        return [entry.fact for entry in self.journal.read() if isinstance(entry.fact, kind)]

    @property
    def pages(self) -> int:
        """How often a person was called."""
        return sum(fact.pages for fact in self.facts(NoticeMade))  # type: ignore[attr-defined]


def raised(alert: str = "errors", model: str = "shop", severity: str = "high", **named: object) -> AlertRaised:
    """A breach."""
    return AlertRaised(model, alert, severity, f"{alert} of {model}", "it fails", "ana", "x.md", START, **named)  # type: ignore[arg-type]


def over(alert: str = "errors", model: str = "shop") -> AlertQuieted:
    """Its end."""
    return AlertQuieted(model, alert, "it holds", START, recovered=True)


@pytest.mark.parametrize("models", [1, 1_000])
def test_ten_thousand_breaches_in_a_minute_are_one_page(models: int) -> None:
    """Of one model or a thousand, spread over the minute: one page, and later what else it was, under the same id."""
    desk = Desk()
    for second in range(60):
        which = range(second * 10_000 // 60, (second + 1) * 10_000 // 60)
        desk.add(*(raised(f"alert-{number}", f"m{number % models}") for number in which))
        desk.passes(1)
    assert len(desk.pager.sent) == 1
    desk.passes(400, 20)
    assert desk.pages == 1
    assert [notice.thread for notice in desk.pager.sent] == [desk.pager.sent[0].thread] * 2
    assert sum(notice.count for notice in desk.pager.sent) == 10_000
    desk.passes(4_000, 100)
    assert len(desk.pager.sent) == 2, "what was told is not told again"


def test_a_group_waits_and_is_told_together() -> None:
    """Nothing before its wait; then all of it, the gravest first; a critical one waits five seconds."""
    desk = Desk()
    desk.add(raised("a", severity="low"), raised("b"))
    desk.passes(29)
    assert desk.mail.sent == []
    desk.passes(1)
    (notice,) = desk.mail.sent
    assert (notice.alert, notice.count, notice.severity, notice.title) == (
        "b",
        2,
        "high",
        "b of shop, and 1 other alert",
    )
    assert ("a of shop", "it fails") in notice.details
    assert len(desk.pager.sent) == 1
    desk.add(raised("c", "other", "critical"))
    desk.passes(5)
    assert [one.model for one in desk.pager.sent] == ["shop", "other"]


def test_what_rises_pages_again_and_what_joins_does_not() -> None:
    """Under the id of the same trouble; after an hour new alerts are a page of their own."""
    desk = Desk()
    desk.add(raised("a"))
    desk.passes(31)
    desk.add(raised("b"))
    desk.passes(299)
    assert (len(desk.pager.sent), desk.pages) == (2, 1)
    desk.add(raised("a", severity="critical"))
    desk.passes(6)
    assert (len(desk.pager.sent), desk.pages) == (3, 2)
    assert len({one.thread for one in desk.pager.sent}) == 1
    desk.passes(3_600, 10)
    desk.add(raised("d"))
    desk.passes(31)
    assert desk.pages == 3
    assert len({one.thread for one in desk.pager.sent}) == 2


def test_what_is_over_before_anybody_was_told_is_told_to_nobody() -> None:
    """And what was told is ended once, when nothing of it stands, on channels that keep it open."""
    desk = Desk()
    desk.add(raised("a"))
    desk.passes(5)
    desk.add(over("a"))
    desk.passes(60)
    assert desk.mail.sent == []
    desk.add(raised("a"), raised("b"))
    desk.passes(31)
    desk.add(over("a"))
    desk.passes(5)
    assert desk.pager.over == []
    desk.add(over("b"))
    desk.passes(60)
    assert [one.thread for one in desk.pager.over] == [desk.pager.sent[0].thread]


def test_a_dead_channel_is_tried_again_passed_on_and_told_once_it_is_back() -> None:
    """Ever more rarely; after five minutes others are told, who would not be; nothing is lost."""
    other = MemoryNotifier("phone")
    desk = Desk(other)
    desk.pager.broken = True
    desk.add(raised())
    desk.passes(31)
    assert (len(desk.mail.sent), other.sent) == (1, [])
    desk.passes(800)
    tries = [fact for fact in desk.facts(NoticeTried) if fact.channel == "pager"]  # type: ignore[attr-defined]
    assert [fact.attempt for fact in tries] == list(range(1, len(tries) + 1))  # type: ignore[attr-defined]
    assert len(tries) == 6, "at 0, 1, 6, 36, 156 and 756 s"
    (notice,) = other.sent
    assert "channel pager takes nothing" in notice.reason
    assert len(desk.mail.sent) == 1, "who was told already is not told again"
    desk.pager.broken = False
    desk.passes(700)
    assert len(desk.pager.sent) == 1
    desk.passes(2_000, 5)
    assert (len(desk.pager.sent), len(other.sent)) == (1, 1)


def test_a_channel_that_never_comes_back_is_given_up_after_a_day() -> None:
    """With a last fact that says so."""
    desk = Desk()
    desk.pager.broken = True
    desk.add(raised())
    desk.passes(100_000, 50)
    last = [fact for fact in desk.facts(NoticeTried) if fact.channel == "pager"][-1]  # type: ignore[attr-defined]
    assert (last.delivered, last.next_at) == (False, None)  # type: ignore[attr-defined]


def test_what_was_never_delivered_is_told_with_its_end() -> None:
    """A channel that was away hears that it began, then that it is over."""
    desk = Desk()
    desk.pager.broken = True
    desk.add(raised())
    desk.passes(31)
    desk.add(over())
    desk.passes(10)
    assert desk.pager.over == [], "not before that it began"
    desk.pager.broken = False
    desk.passes(60)
    assert (len(desk.pager.sent), len(desk.pager.over)) == (1, 1)


def test_a_page_that_nobody_acknowledges_goes_up_the_steps() -> None:
    """Each in its time; an acknowledgement stops it, for as long as it says."""
    boss, board = MemoryNotifier("boss"), MemoryNotifier("board")
    steps = (Escalation(600.0, ("boss",)), Escalation(1_800.0, ("board",)))
    desk = Desk(boss, board, escalation=steps)
    desk.add(raised())
    desk.passes(640)
    assert (len(boss.sent), len(board.sent)) == (1, 0)
    assert "nobody acknowledged it in 10 minutes" in boss.sent[0].reason
    desk.add(AlertAcknowledged("shop", "errors", "on it", until=desk.clock.now() + 3_600.0), actor="ana")
    desk.passes(3_000, 5)
    assert board.sent == []
    assert [one.reason for one in desk.pager.seen] == ["ana works on it: on it"]
    desk.passes(900, 5)
    assert len(board.sent) == 1


def test_what_somebody_works_on_is_not_repeated_unless_it_rises() -> None:
    """A repeat is held back, and says why; a rise is told."""
    desk = Desk()
    desk.add(raised())
    desk.passes(31)
    desk.add(AlertAcknowledged("shop", "errors"), actor="ana")
    desk.add(raised())
    desk.passes(600, 5)
    assert len(desk.pager.sent) == 1
    assert held(desk.dispatch.box, desk.clock.now()) == {("shop", "errors"): "ana works on it"}
    desk.add(raised(severity="critical"))
    desk.passes(10)
    assert len(desk.pager.sent) == 2


def test_a_silence_holds_back_what_it_names() -> None:
    """Until it ends, by time or by hand; what still stands then is told, and what is over is not."""
    desk = Desk()
    desk.add(SilenceSet("", "s1", ("err*",), START, START + 3_600.0, "moving house"), actor="ana")
    desk.add(SilenceSet("shop", "s2", (), START, START + 10_000.0, "moving again"), actor="ana")
    desk.add(raised("errors", "other"), raised("latency", "other"), raised("latency"))
    desk.passes(600, 5)
    assert [one.alert for one in desk.pager.sent] == ["latency"]
    why = held(desk.dispatch.box, desk.clock.now())
    assert why["other", "errors"] == "silenced until 2023-11-14 23:13Z by ana: moving house"
    desk.passes(3_100, 5)
    assert [(one.model, one.alert) for one in desk.pager.sent] == [("other", "latency"), ("other", "errors")]
    desk.add(SilenceEnded("shop", "s2"))
    desk.passes(5)
    assert [one.model for one in desk.pager.sent] == ["other", "other", "shop"]


def test_a_graver_alert_mutes_what_follows_from_it() -> None:
    """Of the same model, while it stands."""
    desk = Desk(inhibit=(Inhibition("harmful-drift", "degraded*"),))
    desk.add(raised("harmful-drift"), raised("degraded-performance"), raised("degraded-performance", "other"))
    desk.passes(31)
    assert [(one.model, one.count) for one in desk.pager.sent] == [("shop", 1), ("other", 1)]
    desk.add(over("harmful-drift"))
    desk.passes(31)
    assert [(one.model, one.alert) for one in desk.pager.sent[2:]] == [("shop", "degraded-performance")]


def test_quiet_hours_wait_for_the_morning() -> None:
    """What takes part in them; what is graver does not wait."""

    def quiet(at: float, severity: str) -> float | None:
        return START + 7_200.0 if severity in ("low", "medium") and at < START + 7_200.0 else None

    desk = Desk(quiet=quiet)
    desk.add(raised("slow", severity="low"), raised("errors"))
    desk.passes(60)
    assert [one.alert for one in desk.mail.sent] == ["errors"]
    desk.passes(7_200, 10)
    assert [one.alert for one in desk.mail.sent] == ["errors", "slow"]


def test_a_digest_tells_of_a_day_at_its_end() -> None:
    """Of all notices together, in one; after midnight UTC."""
    digest = MemoryNotifier("digest")
    desk = Desk(digest, outlets=(Outlet("digest", ALL, every=86_400.0),))
    for alert in ("a", "b", "c"):
        desk.add(raised(alert, f"model-{alert}", "low"))
        desk.passes(60)
    assert digest.sent == []
    desk.passes(86_400, 60)
    (notice,) = digest.sent
    assert (notice.title, notice.count) == ("Digest of 3 notices", 3)
    assert [title for title, _ in notice.details] == ["a of model-a", "b of model-b", "c of model-c"]
    assert len(desk.facts(NoticeTried)) == 3


def test_a_throttle_lets_so_many_through_and_then_one_of_all() -> None:
    """Within the hour; what is critical is never held back, and what waited is told afterwards."""
    desk = Desk(throttle=2)
    for number in range(9):
        desk.add(raised("a", f"m{number}"))
        desk.passes(31)
    assert [one.model for one in desk.pager.sent] == ["m0", "m1"]
    desk.add(raised("a", "grave", "critical"))
    desk.passes(6)
    assert desk.pager.sent[-1].severity == "critical"
    desk.passes(3_600, 5)
    assert sum(one.count for one in desk.pager.sent) == 10


def test_a_channel_may_collect_one_severity_alone() -> None:
    """What is low waits for the end of the day and comes as one; the rest goes out at once."""
    post = MemoryNotifier("post")
    desk = Desk(post, outlets=(Outlet("post", ("high", "low"), daily=("low",)),))
    for number in range(3):
        desk.add(raised(f"small-{number}", f"m{number}", "low"))
    desk.add(raised("errors", "grave"))
    desk.passes(31)
    assert [one.alert for one in post.sent] == ["errors"]
    desk.clock.advance(86_400.0)
    desk.passes(1)
    assert [(one.alert, one.count) for one in post.sent[1:]] == [("digest", 3)]


def test_a_budget_of_all_models_demotes_what_is_beyond_it() -> None:
    """To medium, with the reason; what is critical pages always."""
    desk = Desk(pages=1)
    for model, severity in (("a", "high"), ("b", "high"), ("c", "critical")):
        desk.add(raised("x", model, severity))
        desk.passes(31)
    assert [one.model for one in desk.pager.sent] == ["a", "c"]
    assert "1 of 1 pages of all models" in desk.mail.sent[1].reason
    assert desk.pages == 2


def test_a_budget_of_each_model_counts_what_paged_and_not_what_was_raised() -> None:
    """Three alerts that are told together are one page; what is silenced is none; a model whose pages are spent is told
    as medium while another still pages."""
    desk = Desk(pages=2, each=True, interval=1.0, join=60.0)
    desk.add(SilenceSet("", "s", ("hushed",), START, START + 9e5, "known"))
    desk.add(raised("one"), raised("two"), raised("three"), raised("hushed"))
    desk.passes(31)
    for name, model in (("four", "shop"), ("five", "shop"), ("six", "taxi")):
        desk.add(*(over(each) for each in ("one", "two", "three", "four")))
        desk.passes(120)
        desk.add(raised(name, model))
        desk.passes(31)
    assert [(one.model, one.count) for one in desk.pager.sent] == [("shop", 3), ("shop", 1), ("taxi", 1)]
    assert "told as medium: 2 of 2 pages in 30 days are spent" in desk.mail.sent[-2].reason
    desk.clock.advance(30 * 86_400.0)
    desk.add(over("five"), over("hushed"), raised("seven"))
    desk.passes(31)
    assert desk.pager.sent[-1].alert == "seven", "the budget is of the last 30 days"


@pytest.mark.parametrize(
    ("alert", "window", "link"),
    [
        ("harmful-drift", "2026-W05", "/models/shop/ladder?window=2026-W05"),
        ("errors", "", "/models/shop"),
        ("incident-unacknowledged:inc-shop-errors-7:2", "", "/incidents/inc-shop-errors-7"),
    ],
)
def test_a_notice_links_to_what_it_tells_of(alert: str, window: str, link: str) -> None:
    """The window that an alert was seen in, the incident that nobody works on, else the model."""
    desk = Desk(dashboard="http://127.0.0.1:8081/")
    seen = {"type": "window", "window": window} if window else None
    desk.add(raised(alert, seen=Raw(canonical({"basis": seen}))))
    desk.passes(31)
    assert desk.pager.sent[0].link == f"http://127.0.0.1:8081{link}"


def test_no_budget_makes_harm_less_urgent() -> None:
    """Users who are worse off page whatever was spent: labels that show it, requests that fail."""
    point = {"point": {"condition": {"metric": "error_rate"}}}
    failing = raised("high_errors", seen=Raw(canonical({"basis": point})))
    for harm in (raised("harmful-drift"), raised("unusual-impact"), raised("regress-held:ro-2"), failing):
        desk = Desk(pages=0, each=True)
        desk.add(raised("rollout-rolled-back:ro-1", "taxi"), harm)
        desk.passes(31)
        assert [(one.model, one.alert) for one in desk.pager.sent] == [("shop", harm.alert)]


def test_changes_are_shown_beside_alerts_and_page_nobody() -> None:
    """A promotion, once; not one of yesterday."""
    desk = Desk()
    desk.add(AliasMoved("shop", "champion", 1, None))
    desk.clock.advance(90_000.0)
    desk.add(AliasMoved("shop", "champion", 2, 1), AliasMoved("shop", "challenger", 3, None))
    desk.passes(10)
    desk.restart()
    desk.passes(10)
    assert [one.title for one in desk.pager.changes] == ["shop version 2 is champion"]
    assert desk.mail.sent == []


def test_a_benign_alert_is_told_to_nobody() -> None:
    """It is on record."""
    desk = Desk()
    desk.add(raised(benign=True))
    desk.passes(600, 5)
    assert desk.mail.sent == []


def test_a_named_channel_is_told_whatever_it_takes() -> None:
    """And no other."""
    desk = Desk()
    desk.add(raised(severity="low", channels=("pager",)))
    desk.passes(31)
    assert (len(desk.pager.sent), desk.mail.sent) == (1, [])


class Killed(Exception):
    """The process is gone."""


class Mortal(MemoryJournal):
    """A journal whose process dies at a step: before or after the n-th write."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10**9
        self.before = False

    def append(self, facts, **named):  # type: ignore[no-untyped-def]
        """Writes, unless it dies first."""
        self.left -= 1
        if self.left == 0 and self.before:
            raise Killed
        entries = super().append(facts, **named)
        if self.left == 0:
            raise Killed
        return entries


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=6), st.integers(0, 3))
def test_a_stop_at_any_step_loses_nothing(stops: list[tuple[int, bool]], failures: int) -> None:
    """Before or after any write, several times, with a channel that fails at first: every channel gets each notice,
    told at most once more for each stop, always under the same id; the page is made once."""

    class Shaky(Pager):
        def send(self, notice: Notice) -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StateError("channel pager: not now")
            super().send(notice)

    desk = Desk()
    journal = Mortal()
    desk.journal, desk.pager = journal, Shaky()
    desk.channels[0] = desk.pager
    desk.restart()
    desk.add(raised("a"), raised("b", severity="low"))
    waiting = list(stops)
    journal.left, journal.before = waiting.pop(0) if waiting else (10**9, False)
    for second in range(100):
        desk.clock.advance(1.0)
        try:
            if second == 60:  # by another process, which lives
                left, journal.left = journal.left, 10**9
                desk.add(over("a"), over("b"))
                journal.left = left
            desk.dispatch.tick()
        except Killed:
            journal.left, journal.before = waiting.pop(0) if waiting else (10**9, False)
            desk.restart()
    assert len({one.notice for one in desk.pager.sent}) == len({one.notice for one in desk.mail.sent}) == 1
    assert 1 <= len(desk.pager.sent) <= 1 + len(stops)
    assert len({one.notice for one in desk.pager.over}) == 1
    assert desk.pages == 1
    assert len(desk.facts(NoticeMade)) == 2
    assert desk.dispatch.box.postings == {}


def test_one_that_hangs_keeps_no_other_waiting() -> None:
    """A channel has at most one piece of work under way; the others are served meanwhile."""
    desk = Desk()
    hanging: list[Callable[[], None]] = []

    def run(work: Callable[[], None]) -> None:
        notifier = work.args[0]  # type: ignore[attr-defined]
        hanging.append(work) if notifier is desk.pager else work()

    desk.dispatch = Dispatch(desk.journal, desk.channels, desk.plan, desk.clock, desk.quiet, run)
    desk.add(raised("a"))
    desk.passes(60)
    desk.add(raised("b", "other"))
    desk.passes(60)
    assert len(desk.mail.sent) == 2
    assert len(hanging) == 1
    hanging.pop()()
    desk.passes(2)
    assert len(desk.pager.sent) == 1
    assert len(hanging) == 1, "and now the next"


class Forgetful(Pager):
    """A channel that must be reminded."""

    remind_seconds = 60.0


def test_a_channel_that_forgets_is_reminded_until_it_is_over() -> None:
    """Under the same id, and without a fact for each; also after a restart."""
    forgetful = Forgetful("manager")
    desk = Desk(forgetful, outlets=(Outlet("manager", ALL, ends=True),))
    desk.add(raised())
    desk.passes(331)
    assert len(forgetful.sent) == 6
    desk.restart()
    desk.passes(61)
    assert len(forgetful.sent) in (7, 8)
    assert len({one.thread for one in forgetful.sent}) == 1
    assert len(desk.facts(NoticeTried)) == 1
    desk.add(over())
    desk.passes(200)
    assert len(forgetful.over) == 1
    assert len(forgetful.sent) in (7, 8)


def test_an_escalation_is_a_fact() -> None:
    """With whom, why, and in whose place."""
    desk = Desk(MemoryNotifier("phone"))
    desk.pager.broken = True
    desk.add(raised())
    desk.passes(400)
    (fact,) = desk.facts(NoticeEscalated)
    assert isinstance(fact, NoticeEscalated)
    assert (fact.channels, fact.dead) == (("phone",), "pager")


def test_a_storm_that_goes_on_is_the_same_page() -> None:
    """New models that break while it lasts join it, also after a pause; one that breaks alone pages by itself."""
    desk = Desk()
    for part in range(4):
        desk.add(*(raised("a", f"m{part}-{number}") for number in range(50)))
        desk.passes(340, 10)
    assert desk.pages == 1
    assert sum(one.count for one in desk.pager.sent) == 200
    desk.add(raised("a", "alone"))
    desk.passes(60, 10)
    assert [one.model for one in desk.pager.sent][-1] == "alone"
    assert desk.pages == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("pager", "mail")), st.integers(0, 9)), max_size=12))
def test_a_notice_behind_another_is_due_when_both_are(drawn: list[tuple[str, str, int]]) -> None:
    """What is shown as the next try is when the channel is given it: never before an earlier one of its thread."""
    box, body = Outbox(PagingPlan(())), Notice("m", "a", "low", "t", "r", "", "", 0.0)
    for place, (thread, channel, at) in enumerate(drawn):
        key = f"n{place}", channel
        box.postings[key] = Posting(*key[:1], thread, channel, "raised", place, 0.0, body, next_at=float(at))
    for now in range(10):
        given_now = {one.notice for found in due(box, float(now)).values() for one in found}
        assert given_now == {one.notice for one, at in lined_up(box) if at <= now}
