from __future__ import annotations

from collections.abc import Callable
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.means import LEAST_UNITS, NormalWatch, bernstein_sequence, normal_margin, normal_sequence

values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80)


@given(values, st.floats(0.001, 0.4))
def test_empirical_bernstein_is_the_formula_of_the_paper(xs: list[float], alpha: float) -> None:
    """Value by value: predictable bets, psi(l) = (-ln(1 - l) - l) / 4, the intersection of all intervals so far."""
    mean, spread, weight, weighted, penalty, low, high = 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 1.0
    for count, x in enumerate(xs, start=1):
        bet = min(0.5, sqrt(2 * log(2 / alpha) / (spread / count * count * log(1 + count))))
        penalty += 4 * (x - mean) ** 2 * (-log(1 - bet) - bet) / 4
        weight, weighted = weight + bet, weighted + bet * x
        mean += (x - mean) / (count + 1)
        spread += (x - mean) ** 2
        half = (log(2 / alpha) + penalty) / weight
        low, high = max(low, weighted / weight - half), min(high, weighted / weight + half)
    lower, upper = bernstein_sequence(xs, alpha)
    assert (lower[-1], upper[-1]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("count", [100, 5000])
def test_the_asymptotic_margin_is_the_formula(count: int, alpha: float) -> None:
    """sqrt(2 (t r^2 + 1) / (t^2 r^2) ln(sqrt(t r^2 + 1) / alpha)), r^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / t*."""
    r2 = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / 1000
    expected = sqrt(2 * (count * r2 + 1) / (count**2 * r2) * log(sqrt(count * r2 + 1) / alpha))
    assert float(normal_margin(np.float64(count), alpha)) == pytest.approx(expected, abs=1e-12)


def test_the_margin_is_shortest_where_it_is_tuned_to_be() -> None:
    """At t* no other tuning is shorter by more than 1 %."""
    tunings = (100, 300, 700, 1000, 1500, 3000, 9999)
    widths = {best: float(normal_margin(np.float64(1000), 0.05, best)) for best in tunings}
    assert widths[1000] <= 1.01 * min(widths.values())


def test_says_nothing_before_a_hundred_units() -> None:
    """A limit law is no law at 99 units; constants and large values are no trouble."""
    low, high = normal_sequence(np.full(150, 1e9), 0.05)
    assert (low[: LEAST_UNITS - 1] == -inf).all()
    assert (high[: LEAST_UNITS - 1] == inf).all()
    assert low[-1] == high[-1] == 1e9
    assert NormalWatch(0.05).interval() == (-inf, inf)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_state_gives_the_sequences_last_interval(scale: float) -> None:
    """Pairwise merged moments and one pass over the array agree, also far from zero."""
    xs = scale * (np.random.default_rng(110).normal(size=500) + 1000.0)
    low, high = normal_sequence(xs, 0.05)
    state = NormalWatch(0.05).update(xs[:300]).update(xs[300:])
    assert state.interval() == pytest.approx((low[-1], high[-1]), rel=1e-9)


@pytest.mark.parametrize("shape", [(0.5, 0.5), (10.0, 30.0), (0.1, 2.0)], ids=["U", "narrow", "spiked at 0"])
def test_empirical_bernstein_holds_the_mean_at_every_look(
    runs: int, within: Callable[[int, int, float], None], shape: tuple[float, float]
) -> None:
    """Looked at after each of 1,000 values, at most alpha of the runs ever leave the mean out."""
    rng, alpha, mean, missed = np.random.default_rng(111), 0.05, shape[0] / sum(shape), 0
    for _ in range(runs // 100):
        low, high = bernstein_sequence(rng.beta(*shape, size=(100, 1000)), alpha)
        missed += int(((low > mean) | (high < mean)).any(axis=1).sum())
    within(missed, runs, alpha)


@pytest.mark.parametrize("kind", ["normal", "exponential", "t with 3 degrees"])
def test_the_asymptotic_sequence_holds_the_mean_from_a_hundred_units_on(
    runs: int, within: Callable[[int, int, float], None], kind: str
) -> None:
    """Looked at after each unit from the 100th to the 2,000th, at most alpha of the runs ever leave the mean out."""
    rng, alpha, missed = np.random.default_rng(112), 0.05, 0
    for _ in range(runs // 100):
        if kind == "t with 3 degrees":
            xs, mean = rng.standard_t(3, (100, 2000)), 0.0
        else:
            xs, mean = (
                (rng.normal(3, 2, (100, 2000)), 3.0) if kind == "normal" else (rng.exponential(2, (100, 2000)), 2.0)
            )
        low, high = normal_sequence(xs, alpha)
        missed += int(((low > mean) | (high < mean)).any(axis=1).sum())
    within(missed, runs, alpha)


@pytest.mark.parametrize("best_at", [0, -1, float("nan")])
def test_refuses_a_tuning_at_no_units(best_at: float) -> None:
    """t* is a number of units."""
    with pytest.raises(ValueError, match="above 0"):
        normal_sequence([1.0] * 120, 0.05, best_at)  # type: ignore[arg-type]
