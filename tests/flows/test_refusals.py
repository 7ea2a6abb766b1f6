"""What workers refuse, from their counters to a share, its condition, its alert and its figure."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.test_stand_ins import ALL, Desk

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import AlertRaised
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.impact import ImpactReport, alarm_of_impact, impact_of
from fairlead.core.opening import category_of, opens
from fairlead.core.pages_made import does_harm
from fairlead.core.verdict import Outcome
from fairlead.core.window import WindowPlan
from fairlead.errors import ContractError
from fairlead.flows.product import Product
from fairlead.flows.refusals import HEARD_SECONDS, Asked, Refusals
from fairlead.flows.tally import Counts, Tally, Usage, new_timing
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

CONTRACT = Contract((Feature("age", Kind.NUMBER), Feature("plan", Kind.CATEGORY)), Task.BINARY, "y")
NULL = ContractError("features.age: expected a number, came null", "features.age", "missing", "age")
WINDOW = 300.0


class Worker:
    """Counts as a gateway worker does."""

    def __init__(self, number: int = 0, pid: int = 1, started_at: float = 0.0) -> None:
        self.number, self.pid, self.started_at, self.tally = number, pid, started_at, Tally()

    def answers(self, times: int, version: int = 1, arm: str = "champion", model: str = "hotel") -> None:
        """Answers that many requests."""
        self.tally.answered(model, version, arm, 200, 0.001, times)

    def refuses(self, times: int, error: ContractError = NULL, version: int = 1, model: str = "hotel") -> None:
        """Refuses that many."""
        for _ in range(times):
            self.tally.refused(model, version, "champion", 422)
            self.tally.breached(model, version, CONTRACT, error)

    def said(self) -> Counts:
        """What it leaves for others."""
        counts = self.tally.snapshot(self.number, self.pid, 1, [])
        counts.usage = Usage(1.0, 1, new_timing(), started_at=self.started_at)
        return counts


def heard(worker: Worker, now: float = 1_000.0) -> Refusals:
    """A controller that has looked at a worker before it was asked anything."""
    found = Refusals(WINDOW)
    found.take([Worker(worker.number, worker.pid).said()], now - 10.0)
    return found


def test_a_share_names_how_many_of_how_many_the_field_and_the_reason() -> None:
    """Of the model's requests, whatever version refused them; other models' are not counted."""
    worker = Worker()
    worker.answers(702)
    worker.refuses(298)
    worker.refuses(50, model="other")
    found = heard(worker)
    found.take([worker.said()], 1_000.0)
    share = found.share("hotel", 1_000.0)
    assert (share.value, share.rows) == (0.298, 1_000)
    assert share.low is not None
    assert 0.2 < share.low < 0.298
    assert share.note == "298 of 1,000 requests were refused, age: null or missing in 298 of 1,000"
    assert found.share("other", 1_000.0).value == 1.0
    assert found.share("hotel", 1_000.0 + WINDOW + 10.0).value is None, "it is forgotten"


def test_what_cannot_be_known_is_unmeasured() -> None:
    """No worker said anything, or not lately, or nobody asked."""
    found = Refusals(WINDOW)
    assert "no worker says what it refuses" in found.share("hotel", 1_000.0).missing
    found.take([Worker().said()], 1_000.0)
    assert found.share("hotel", 1_000.0).missing == "no request came in the last 5 minutes"
    assert found.share("hotel", 1_000.0, version=3).missing == "no request of version 3 came in the last 5 minutes"
    found.take([], 1_030.0)
    assert "no request" in found.share("hotel", 1_030.0).missing
    assert "no worker says" in found.share("hotel", 1_001.0 + HEARD_SECONDS).missing


def test_what_was_counted_before_the_first_look_is_not_of_now() -> None:
    """Unless the worker began within the window; one that takes another's place counts from its start."""
    old, young = Worker(0, 1), Worker(1, 2, started_at=900.0)
    for worker in (old, young):
        worker.answers(10)
    found = Refusals(WINDOW)
    found.take([old.said(), young.said()], 1_000.0)
    assert found.share("hotel", 1_000.0).rows == 10
    again = Worker(0, 3)
    again.refuses(5)
    found.take([again.said(), young.said()], 1_010.0)
    assert found.share("hotel", 1_010.0).rows == 15


def test_a_worker_that_stalled_is_no_new_one() -> None:
    """What it had counted before it fell silent is not counted again when it is heard once more."""
    worker = Worker()
    worker.refuses(50)
    found = Refusals(WINDOW)
    found.take([worker.said()], 1_000.0)
    found.take([Worker(1, 2).said()], 1_100.0)
    worker.answers(20)
    found.take([worker.said()], 1_200.0)
    share = found.share("hotel", 1_200.0)
    assert (share.value, share.rows) == (0.0, 20)
    late = Worker(2, 3, started_at=10.0)
    late.refuses(50)
    found.take([late.said()], 1_210.0)
    assert found.share("hotel", 1_210.0).rows == 20, "it began long before it was first heard of"


def test_nobody_asked_a_shadow_and_a_stand_in_answers_what_was_asked_of_another() -> None:
    """A row that fell back is one request."""
    worker = Worker()
    worker.answers(40)
    worker.answers(40, version=2, arm="shadow")
    worker.answers(10, arm="fallback")
    for _ in range(10):
        worker.tally.fell_back("hotel", 2, "champion", "contract")
    worker.tally.refused("", 0, "", 404)
    found = heard(worker)
    found.take([worker.said()], 1_000.0)
    assert found.share("hotel", 1_000.0).rows == 50
    assert found.versions("hotel", 1_000.0) == {1, 2}


def test_no_caller_can_name_a_series() -> None:
    """A field that the contract does not have is counted without its name, and values are counted nowhere."""
    tally = Tally()
    for name in ("a1", "a2", "a3"):
        tally.breached("hotel", 1, CONTRACT, ContractError(f"features.{name}: no such", name, "extra", name))
    tally.breached("hotel", 1, CONTRACT, ContractError("features: expected an object, came 7", "features"))
    tally.breached("hotel", 1, CONTRACT, ContractError("features: age > 0", "features", "broken_rule", "age > 0"))
    seen = [(one.feature, one.what, one.count) for one in tally.snapshot(0, 1, 1, []).breached]
    assert seen == [("", "extra", 3), ("", "no_row", 1), ("age > 0", "broken_rule", 1)]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_however_often_it_is_looked_at_nothing_is_lost_or_counted_twice(steps: list[tuple[int, int, int]]) -> None:
    """Two workers, in any order of answers, refusals and looks."""
    workers = (Worker(0, 1), Worker(1, 2))
    found, handed = Refusals(1e6), Asked("hotel", 0, 0)
    found.take([one.said() for one in workers], 2e6)
    for place, (which, answers, refusals) in enumerate(steps, start=1):
        workers[which].answers(answers)
        workers[which].refuses(refusals)
        found.take([one.said() for one in workers], 2e6 + place)
        for one in found.fresh():
            handed = Asked("hotel", handed.requests + one.requests, handed.refused + one.refused, one.causes)
            assert one.causes.total() == one.refused
    refused = sum(step[2] for step in steps)
    asked = refused + sum(step[1] for step in steps)
    share = found.share("hotel", 2e6 + len(steps))
    assert (handed.requests, handed.refused) == (asked, refused)
    assert share.rows == asked
    assert share.value == (refused / asked if asked else None)


@pytest.mark.parametrize(
    ("refused", "raised", "pages"),
    [
        (0, [], 0),
        (12, [], 0),
        (30, [("refused_share", "medium")], 0),
        (298, [("refused_share", "medium"), ("refused_share:high", "high")], 1),
    ],
)
def test_refused_requests_page_though_nothing_is_stated(
    refused: int, raised: list[tuple[str, str]], pages: int
) -> None:
    """Beyond 1 % it is told, beyond 5 % it pages as an outage does, with the field; just above 1 % may be chance."""
    desk, worker = Desk(), Worker()
    desk.metrics.refusals = heard(worker, desk.clock.now())
    worker.answers(1_000 - refused)
    worker.refuses(refused)
    desk.metrics.refusals.take([worker.said()], desk.clock.now())
    desk.minute()
    assert desk.raised == raised
    assert len(desk.pager.sent) == pages
    for fact in desk.facts(AlertRaised):
        assert f"{refused} of 1,000 requests were refused, age: null or missing in {refused} of 1,000" in fact.reason
        assert fact.title == f"{refused / 10:g}% of the requests to hotel are refused for what they hold"
        assert does_harm(fact)
        assert opens(fact.alert, fact.severity) is (fact.severity in ALL[:2])
        assert category_of(fact.alert) == "data"


def test_a_window_has_the_share_as_a_figure_of_the_product() -> None:
    """Against the usual, and high beyond its critical level, also where nothing at all was answered; a window of which
    no counters are known has none."""
    journal, clock = MemoryJournal(), ManualClock(0.0)
    product = Product("hotel", journal, clock, WindowPlan(86_400.0))
    for day in range(8):
        product.observe_refusals(day * 86_400.0 + 60.0, Asked("hotel", 1_000, 3))
        product.observe_refusals(day * 86_400.0 + 70.0, Asked("hotel", 1_000, 2))
    for causes in ({("age", "missing"): 300, ("", "extra"): 200}, {("age", "missing"): 100, ("plan", "unseen"): 400}):
        product.observe_refusals(8 * 86_400.0, Asked("hotel", 500, 500, Counter(causes)))
    reports = product.judge(9.5 * 86_400.0)
    figures = [next(one for one in report.figures if one.name == "refused_share") for report in reports[:9]]
    assert [one.value for one in figures] == [0.0025] * 8 + [1.0]
    assert {one.layer for one in figures} == {"product"}
    assert figures[-1].outcome is Outcome.BREACHED
    assert figures[-1].reason.startswith("refused share 100 % (usual 0.25 %")
    said = "): 1,000 of 1,000 requests were refused, age: null or missing in 400 of 1,000"
    assert figures[-1].reason.endswith(said)
    assert "could not be read" in figures[0].reason
    assert alarm_of_impact(reports[8]).severity == "high"
    again = Product("hotel", journal, clock, WindowPlan(86_400.0))
    assert again.names == (), "it is no event"
    facts = [entry.fact for entry in journal.read() if isinstance(entry.fact, ImpactJudged)]
    assert [impact_of(fact) for fact in facts] == list(reports)
    assert all("refused_share" not in _names(report) for report in reports[9:])


def _names(report: ImpactReport) -> set[str]:
    return {one.name for one in report.figures}
