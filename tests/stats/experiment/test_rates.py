from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlog1py, xlogy
from scipy.stats import binom, norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from fairlead.stats.experiment.rates import Counts, difference_interval, newcombe_interval, pooled_z, ratio_interval

Check = Callable[[int, int, float], None]
CASES = [
    (Counts(510, 5000), Counts(450, 5000)),
    (Counts(3, 1000), Counts(2, 800)),
    (Counts(1, 20000), Counts(9, 19000)),
    (Counts(40, 41), Counts(30, 40)),
    (Counts(7, 10), Counts(2, 9)),
]
counts = st.integers(1, 300).flatmap(lambda n: st.builds(Counts, st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("one", "two"), CASES)
def test_the_pooled_z_is_that_of_statsmodels(one: Counts, two: Counts) -> None:
    """z and p to 1e-9."""
    theirs = proportions_ztest([one.events, two.events], [one.units, two.units])
    assert pooled_z(one, two) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("one", "two"), CASES)
def test_newcombe_and_the_score_ratio_are_those_of_statsmodels(one: Counts, two: Counts) -> None:
    """Newcombe's difference to 1e-9, Miettinen and Nurminen's ratio to 1e-9 of its size."""
    args = (one.events, one.units, two.events, two.units)
    theirs = confint_proportions_2indep(*args, method="newcomb", compare="diff")
    assert newcombe_interval(one, two) == pytest.approx(theirs, abs=1e-9)
    theirs = confint_proportions_2indep(*args, method="score", compare="ratio")
    assert ratio_interval(one, two) == pytest.approx(theirs, rel=1e-9)


def by_likelihood(one: Counts, two: Counts, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval of the difference with the constrained rates found by maximising the likelihood itself.

    statsmodels 0.15 writes the control's events for its units in the cubic, and so differs in the third digit.
    """
    z, units = norm.isf(alpha / 2), one.units + two.units

    def loss(base: float, gap: float) -> float:
        sides = ((base + gap, one), (base, two))
        return -float(sum(xlogy(k.events, p) + xlog1py(k.units - k.events, -p) for p, k in sides))

    def score(gap: float) -> float:
        ends = (max(0.0, -gap), min(1.0, 1.0 - gap))
        base = minimize_scalar(loss, args=(gap,), bounds=ends, method="bounded", options={"xatol": 1e-13}).x
        other = base + gap
        variance = (other * (1 - other) / one.units + base * (1 - base) / two.units) * units / (units - 1)
        return float((one.rate - two.rate - gap) / math.sqrt(variance))

    middle = one.rate - two.rate
    low = brentq(lambda gap: score(gap) - z, -1 + 1e-6, middle, xtol=1e-13)
    return float(low), float(brentq(lambda gap: score(gap) + z, middle, 1 - 1e-6, xtol=1e-13))


@pytest.mark.parametrize(("one", "two"), CASES)
def test_the_score_interval_of_the_difference_is_the_likelihoods(one: Counts, two: Counts) -> None:
    """The closed form agrees with a numerical maximisation."""
    assert difference_interval(one, two) == pytest.approx(by_likelihood(one, two), abs=2e-7)


@settings(max_examples=50)
@given(counts, counts, st.floats(0.001, 0.3))
def test_difference_ratio_and_p_value_tell_the_same(one: Counts, two: Counts, alpha: float) -> None:
    """Both intervals hold what was measured, and exclude "no effect" together, exactly when p < alpha (but for the
    factor N / (N - 1))."""
    low, high = difference_interval(one, two, alpha)
    assert -1.0 <= low <= one.rate - two.rate <= high <= 1.0
    less, more = ratio_interval(one, two, alpha)
    assert 0.0 <= less <= more
    z, _ = pooled_z(one, two)
    units = one.units + two.units
    shrunk = abs(z) * math.sqrt((units - 1) / units) - norm.isf(alpha / 2)
    if abs(shrunk) > 1e-6:
        assert (low > 0.0 or high < 0.0) == (shrunk > 0)
        assert (less > 1.0 or more < 1.0) == (shrunk > 0)


@settings(max_examples=50)
@given(counts, counts)
def test_arms_are_interchangeable(one: Counts, two: Counts) -> None:
    """Swapped, the difference changes its sign and the ratio turns over."""
    low, high = difference_interval(one, two)
    assert difference_interval(two, one) == pytest.approx((-high, -low), abs=1e-9)
    less, more = ratio_interval(one, two)
    turned = ratio_interval(two, one)
    assert turned[0] == pytest.approx(0.0 if more == math.inf else 1.0 / more, rel=1e-6, abs=1e-9)
    assert turned[1] == (math.inf if less == 0.0 else pytest.approx(1.0 / less, rel=1e-6))


def test_nothing_happened_anywhere() -> None:
    """Without events the rates are equal as far as known, the difference is bounded and the ratio is not."""
    none = Counts(0, 50)
    assert pooled_z(none, none) == (0.0, 1.0)
    low, high = difference_interval(none, none)
    assert (low, high) == pytest.approx((-0.0720, 0.0720), abs=1e-3)
    assert ratio_interval(none, none) == (0.0, math.inf)
    assert ratio_interval(Counts(5, 50), none)[1] == math.inf
    assert ratio_interval(none, Counts(5, 50))[0] == 0.0


def test_a_margin_moves_the_hypothesis() -> None:
    """A treatment that is one point worse is no evidence against "worse by at most two"; p agrees with the interval."""
    one, two = Counts(900, 10_000), Counts(1_000, 10_000)
    z, p = pooled_z(one, two, margin=0.02)
    assert z > 0
    low, _ = difference_interval(one, two, alpha=p)
    assert low == pytest.approx(-0.02, abs=1e-9)


@pytest.mark.parametrize("call", [difference_interval, ratio_interval, newcombe_interval])
def test_impossible_input_is_refused(call: Callable[..., object]) -> None:
    """Counts and levels that cannot be."""
    with pytest.raises(ValueError, match="alpha is"):
        call(Counts(1, 2), Counts(1, 2), 0.0)
    for events, units in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="events in"):
            Counts(events, units)


@pytest.mark.parametrize("runs", [400, pytest.param(4_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("p1", "n1", "p0", "n0"),
    [(0.11, 500, 0.10, 500), (0.02, 400, 0.02, 400), (0.6, 80, 0.4, 120), (0.01, 3000, 0.004, 300)],
)
def test_intervals_of_two_rates_cover_as_stated(
    p1: float, n1: int, p0: float, n0: int, runs: int, at_least: Check
) -> None:
    """Score difference, score ratio and Newcombe hold the truth in 95 % of samples (to 0.75 points: an asymptotic law
    of counts), and equal rates are told apart in at most 5 % (to the same)."""
    rng = np.random.default_rng(21)
    hits = np.zeros(3, dtype=int)
    for one, two in zip(rng.binomial(n1, p1, runs).tolist(), rng.binomial(n0, p0, runs).tolist(), strict=True):
        sides = Counts(one, n1), Counts(two, n0)
        ends = difference_interval(*sides), newcombe_interval(*sides), ratio_interval(*sides)
        truths = (p1 - p0, p1 - p0, p1 / p0)
        hits += [low <= truth <= high for (low, high), truth in zip(ends, truths, strict=True)]
    for count in hits.tolist():
        at_least(count, runs, 0.9425)


@pytest.mark.parametrize("runs", [2_000, pytest.param(60_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("rate", "units"), [(0.1, 1_000), (0.5, 400), (0.02, 2_000)])
def test_equal_rates_are_rarely_told_apart(rate: float, units: int, runs: int, at_most: Check) -> None:
    """The pooled z-test at 5 %, once: at most 5.25 % false findings (its law is that of large counts)."""
    rng = np.random.default_rng(22)
    found = sum(
        pooled_z(Counts(int(one), units), Counts(int(two), units))[1] < 0.05
        for one, two in rng.binomial(units, rate, (runs, 2))
    )
    at_most(found, runs, 0.0525)


def test_the_pooled_z_is_a_law_of_large_counts() -> None:
    """Summed over all outcomes of 60 units an arm at a rate of one half, it rejects in between 5.4 and 5.6 %."""
    chance = binom.pmf(np.arange(61), 60, 0.5)
    size = sum(
        chance[one] * chance[two]
        for one in range(61)
        for two in range(61)
        if pooled_z(Counts(one, 60), Counts(two, 60))[1] < 0.05
    )
    assert 0.054 < size < 0.056
