"""Values of dealt units from counts: an e-process for a fall and for a rise of one arm's mean against the other's."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from fairlead.stats.sequential.dealt_values import (
    LEAST_UNITS,
    Counts,
    DealtUnits,
    deviation,
    falls_log_e,
    means,
    rises_log_e,
)

Values = NDArray[np.float64]
shares = st.floats(0.01, 0.99)


def counted(values: Values) -> Counts:
    """Values as (value, units)."""
    found, units = np.unique(values, return_counts=True)
    return tuple(zip(found.tolist(), units.tolist(), strict=True))


def grouped(share: float, values: Values, on_canary: NDArray[np.bool_]) -> DealtUnits:
    """Units of one share."""
    return DealtUnits(share, counted(values[~on_canary]), counted(values[on_canary]))


def expected_e(rho: float, rates: tuple[float, float], factor: float, offset: float, *, falls: bool) -> float:
    """E of the e-value over all outcomes of three units with values 0 or 1."""
    test, total = (falls_log_e if falls else rises_log_e), 0.0
    for outcome in product(product((0, 1), (0.0, 1.0)), repeat=3):
        chance, sides = 1.0, (Counter[float](), Counter[float]())
        for arm, value in outcome:
            chance *= (rho if arm else 1.0 - rho) * (rates[arm] if value else 1.0 - rates[arm])
            sides[arm][value] += 1
        group = DealtUnits(rho, tuple(sides[0].items()), tuple(sides[1].items()))
        total += chance * exp(test([group], factor, offset))
    return total


@given(shares, st.floats(0.0, 1.0), st.floats(0.3, 1.0), st.floats(-0.3, 0.0), st.floats(0.0, 0.3))
@settings(max_examples=60, deadline=None)
def test_under_a_fall_that_is_allowed_it_expects_nothing(
    rho: float, champion: float, factor: float, offset: float, better: float
) -> None:
    """Whatever the share, the rates and the bound: the e-value is at most 1 in expectation at the bound and above."""
    canary = factor * champion + offset + better
    assume(0.0 <= canary <= 1.0)
    assert expected_e(rho, (champion, canary), factor, offset, falls=True) <= 1.0 + 1e-9


@given(shares, st.floats(0.0, 1.0), st.floats(1.0, 2.0), st.floats(0.0, 0.3), st.floats(0.0, 0.3))
@settings(max_examples=60, deadline=None)
def test_under_a_rise_that_is_allowed_it_expects_nothing(
    rho: float, champion: float, factor: float, offset: float, better: float
) -> None:
    """The same from the other side."""
    canary = factor * champion + offset - better
    assume(0.0 <= canary <= 1.0)
    assert expected_e(rho, (champion, canary), factor, offset, falls=False) <= 1.0 + 1e-9


@given(shares, st.integers(1, 200), st.integers(1, 200), st.integers(0, 100), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_a_better_canary_never_looks_worse(rho: float, champion: int, canary: int, won: int, more: int) -> None:
    """Each unit of the canary that converts instead of not adds no evidence of a fall."""
    won, after = min(won, canary), min(won + more, canary)
    groups = [
        [DealtUnits(rho, ((0.0, champion), (1.0, champion)), ((0.0, canary - one), (1.0, one)))] for one in (won, after)
    ]
    assert falls_log_e(groups[1], 1.0, -0.02) <= falls_log_e(groups[0], 1.0, -0.02) + 1e-9


def test_what_compares_nothing_says_nothing() -> None:
    """No units, one arm alone, and a log that lost its end: no evidence, no error."""
    assert falls_log_e([], 1.0, -0.01) == rises_log_e([], 1.0, 0.01) == 0.0
    assert falls_log_e([DealtUnits(1.0, (), ((1.0, 500),))], 1.0, -0.01) == 0.0
    assert falls_log_e([DealtUnits(0.5, ((1.0, -3),), ((0.0, -2),))], 1.0, -0.01) == 0.0
    assert deviation([]) == 0.0
    assert means([]).champion is None


def test_a_change_of_share_does_not_look_like_harm() -> None:
    """A sale doubles the conversions of both arms while the canary's share grows: pooled rates would blame someone."""
    calm = DealtUnits(0.05, ((0.0, 8550), (1.0, 950)), ((0.0, 450), (1.0, 50)))
    sale = DealtUnits(0.5, ((0.0, 4000), (1.0, 1000)), ((0.0, 4000), (1.0, 1000)))
    assert falls_log_e([calm, sale], 1.0, -0.01) < 0.0
    assert rises_log_e([calm, sale], 1.0, 0.01) < 0.0


def test_money_is_judged_from_a_hundred_units_an_arm() -> None:
    """A limit law says nothing of a few; beyond, a halved revenue is seen."""
    few = DealtUnits(0.5, ((0.0, 50), (30.0, LEAST_UNITS)), ((0.0, LEAST_UNITS - 1),))
    many = DealtUnits(0.5, ((0.0, 4000), (30.0, 1000)), ((0.0, 4500), (30.0, 500)))
    assert falls_log_e([few], 0.9, 0.0) == 0.0
    assert falls_log_e([many], 0.9, 0.0) > log(1000.0)
    assert rises_log_e([many], 1.1, 0.0) < 0.0


KINDS = ("rare", "common", "money")


def stream(kind: str, rng: np.random.Generator, units: int, drop: float) -> tuple[Values, NDArray[np.bool_], Values]:
    """Values, arms and the share at each unit: 5 % at first, then half; an outage of both arms in the middle."""
    rho = np.where(np.arange(units) < units // 2, 0.05, 0.5)
    canary = rng.random(units) < rho
    base = 0.6 if kind == "common" else 0.05
    rate = np.where(canary, base * (1.0 - drop), base)
    rate[units // 3 : units // 2] *= 0.1
    values = (rng.random(units) < rate).astype(np.float64)
    if kind == "money":
        values *= np.round(np.exp(rng.normal(3.0, 1.5, units)))
    return values, canary, rho


def rolled_back(kind: str, rng: np.random.Generator, units: int, alpha: float, drop: float = 0.0) -> bool:
    """Whether a fall beyond nothing is ever called, at 25 looks. Conversions are seen late: some only looks later."""
    values, canary, rho = stream(kind, rng, units, drop)
    seen_at = np.arange(units) + rng.exponential(units / 20, units)
    for look in range(1, 26):
        now = units * look // 25
        shown = np.where(seen_at[:now] <= now, values[:now], 0.0)
        groups = [
            grouped(float(share), shown[rho[:now] == share], canary[:now][rho[:now] == share])
            for share in np.unique(rho[:now])
        ]
        if falls_log_e(groups, 1.0, -1e-9) >= log(1.0 / alpha):
            return True
    return False


def false_calls(kind: str, runs: int, units: int, alpha: float) -> int:
    """How many of equal versions are called worse."""
    rng = np.random.default_rng(11)
    return sum(rolled_back(kind, rng, units, alpha) for _ in range(runs))


@pytest.mark.parametrize("kind", KINDS)
def test_an_equal_version_is_called_worse_no_oftener_than_alpha(kind: str) -> None:
    """With a growing share, an outage of both arms, values that come late and heavy tails, at every look together."""
    assert false_calls(kind, 60, 4000, 0.1) <= binom.ppf(0.999, 60, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_equal_version_is_called_worse_no_oftener_than_alpha_in_many_runs(kind: str) -> None:
    """The same at alpha = 5 % over 2,000 rollouts."""
    assert false_calls(kind, 2000, 8000, 0.05) <= binom.ppf(0.999, 2000, 0.05)


@pytest.mark.parametrize(
    ("kind", "drop", "units"), [("rare", 0.6, 12_000), ("common", 0.15, 12_000), ("money", 0.8, 40_000)]
)
def test_a_worse_version_is_mostly_seen(kind: str, drop: float, units: int) -> None:
    """At alpha = 1 %, half of the units with a share of a half. Money whose tail is heavy takes the most."""
    rng = np.random.default_rng(12)
    assert sum(rolled_back(kind, rng, units, 0.01, drop) for _ in range(12)) >= 9


def test_an_equal_version_is_shown_to_keep_its_bound() -> None:
    """The rise against "below the bound" crosses for an equal version, and hardly ever for one at the bound."""
    rng = np.random.default_rng(13)

    def shown(rate: float) -> bool:
        canary = rng.random(20_000) < 0.5
        values = (rng.random(20_000) < np.where(canary, rate, 0.3)).astype(np.float64)
        return rises_log_e([grouped(0.5, values, canary)], 1.0, -0.05) >= log(20.0)

    assert sum(shown(0.3) for _ in range(20)) >= 19
    assert sum(shown(0.25) for _ in range(100)) <= binom.ppf(0.999, 100, 0.05)
