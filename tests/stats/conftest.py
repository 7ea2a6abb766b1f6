"""What the Monte Carlo tests of statistics share: counts that would refute a nominal rate or a guarantee."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scipy.stats import binom

Check = Callable[[int, int, float], None]


@pytest.fixture
def at_most() -> Check:
    """Fails only when so many hits would come with probability below 0.001 if the true rate were at most `rate`."""

    def check(hits: int, runs: int, rate: float) -> None:
        chance = float(binom.sf(hits - 1, runs, rate))
        assert chance >= 0.001, f"{hits} of {runs} where at most {rate:.3g} was promised: chance {chance:.1g}"

    return check


@pytest.fixture
def at_least() -> Check:
    """Fails only when so few hits would come with probability below 0.001 if the true rate were at least `rate`."""

    def check(hits: int, runs: int, rate: float) -> None:
        chance = float(binom.cdf(hits, runs, rate))
        assert chance >= 0.001, f"{hits} of {runs} where at least {rate:.3g} was promised: chance {chance:.1g}"

    return check


@pytest.fixture
def within(at_most: Check) -> Check:
    """`at_most`, of the false alarms of a method whose guarantee is `alpha`."""
    return at_most
