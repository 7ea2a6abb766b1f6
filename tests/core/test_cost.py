"""Costs are of wrong decisions, and are costs."""

from __future__ import annotations

import pytest

from fairlead.core.cost import CostMatrix


def test_costs_are_of_wrong_decisions() -> None:
    """A false alarm and a miss each have their price."""
    cost = CostMatrix(5.0, 200.0)
    assert [cost.of(0.0, 0.0), cost.of(0.0, 1.0), cost.of(1.0, 0.0), cost.of(1.0, 1.0)] == [0.0, 5.0, 200.0, 0.0]


@pytest.mark.parametrize("costs", [(-1.0, 2.0), (0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_what_is_no_cost_is_refused(costs: tuple[float, float]) -> None:
    """Negative, zero and endless costs."""
    with pytest.raises(ValueError, match="at least one of them above 0"):
        CostMatrix(*costs)
