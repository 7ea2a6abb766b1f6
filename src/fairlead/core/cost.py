"""What wrong answers cost."""

from __future__ import annotations

from math import isfinite

from msgspec import Struct


class CostMatrix(Struct, frozen=True):
    """What a wrong answer costs, in whatever currency the user counts in; not negative, not both zero."""

    false_positive: float = 0.0
    false_negative: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what is no cost."""
        costs = (self.false_positive, self.false_negative)
        if not all(isfinite(cost) and cost >= 0.0 for cost in costs) or not any(costs):
            raise ValueError(f"the costs are {costs}: two finite numbers, not negative, at least one of them above 0")

    def of(self, truth: float, decided: float) -> float:
        """The cost of one binary decision.

        >>> CostMatrix(5.0, 200.0).of(truth=1.0, decided=0.0)
        200.0
        """
        if truth == decided:
            return 0.0
        return self.false_positive if decided > truth else self.false_negative
