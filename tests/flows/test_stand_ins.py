"""What is watched though nobody states it: failing requests, slow ones, absent workers."""

from __future__ import annotations

import pytest
from tests.flows.page_desk import MODEL
from tests.flows.page_desk import Desk as PageDesk

from fairlead.config.load import parse_settings
from fairlead.config.paging_plan import paging_plan
from fairlead.config.watchpoints import stand_ins
from fairlead.core.event import AlertRaised
from fairlead.core.facts_act import NoticeMade
from fairlead.core.impact import Figure, ImpactReport, fact_of_impact
from fairlead.core.verdict import Outcome
from fairlead.flows.conditions import Conditions
from fairlead.flows.dispatch import Dispatch, outlet_of
from fairlead.flows.respond import Responder
from fairlead.flows.worker_alarm import GONE_SECONDS, GRACE_SECONDS, worker_alarm
from fairlead.testing.notifier import MemoryNotifier

ALIKE = ("error_rate", "refused_share")  # whose callers get no answer
ALL = ("critical", "high", "medium", "low")


class Desk(PageDesk):
    """A model of which the settings say nothing, and a pager that is told from the journal."""

    def __init__(self, settings: str = "{}") -> None:
        super().__init__(settings)
        points = stand_ins(self.settings)
        unasked = frozenset(point.key for point in points)
        self.conditions = Conditions(MODEL, points, self.metrics, self.journal, unasked=unasked)
        self.responder = Responder(MODEL, self.journal, {}, self.clock, lambda incident, _: incident)
        self.pager = MemoryNotifier("pager")
        plan = paging_plan(self.settings.alerting, [outlet_of(self.pager, ("critical", "high"))])
        self.dispatch = Dispatch(self.journal, [self.pager], plan, self.clock)

    def minute(self) -> None:
        """A look, and the time that its notices take."""
        self.look()
        self.dispatch.tick()
        self.clock.advance(31.0)
        self.dispatch.tick()

    def usual(self, ms: float) -> None:
        """A window tells what is usual."""
        told = Outcome.HOLDS
        figures = tuple(
            Figure(name, "product", ms, 900, told, "", usual=ms, low=ms, high=ms, windows=9)
            for name in ("p50_latency", "p99_latency")
        )
        report = ImpactReport(MODEL, "w", 0.0, 60.0, 60.0, 900, figures)
        self.journal.append([fact_of_impact(report)], actor="watch", at=self.clock.now())

    @property
    def raised(self) -> list[tuple[str, str]]:
        """Alerts and their severity."""
        return [(fact.alert, fact.severity) for fact in self.facts(AlertRaised)]


def test_an_outage_pages_though_nothing_is_stated() -> None:
    """One request in eight fails: the graver level pages, once, and mutes the milder one."""
    desk = Desk()
    desk.traffic(500)
    desk.minute()
    assert desk.raised == []
    desk.traffic(1000, failed=200)
    desk.minute()
    assert desk.raised == [("error_rate", "medium"), ("error_rate:high", "high")]
    assert [(one.alert, one.severity) for one in desk.pager.sent] == [("error_rate:high", "high")]
    assert [fact.pages for fact in desk.facts(NoticeMade)] == [True]


def test_a_few_failures_are_told_and_page_nobody() -> None:
    """Two in a hundred, of many: beyond the first level alone."""
    desk = Desk()
    desk.traffic(20_000, failed=500)
    desk.minute()
    assert desk.raised == [("error_rate", "medium")]
    assert desk.pager.sent == []


@pytest.mark.parametrize(
    ("usual", "ms", "raised"),
    [
        (None, 900.0, []),
        (40.0, 70.0, [("p50_latency", "low")]),
        (40.0, 90.0, [("p99_latency", "medium"), ("p50_latency", "low")]),
        (40.0, 210.0, [("p99_latency", "medium"), ("p99_latency:high", "high"), ("p50_latency", "low"),
                       ("p50_latency:medium", "medium")]),
        (2.0, 25.0, []),
    ],
)  # fmt: skip
def test_slow_is_what_is_slow_for_this_model(usual: float | None, ms: float, raised: list[tuple[str, str]]) -> None:
    """Before anything is usual nothing is slow; what takes a few milliseconds may take some more."""
    desk = Desk()
    if usual is not None:
        desk.usual(usual)
    desk.traffic(2_000, ms=ms)
    desk.minute()
    assert desk.raised == raised


def test_the_usual_is_told_as_it_is() -> None:
    """Answers in a quarter of a millisecond count as answers in 20, and nobody is told that 20 is usual."""
    desk = Desk()
    desk.usual(0.26)
    desk.traffic(2_000, ms=94.0)
    desk.minute()
    reasons = [fact.reason for fact in desk.facts(AlertRaised) if fact.alert == "p99_latency"]
    assert len(reasons) == 1
    assert "where 40 ms (usual 0.26 ms, counted as 20 ms) is the bound" in reasons[0]


def test_one_slow_answer_is_no_alert() -> None:
    """It says nothing of a quantile from below."""
    desk = Desk()
    desk.usual(40.0)
    desk.traffic(1, ms=4_000.0)
    desk.minute()
    assert desk.raised == []


def test_a_model_that_nobody_asks_is_nobodys_trouble() -> None:
    """What stands in is not told as unmeasured, however long nothing comes."""
    desk = Desk()
    for _ in range(3):
        desk.look(seconds=86_400.0)
    assert desk.raised == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("{}", [*ALIKE, "p99_latency", "p50_latency"]),
        ("alerting: {defaults: false}", []),
        ('alerting: {alerts: [{name: e, condition: "error_rate > 9%"}]}', [ALIKE[1], "p99_latency", "p50_latency"]),
        ("monitoring: {metrics: [{name: p50_latency, alert_threshold: '>1s'}]}", [*ALIKE, "p99_latency"]),
    ],
)
def test_what_is_stated_takes_the_place_of_what_stands_in(text: str, left: list[str]) -> None:
    """Of the same metric; and a switch turns all of it off."""
    settings = parse_settings(text)
    assert list(dict.fromkeys(one.condition.metric for one in stand_ins(settings))) == left
    mutes = {one.mutes for one in paging_plan(settings.alerting, []).inhibit}
    assert ("error_rate" in mutes) is settings.alerting.defaults


@pytest.mark.parametrize(
    ("served", "beats", "watched", "outcome"),
    [
        (1, [99.0, 10.0], 999.0, Outcome.HOLDS),
        (1, [100.0 - GONE_SECONDS, 10.0], 999.0, Outcome.BREACHED),
        (1, [], 999.0, Outcome.BREACHED),
        (1, [], GRACE_SECONDS - 1.0, Outcome.UNDECIDED),
        (0, [], 999.0, Outcome.HOLDS),
    ],
)
def test_no_worker_is_critical(served: int, beats: list[float], watched: float, outcome: Outcome) -> None:
    """Where models are to be served and none gives a sign of life; not while they may be starting."""
    found = worker_alarm(served, beats, 100.0, watched)
    assert (found.verdict.outcome, found.severity, found.model) == (outcome, "critical", "")
