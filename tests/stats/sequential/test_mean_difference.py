from __future__ import annotations

from collections.abc import Callable
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.stats.sequential.mean_difference import (
    DifferenceWatch,
    RiseWatch,
    difference_sequence,
    exact_difference_sequence,
    rise_path,
)

Floats = NDArray[np.float64]
ALPHA = 0.05


def two_arms(rng: np.random.Generator, runs: int, units: int, rise: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """Values in [0, 1], arms and shares of a ramp from 5 to 50 %, with an outage of both arms in the middle of it."""
    shares = np.broadcast_to(np.repeat((0.05, 0.25, 0.5, 0.5), units // 4), (runs, units))
    arms = (rng.random((runs, units)) < shares).astype(float)
    mean = np.full(units, 0.5)
    mean[units // 3 : units * 2 // 3] = 0.2
    values = (rng.random((runs, units)) < mean + rise * arms).astype(float)
    return values, arms, shares


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.02, 0.98)), min_size=1, max_size=50),
    st.floats(-0.2, 0.3),
)
def test_is_its_formula(rows: list[tuple[float, bool, float]], margin: float) -> None:
    """g = (x - rho)(Y - c) with c the mean before, bet on at what c and rho allow, unit by unit."""
    log_e, total, spread, known = 0.0, 0.0, 0.25, 0.0
    for count, (y, arm, rho) in enumerate(rows, start=1):
        c = total / max(count - 1, 1)
        g, v = (arm - rho) * (y - c), rho * (1 - rho)
        low = -max((1 - rho) * c, rho * (1 - c))
        room = max(v * margin - low, 1e-300)
        bet = min(sqrt(2 * log(1 / ALPHA) / (spread / count * count * log(1 + count))), 0.5 / room)
        log_e += log(1 + bet * (g - v * margin))
        total, known = total + y, known + g
        spread += (g - known / (count + 1)) ** 2
    values, arms, shares = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert rise_path(values, arms, shares, margin, ALPHA)[-1] == pytest.approx(log_e, abs=1e-7)


@given(st.floats(0.05, 0.95), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_unit_gains_nothing_on_average_under_equal_means(rho: float, c: float, low: float, high: float) -> None:
    """E[(x - rho)(Y - c)] = rho (1 - rho) times the difference of the arms, whatever c and the means are."""
    mean = rho * (1 - rho) * (high - c) + (1 - rho) * (0 - rho) * (low - c)
    assert mean == pytest.approx(rho * (1 - rho) * (high - low), abs=1e-12)


def test_the_arms_own_means_are_led_astray_by_an_outage_in_a_ramp_and_this_is_not() -> None:
    """Equal arms, half the canary's traffic after an outage that most of the champion's came before: comparing the
    running means with a two-sample z-test calls a difference in most runs, the sequence in at most alpha."""
    rng, naive, ours, runs = np.random.default_rng(121), 0, 0, 100
    values, arms, shares = two_arms(rng, runs, 4000)
    shares = np.broadcast_to(np.repeat((0.02, 0.5, 0.5, 0.5), 1000), shares.shape)
    arms = (rng.random(arms.shape) < shares).astype(float)
    low, high = difference_sequence(values, arms, shares, ALPHA)
    for y, x, below, above in zip(values[:, :2600], arms[:, :2600], low, high, strict=True):
        one, two = y[x == 1], y[x == 0]
        z = (one.mean() - two.mean()) / sqrt(one.var() / one.size + two.var() / two.size)
        naive += abs(z) > 1.96
        ours += bool((below > 0).any() or (above < 0).any())
    assert naive > runs / 2
    assert ours <= 12  # exceeded with probability below 0.001 at alpha


def test_false_alarms_stay_within_alpha_in_a_ramp_with_an_outage(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """The exact test and the asymptotic sequence, looked at after each of 2,000 units, at the margin of the null."""
    rng, exact, asymptotic = np.random.default_rng(122), 0, 0
    for _ in range(runs // 50):
        values, arms, shares = two_arms(rng, 50, 2000, rise=0.1)
        exact += int((rise_path(values, arms, shares, 0.1).max(axis=1) >= log(1 / ALPHA)).sum())
        low, high = difference_sequence(values, arms, shares, ALPHA)
        asymptotic += int(((low > 0.1) | (high < 0.1)).any(axis=1).sum())
    within(exact, runs, ALPHA)
    within(asymptotic, runs, ALPHA)


def test_the_exact_sequence_holds_the_difference(within: Callable[[int, int, float], None]) -> None:
    """Over 100 runs of 800 units, looked at after each, the true difference is left out in at most alpha."""
    rng, missed = np.random.default_rng(123), 0
    for values, arms, shares in zip(*two_arms(rng, 100, 800, rise=0.2), strict=True):
        low, high = exact_difference_sequence(values, arms, shares, ALPHA, cells=200)
        missed += bool((low > 0.2).any() or (high < 0.2).any())
        assert (low <= high).all()
    within(missed, 100, ALPHA)


def test_a_real_rise_is_found_and_measured() -> None:
    """A rise of 15 points: the exact test finds it in 4,000 units in 95 of 100 runs, the sequence is around it."""
    rng = np.random.default_rng(124)
    values, arms, shares = two_arms(rng, 100, 4000, rise=0.15)
    assert (rise_path(values, arms, shares).max(axis=1) >= log(100)).sum() >= 95
    low, high = difference_sequence(values, arms, shares, ALPHA)
    assert float((high[:, -1] - low[:, -1]).mean()) < 0.15
    watch = DifferenceWatch(ALPHA).update(values[0], arms[0], shares[0])
    assert watch.estimate() == pytest.approx(0.15, abs=0.06)
    assert watch.interval() == pytest.approx((low[0, -1], high[0, -1]))


def test_says_nothing_before_a_hundred_units_on_each_arm() -> None:
    """One arm's hundred are not enough; without units there is no estimate."""
    arms = np.repeat([0, 1], [5000, 99])
    watch = DifferenceWatch(ALPHA).update(np.linspace(0, 1, 5099), arms, 0.5)
    assert watch.interval() == (-inf, inf)
    assert np.isnan(DifferenceWatch(ALPHA).estimate())
    low, _ = difference_sequence(np.linspace(0, 1, 5099), arms, 0.5, ALPHA)
    assert (low == -inf).all()


def test_the_mirrored_test_is_for_what_should_not_fall() -> None:
    """Revenue: 1 - value, and the same test finds a canary that earns less."""
    rng = np.random.default_rng(125)
    values, arms, shares = two_arms(rng, 1, 4000, rise=-0.15)
    assert RiseWatch().update(1 - values[0], arms[0], shares[0]).evidence.reached(0.01)
    assert not RiseWatch().update(values[0], arms[0], shares[0]).evidence.reached(0.01)
