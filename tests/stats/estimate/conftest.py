"""What the coverage tests of estimates share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Check = Callable[[int, int, float], None]
Nominal = Callable[[dict[str, int], int], None]
POINTS = 0.02


@pytest.fixture
def nominal(at_least: Check, at_most: Check) -> Nominal:
    """Fails when the hits of a 95 % interval would come with probability below 0.001 from any coverage within 2 points
    of 95 %."""

    def check(hits: dict[str, int], runs: int) -> None:
        assert hits
        for name, count in hits.items():
            try:
                at_least(count, runs, 0.95 - POINTS)
                at_most(count, runs, 0.95 + POINTS)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error

    return check
