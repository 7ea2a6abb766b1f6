from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from fairlead.stats.sequential.sample_ratio import RatioWatch, sample_ratio_log_e, sample_ratio_path


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=4))
def test_is_the_formula(units: list[int]) -> None:
    """Gamma(k)/Gamma(k+n) prod Gamma(a_i + S_i)/Gamma(a_i) / prod rho_i^S_i with a_i = k rho_i, k = 10^4."""
    weights = np.arange(1.0, len(units) + 1.0)
    rho = weights / weights.sum()
    total = lgamma(1e4) - lgamma(1e4 + sum(units))
    for s, r in zip(units, rho, strict=True):
        total += lgamma(1e4 * r + s) - lgamma(1e4 * r) - s * log(r)
    assert sample_ratio_log_e(units, weights.tolist()) == pytest.approx(total, abs=1e-6)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=200), st.sampled_from([10.0, 1e4]))
def test_the_path_is_the_formula_at_every_unit(arms: list[int], concentration: float) -> None:
    """The product of predictive probabilities is the closed form of the counts so far."""
    weights = (0.5, 0.3, 0.2)
    path = sample_ratio_path(arms, weights, concentration)
    for n in range(1, len(arms) + 1):
        counts = np.bincount(arms[:n], minlength=3).tolist()
        assert path[n - 1] == pytest.approx(sample_ratio_log_e(counts, weights, concentration), abs=1e-7)


def test_expectation_is_one() -> None:
    """Over all splits of 12 units, weighted by their probability, E is 1 on average: a martingale."""
    from scipy.stats import binom

    chances = binom.pmf(np.arange(13), 12, 0.1)
    values = [np.exp(sample_ratio_log_e([12 - s, s], [0.9, 0.1], 5.0)) for s in range(13)]
    assert float(chances @ np.array(values)) == pytest.approx(1.0)


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_peeked_chi_squared_cries_wolf_and_this_does_not(
    runs: int, within: Callable[[int, int, float], None]
) -> None:
    """50,000 units at an even split, a look at every tenth from the 100th on, alpha = 1 %: the fixed test, peeked at,
    finds a mismatch in about a fifth of the runs; the e-process, looked at after every unit, in at most alpha."""
    rng, peeked, found = np.random.default_rng(141), 0, 0
    looks = np.arange(99, 50_000, 10)
    for _ in range(runs):
        arms = (rng.random(50_000) < 0.5).astype(np.int64)
        gap = np.cumsum(arms)[looks] - (looks + 1) / 2
        peeked += bool((gap * gap / ((looks + 1) / 4) >= chi2.isf(0.01, 1)).any())
        found += bool(sample_ratio_path(arms, (0.5, 0.5)).max() >= log(100))
    within(found, runs, 0.01)
    assert 0.14 < peeked / runs < 0.26


def test_alpha_is_spent_once_while_the_weights_change(runs: int, within: Callable[[int, int, float], None]) -> None:
    """A ramp over four splits of 2,500 units: counts restart, E goes on, at most alpha of the runs alarm. k = 100, so
    that the evidence is not bounded by the mixture's caution."""
    rng, alarms = np.random.default_rng(142), 0
    for _ in range(runs):
        watch = RatioWatch((0.99, 0.01), concentration=100.0)
        for share in (0.01, 0.05, 0.25, 0.5):
            watch = watch.reweigh((1 - share, share)).update((rng.random(2500) < share).astype(int))
        alarms += watch.evidence.reached(0.05)
    within(alarms, runs, 0.05)


def test_a_lost_twentieth_is_found() -> None:
    """Power: where one arm of two loses 5 % of its units, 20 of 20 runs find it within 100,000 units."""
    rng = np.random.default_rng(143)
    assert all(
        sample_ratio_path((rng.random(100_000) < 0.475 / 0.975).astype(int), (0.5, 0.5)).max() > log(100)
        for _ in range(20)
    )


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (0.5, -0.5), (0.5, float("nan"))])
def test_refuses_weights_that_split_nothing(weights: tuple[float, ...]) -> None:
    """Two arms or more, each with traffic."""
    with pytest.raises(ValueError, match="positive weight"):
        RatioWatch(weights).update([0])


def test_refuses_counts_that_are_none() -> None:
    """Negative counts and other lengths are errors; the order of magnitude of the weights does not matter."""
    with pytest.raises(ValueError, match="0 or more"):
        sample_ratio_log_e([-1, 5], (1.0, 1.0))
    with pytest.raises(ValueError, match="0 or more"):
        sample_ratio_log_e([1, 5, 6], (1.0, 1.0))
    assert sample_ratio_log_e([90, 20], (9.0, 1.0)) == pytest.approx(sample_ratio_log_e([90, 20], (0.9, 0.1)))
