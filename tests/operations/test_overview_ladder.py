"""The ladder's layers: what each says, of what was measured and of what was not."""

from __future__ import annotations

import pytest

from fairlead.core.report import Layer
from fairlead.core.verdict import Outcome
from fairlead.operations.overview_ladder import ladder_of
from fairlead.operations.overview_values import PerformanceView, Rung, WindowView

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
