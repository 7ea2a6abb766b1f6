"""What decisions cost, on the business layer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.impact import Figure, ImpactReport
from fairlead.core.report import Change, FeatureShift, Layer, MetricReading, Performance, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.operations.overview_ladder import ladder_of
from fairlead.operations.overview_report import window_view
from fairlead.operations.overview_values import Rung, WindowView
from fairlead.testing.reports import window_report

DAY = 86_400.0
COST = MetricReading("cost", 5.0, 4.8, 5.2, 6.0, 5.6, 6.4, 8.0, 7.5, 8.5)
BROKEN = (FeatureShift("adr", "critical", broken="adr holds values x100 of what they were"),)


def judged(*, labelled: bool, number: int = 0, **changes: object) -> WindowReport:
    """A window of 2,400 answers in 30 days, 80 a day, whose decisions cost 8 each by labels, 6 by scores, 5 before."""
    bare = window_report(number)
    assert isinstance(bare.performance, Performance)
    change = Change("auroc", 0.0, -0.1, 0.1, 1.0, 0.5, 1.5, realised=labelled)
    report = replace(bare, performance=replace(bare.performance, also=(COST,)), harm=replace(bare.harm, change=change))
    return replace(report, **changes)


def view(report: WindowReport) -> WindowView:
    """As the page has it."""
    return window_view(0.0, fact_of(report))


def business(*windows: WindowView, impact: tuple[ImpactReport, ...] = ()) -> Rung:
    """The business layer."""
    return ladder_of(windows, (), (), impact)[3]


def test_labels_say_what_decisions_cost() -> None:
    """A day's cost with its interval, beside what the held-out rows promised; more than that is undecided."""
    found = business(view(judged(labelled=True)))
    assert (found.outcome, found.reason) == (
        Outcome.UNDECIDED,
        "w0: decisions cost about 640 units of cost a day (600 to 680), 400 as the held-out rows promised.",
    )
    cheap = replace(COST, realised=5.0, low=4.9, high=5.1)
    calm = judged(labelled=True)
    assert calm.performance is not None
    calm = replace(calm, performance=replace(calm.performance, also=(cheap,)))
    assert business(view(calm)).outcome is Outcome.HOLDS


def test_before_labels_it_is_estimated_and_says_so() -> None:
    """Of whole columns; scores of broken ones say nothing."""
    found = business(view(judged(labelled=False)))
    assert found.outcome is Outcome.UNDECIDED
    assert found.reason == (
        "w0: decisions cost about 480 units of cost a day (448 to 512, estimated), 400 as the held-out rows promised."
    )
    broken = business(view(judged(labelled=False, drift=BROKEN)))
    assert broken.outcome is Outcome.UNMEASURED
    assert "a column is broken" in broken.reason
    assert not any(figure in broken.reason for figure in ("480", "400"))
    assert "640" in business(view(judged(labelled=True, drift=BROKEN))).reason


def test_a_window_without_answers_costs_nothing_and_remembers() -> None:
    """It says so, and what decisions cost when there were some."""
    empty = view(judged(labelled=True, number=1, rows=0, performance=None))
    found = business(view(judged(labelled=True)), empty)
    assert found.outcome is Outcome.UNMEASURED
    assert found.reason.startswith("no answers in w1; last: w0: decisions cost about 640 units of cost a day")


@pytest.mark.parametrize("outcome", [Outcome.HOLDS, Outcome.BREACHED])
def test_beside_logged_figures_it_is_told_after_them(outcome: Outcome) -> None:
    """Events are judged as before; an estimate changes nothing of it, and labels make it worse at most."""
    figure = Figure("revenue", "business", 1.0, 500, outcome, "revenue 1 (usual 2, 1.8 to 2.2)", 2.0, 1.8, 2.2)
    impact = ImpactReport("hotel", "w0", 0.0, DAY, DAY, 500, (figure,), (Layer("business", outcome, figure.reason),))
    guessed = business(view(judged(labelled=False)), impact=(impact,))
    assert guessed.outcome is outcome
    assert "revenue" in guessed.reason
    assert "480 units of cost" in guessed.reason
    labelled = business(view(judged(labelled=True)), impact=(impact,))
    assert labelled.outcome is (Outcome.UNDECIDED if outcome is Outcome.HOLDS else Outcome.BREACHED)


def test_without_a_cost_matrix_the_way_to_state_one_is_told() -> None:
    """Nothing is made up."""
    found = business(view(window_report()))
    assert found.outcome is Outcome.UNMEASURED
    assert "models.NAME.cost" in found.reason
