"""The ladder's layers: what each says, of what was measured and of what was not."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.config.watchpoints import stand_ins
from fairlead.core.alert_evidence import with_condition
from fairlead.core.condition import Measured, evaluate
from fairlead.core.event import VersionRegistered
from fairlead.core.report import Layer
from fairlead.core.route import RouteTable
from fairlead.core.verdict import Outcome
from fairlead.core.watchpoint import alarm_of
from fairlead.flows.respond import Responder
from fairlead.operations.overview import overview
from fairlead.operations.overview_ladder import ladder_of
from fairlead.operations.overview_values import PerformanceView, Rung, WindowView
from fairlead.ports.routes import WorkerState
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

DAY = 86_400.0


def window(day: int, realised: float | None = None, estimated: float | None = None, rows: int = 500) -> WindowView:
    """A day's judgement; without rows nothing was judged but that."""
    starts, name = day * DAY, f"2026-10-{day:02}"
    if not rows:
        said = f"no request was answered in window {name}"
        data = Layer("data", Outcome.UNMEASURED, said)
        return WindowView(name, starts, starts + DAY, starts + DAY, 0, Outcome.UNMEASURED, said, data=data)
    found = PerformanceView("auroc", estimated, realised, outcome=Outcome.HOLDS)
    layer = Layer("model", Outcome.HOLDS, "as good as ever")
    return WindowView(
        name, starts, starts + DAY, starts + DAY, rows, Outcome.HOLDS, performance=found, model=layer
    )  # fmt: skip


def rungs(*windows: WindowView) -> dict[str, Rung]:
    """The ladder by name."""
    return {rung.name: rung for rung in ladder_of(windows, (), ())}


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ((window(25, 0.913), window(26, 0.899, 0.9)), "AUROC 0.899 in 2026-10-26"),
        ((window(25, 0.913), window(26, None, 0.9)), "AUROC 0.913 in 2026-10-25"),
        ((window(25, 0.913), window(26, rows=0)), "AUROC 0.913 in 2026-10-25"),
        ((window(26, None, 0.9),), "AUROC estimated at 0.900 in 2026-10-26"),
    ],
)
def test_a_window_without_answers_does_not_forget_the_labels(before: tuple[WindowView, ...], said: str) -> None:
    """It says that nobody asked, and how good the answers were when that was last known."""
    model = rungs(*before, window(27, rows=0))["Model"]
    assert (model.outcome, model.reason) == (Outcome.UNMEASURED, f"no answers in 2026-10-27; last: {said}")


def test_where_nothing_was_ever_known_the_way_to_know_is_told() -> None:
    """Without any metric before, outcomes are asked for."""
    assert "POST /v1/outcomes" in rungs(window(27, rows=0))["Model"].reason
    assert "POST /v1/outcomes" in rungs(window(26), window(27, rows=0))["Model"].reason


def test_requests_that_get_no_answer_are_told_before_their_window_closes() -> None:
    """By the alert that stands on them, with its figures; what does not page leaves it undecided, and what is over is
    told no more."""
    journal, clock = MemoryJournal(), ManualClock(100.0)
    journal.append([VersionRegistered("stay", 1, "b" * 64, "july")], actor="ana", at=1.0)
    responder = Responder("stay", journal, {}, clock, lambda incident, _: incident)
    points = [one for one in stand_ins(parse_settings("{}")) if one.condition.metric == "refused_share"]
    beat = WorkerState(0, 1, 0, 0.0, clock.now())

    def product(share: float, note: str = "") -> Rung:
        seen = (Measured("refused_share", share, share * 0.9, share * 1.1, 1_000, note=note),)
        alarms = [with_condition(alarm_of(one, "stay", evaluate(one.condition, seen)), one, seen, 1) for one in points]
        clock.advance(60.0)
        responder.on_alarms(alarms, clock.now())
        page = overview(journal.read(), (beat,), RouteTable(0, {}), clock.now())
        return next(rung for rung in page.models[0].ladder if rung.name == "Product")

    assert "now:" not in product(0.0).reason
    note = "298 of 1,000 requests were refused, age: null or missing in 298 of 1,000"
    told = product(0.298, note)
    assert (told.outcome, told.reason.startswith("now: refused_share is 29.8%")) == (Outcome.BREACHED, True)
    assert told.reason.endswith(note)
    assert product(0.03).outcome is not Outcome.BREACHED
    assert "now:" not in product(0.0).reason
