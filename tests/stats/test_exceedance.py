"""One window's mean loss against the held-out one and a tolerance: exact for 0/1 losses, and kept for others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from fairlead.stats.exceedance import LossSums, Tolerance, exceedance, sums_of

NONE, USUAL = Tolerance(), Tolerance(0.1, 0.01)


def counted(bad: int, rows: int) -> LossSums:
    return LossSums(rows, bad, bad, bad)


@given(st.integers(0, 60), st.integers(60, 200), st.integers(0, 90), st.integers(90, 300))
def test_without_a_tolerance_it_is_fishers_exact_test(bad: int, rows: int, known: int, held: int) -> None:
    """Whatever was counted, to the sixth digit."""
    found = exceedance(counted(bad, rows), counted(known, held), NONE)
    table = [[bad, rows - bad], [known, held - known]]
    assert found == pytest.approx(fisher_exact(table, "greater").pvalue, rel=1e-6, abs=1e-9)


@given(st.integers(1, 99), st.integers(1, 400), st.floats(0.0, 0.5), st.floats(0.0, 0.2))
def test_more_that_is_bad_is_more_evidence_and_more_tolerance_less(
    bad: int, known: int, share: float, points: float
) -> None:
    """In the window's losses, in the held-out ones, and in what is tolerated."""
    held, tolerated = counted(known, 500), Tolerance(share, points)
    here = exceedance(counted(bad, 100), held, tolerated)
    assert exceedance(counted(bad + 1, 100), held, tolerated) <= here + 1e-12
    assert exceedance(counted(bad, 100), counted(known + 1, 500), tolerated) >= here - 1e-12
    assert exceedance(counted(bad, 100), held, NONE) <= here + 1e-12
    assert 0.0 <= here <= 1.0


@pytest.mark.parametrize(
    ("held", "rows", "rate"),
    [(302, 202, 0.07), (200, 100, 0.02)]
    + [
        pytest.param(*one, marks=pytest.mark.slow)
        for one in [(2_000, 400, 0.05), (500, 1_000, 0.3), (1_000, 3_000, 0.1)]
    ],
)
def test_a_tolerated_rate_is_exceeded_no_more_often_than_stated(held: int, rows: int, rate: float) -> None:
    """By enumeration, not by chance: at the edge of what is tolerated at most alpha, and where nothing is worse not a
    third of that."""
    sizes = {alpha: [0.0, 0.0] for alpha in (0.025, 0.01, 0.001)}
    total = 0.0
    step = max(1, int(6.0 * (held * rate) ** 0.5) // 20)
    for known in range(0, held, step):
        weight = float(binom.pmf(known, held, rate))
        total += weight
        for alpha, size in sizes.items() if weight > 1e-7 else ():
            first = fewest(counted(known, held), rows, alpha)
            size[0] += weight * float(binom.sf(first - 1, rows, USUAL.above(rate)))
            size[1] += weight * float(binom.sf(first - 1, rows, rate))
    for alpha, (edge, calm) in sizes.items():
        assert edge / total <= alpha
        assert calm / total <= alpha / 3.0


def fewest(held: LossSums, rows: int, alpha: float) -> int:
    """The fewest bad ones of a window that exceed."""
    low, high = 0, rows + 1
    while low < high:
        middle = (low + high) // 2
        if exceedance(counted(middle, rows), held, USUAL) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


@pytest.mark.parametrize("runs", [1_500, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("held", "rows"), [(300, 2_000), (1_000, 300), (300, 300)])
def test_skewed_losses_keep_their_level(held: int, rows: int, runs: int) -> None:
    """Absolute errors of a normal and an exponential kind, cut at 1; also where few held-out rows carry the error."""
    rng = np.random.default_rng(7)
    for draw in (rng.standard_exponential, lambda size: np.abs(rng.normal(size=size)) / 0.798):
        false = {0.025: 0, 0.001: 0}
        mean = float(np.minimum(0.08 * draw(1_000_000), 1.0).mean())
        worse = USUAL.above(mean) / mean
        for _ in range(runs):
            before, now = (np.minimum(0.08 * draw(size), 1.0) for size in (held, rows))
            p = exceedance(sums_of(now * worse), sums_of(before), USUAL)
            for alpha in false:
                false[alpha] += p <= alpha
        for alpha, count in false.items():
            assert count <= runs * alpha * 1.15 + 3.3 * (runs * alpha) ** 0.5


@pytest.mark.parametrize("runs", [300, pytest.param(4_000, marks=pytest.mark.slow)])
def test_it_sees_a_window_that_a_bound_and_a_bet_do_not(runs: int) -> None:
    """625 decisions of which 10 % are wrong, against 5.55 % of 50,000 held out: found in more than 8 of 10 windows, at
    once."""
    rng = np.random.default_rng(3)
    held = counted(2_775, 50_000)
    found = sum(exceedance(counted(int(bad), 625), held, USUAL) <= 0.025 for bad in rng.binomial(625, 0.1, runs))
    assert found >= 0.8 * runs


def test_nothing_is_no_evidence() -> None:
    """No row, no held-out row, no loss, held-out rows of which each is lost; equal values need no chance to differ."""
    none = LossSums()
    assert exceedance(none, counted(1, 9), USUAL) == 1.0
    assert exceedance(counted(1, 9), none, USUAL) == 1.0
    assert exceedance(counted(0, 9), counted(1, 9), USUAL) == 1.0
    assert exceedance(counted(9, 9), counted(9, 9), USUAL) == 1.0
    same = sums_of([0.5] * 10)
    assert exceedance(same, sums_of([0.5] * 20), NONE) == 1.0
    assert exceedance(same, sums_of([0.25] * 20), USUAL) == 0.0
    assert exceedance(sums_of([0.5]), sums_of([0.25] * 20), USUAL) == 1.0
    assert none.mean == 0.0


@given(st.lists(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0)), max_size=30))
def test_sums_are_of_powers_and_know_what_is_counted(losses: list[float]) -> None:
    """Of any losses; exact where each is 0 or 1, also none at all."""
    found = sums_of(losses)
    assert found.count == len(losses)
    assert (found.total, found.squares, found.cubes) == pytest.approx([sum(x**k for x in losses) for k in (1, 2, 3)])
    assert found.exact == all(x in (0.0, 1.0) for x in losses)
