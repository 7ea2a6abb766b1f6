"""How far the scores of two arms are apart."""

from __future__ import annotations

from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.score_shift import DealtCells, shift_log_e, shift_of

EDGES = np.quantile(np.random.default_rng(5).normal(size=100_000), np.arange(1, 10) / 10)
EVEN = [0.1] * 10
LIMIT = log(100)

_SHARES = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3).map(lambda raw: np.array(raw) / sum(raw))


@given(_SHARES, _SHARES, _SHARES, st.sampled_from([0.01, 0.2, 0.5, 0.9]))
def test_two_units_expect_nothing_within_the_bound(
    champion: np.ndarray, canary: np.ndarray, expected: np.ndarray, rho: float
) -> None:
    """Whatever both arms' shares and the expected ones: with their distance for a bound E expects at most 1, over every
    way in which two units are dealt and score."""
    bound = float(np.abs(np.cumsum(canary - champion)[:-1]).max())
    total = 0.0
    for outcome in product(product((False, True), range(3)), repeat=2):
        chance, cells = 1.0, [[0, 0, 0], [0, 0, 0]]
        for on_canary, cell in outcome:
            chance *= (rho * canary[cell]) if on_canary else ((1.0 - rho) * champion[cell])
            cells[on_canary][cell] += 1
        group = DealtCells(rho, tuple(cells[0]), tuple(cells[1]))
        total += chance * exp(shift_log_e([group], expected.tolist(), bound))
    assert total <= 1.0 + 1e-9


def peak(
    rng: np.random.Generator, by: float, bound: float, drift: float = 0.0, units: int = 6_000
) -> tuple[float, int]:
    """The largest evidence over 60 looks while the canary grows from 5 to 25 %, both arms' scores drifting by so many
    deviations; and the canary's units when it reached ln 100 (all of them where it did not)."""
    time = np.arange(units) / units
    share = np.where(time < 0.5, 0.05, 0.25)
    on_canary = rng.random(units) < share
    cells = np.searchsorted(EDGES, rng.normal(size=units) + drift * time + by * on_canary)
    best, seen = -np.inf, int(on_canary.sum())
    for end in range(units // 60, units + 1, units // 60):
        groups = []
        for one in (0.05, 0.25):
            arms = [
                np.bincount(cells[:end][(share[:end] == one) & (on_canary[:end] == arm)], minlength=10)
                for arm in (False, True)
            ]
            groups.append(DealtCells(one, *(tuple(int(n) for n in arm) for arm in arms)))
        value = shift_log_e(groups, EVEN, bound)
        if best < LIMIT <= value:
            seen = int(on_canary[:end].sum())
        best = max(best, value)
    return best, seen


def alarms(runs: int, by: float, bound: float, drift: float) -> int:
    rng = np.random.default_rng(31)
    return sum(peak(rng, by, bound, drift)[0] >= LIMIT for _ in range(runs))


CASES = [(0.0, 0.01, 0.0), (0.0, 0.01, 2.0), (0.5066, 0.2, 0.0), (-0.5066, 0.2, 0.0)]


@pytest.mark.parametrize(("by", "bound", "drift"), CASES)
def test_scores_within_the_bound_are_called_apart_no_oftener_than_alpha(by: float, bound: float, drift: float) -> None:
    """No difference; both arms drift by two deviations; the distance is the bound. Of 60 runs one is expected."""
    assert alarms(60, by, bound, drift) <= 4


@pytest.mark.slow
@pytest.mark.parametrize(("by", "bound", "drift"), CASES)
def test_scores_within_the_bound_are_called_apart_no_oftener_than_alpha_in_many_runs(
    by: float, bound: float, drift: float
) -> None:
    """2,000 runs: 20 are expected at most, 33 would be three deviations more."""
    assert alarms(2_000, by, bound, drift) <= 33


def test_a_version_that_scores_higher_is_found_while_both_drift() -> None:
    """+0.7 deviations are a distance of 0.27: 0.1 is left behind after some two hundred of the canary's units."""
    rng = np.random.default_rng(37)
    found = [peak(rng, 0.7, 0.1, drift=1.0) for _ in range(20)]
    assert all(value >= LIMIT for value, _ in found)
    assert np.median([seen for _, seen in found]) < 300


def test_a_group_that_compares_nothing_says_nothing() -> None:
    """A share of 0 or 1, no unit at all, or counts that a lost log left below 0."""
    alone = DealtCells(1.0, (), (5, 0))
    assert shift_log_e([alone], [0.5, 0.5], 0.1) == 0.0
    assert shift_log_e([], [0.5, 0.5], 0.1) == 0.0
    assert shift_log_e([DealtCells(0.5, (-3, -1), (-1, 0))], [0.5, 0.5], 0.1) == 0.0
    assert shift_of([alone]).difference == 0.0


def test_arms_that_were_dealt_at_two_shares_are_weighed_alike() -> None:
    """Scores that differ between two times, and not between the arms, are no difference."""
    early, late = DealtCells(0.1, (900, 0), (100, 0)), DealtCells(0.5, (0, 500), (0, 500))
    assert abs(shift_of([early, late]).difference) < 1e-12


@pytest.mark.parametrize("expected", [[1.0], [], [0.0, 0.0]])
def test_refuses_fewer_than_two_cells(expected: list[float]) -> None:
    """Without an edge there is nothing to be above."""
    with pytest.raises(ValueError, match="two cells or more"):
        shift_log_e([], expected, 0.1)
