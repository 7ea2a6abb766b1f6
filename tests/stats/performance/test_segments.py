"""Comparisons of many slices: what is called worse, what holds, and what is not settled."""

from __future__ import annotations

from math import inf, isinf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.performance import UNDEFINED, Measure, auroc_interval, mean_interval, proportion
from fairlead.stats.performance.segments import Comparison, Pair, Standing, compare


def shares(*hits: tuple[int, int, int, int]) -> list[Pair]:
    """Pairs of shares: hits of rows, against hits of rows."""
    return [Pair(f"s{at}", n, proportion(k, n), m, proportion(h, m)) for at, (k, n, h, m) in enumerate(hits)]


def one(pair: Pair, **how: float) -> Comparison:
    """A single comparison, higher is better."""
    return compare([pair], higher_is_better=True, **how)[0]  # type: ignore[arg-type]


def test_worse_needs_significance_and_effect() -> None:
    """A large gap on few rows and a small gap on many are both no breach; a large gap on many is."""
    few, small, large = shares((30, 40, 850, 1_000), (83_000, 100_000, 850_000, 1_000_000), (700, 1_000, 850, 1_000))
    assert one(few).standing is Standing.UNDECIDED
    found = one(small)
    assert found.p_value < 1e-6
    assert found.standing is Standing.HOLDS
    assert one(large).standing is Standing.BREACHED


def test_holds_needs_an_interval_that_leaves_no_room() -> None:
    """The same shares hold on many rows and are undecided on few, with what would have been seen."""
    few, many = shares((85, 100, 850, 1_000), (8_500, 10_000, 85_000, 100_000))
    assert (one(few).standing, one(many).standing) == (Standing.UNDECIDED, Standing.HOLDS)
    assert one(few).detectable > one(few).allowed > one(many).detectable > 0


def test_lower_is_better_is_the_mirror() -> None:
    """An error that rose is worse, one that fell is not."""
    rng = np.random.default_rng(0)
    low, high = mean_interval(rng.exponential(1, 2_000)), mean_interval(rng.exponential(2, 2_000))
    pairs = [Pair("rose", 2_000, high, 2_000, low), Pair("fell", 2_000, low, 2_000, high)]
    found = compare(pairs, higher_is_better=False)
    assert [each.standing for each in found] == [Standing.BREACHED, Standing.HOLDS]


def test_too_few_rows_and_undefined_values_are_told_apart() -> None:
    """Fewer rows than asked are undecided, whatever they show; a value that enough rows do not define is unmeasured."""
    assert one(Pair("few", 29, proportion(1, 29), 1_000, proportion(900, 1_000))).standing is Standing.UNDECIDED
    assert one(Pair("none", 0, UNDEFINED, 1_000, proportion(9, 10))).standing is Standing.UNDECIDED
    assert one(Pair("odd", 40, UNDEFINED, 1_000, proportion(9, 10))).standing is Standing.UNMEASURED
    bare = one(Pair("bare", 40, Measure(0.5, nan, nan), 1_000, proportion(9, 10)))
    assert (bare.standing, isinf(bare.detectable)) == (Standing.UNDECIDED, True)
    wide = one(Pair("wide", 40, Measure(0.5, -inf, inf), 1_000, proportion(9, 10)))
    assert wide.standing is Standing.UNDECIDED
    assert compare([], higher_is_better=True) == ()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_q_values_are_those_of_all_questions(hits: list[tuple[int, int]]) -> None:
    """Benjamini-Hochberg over the p-values, in their order, and never below them."""
    found = compare(shares(*((k, 50, h, 50) for k, h in hits)), higher_is_better=True)
    assert [each.q_value for each in found] == list(benjamini_hochberg([each.p_value for each in found]))
    assert all(each.q_value >= each.p_value * (1 - 1e-12) for each in found)


def test_wrong_terms_are_refused() -> None:
    """A negative tolerance and an impossible level."""
    with pytest.raises(ValueError, match="tolerance is -1"):
        compare([], higher_is_better=True, tolerance=-1)
    with pytest.raises(ValueError, match="level is 95"):
        compare(shares((1, 40, 2, 40)), higher_is_better=True, level=95)


def sliced(rng: np.random.Generator, worse: int) -> list[Pair]:
    """AUROC of eight slices of 1,600 rows, each against the rest; the score knows less in the first `worse` of them."""
    place = rng.integers(0, 8, 1_600)
    truth = (rng.random(1_600) < 0.35).astype(np.float64)
    score = rng.normal(size=1_600) + truth * np.where(place < worse, 0.2, 1.3)
    found = []
    for at in range(8):
        mine = place == at
        value, rest = auroc_interval(truth[mine], score[mine]), auroc_interval(truth[~mine], score[~mine])
        found.append(Pair(str(at), int(mine.sum()), value, int((~mine).sum()), rest))
    return found


def called(pairs: list[Pair]) -> list[str]:
    """The slices that are significantly worse, whatever the tolerance."""
    return [
        each.name for each in compare(pairs, higher_is_better=True, tolerance=0.0) if each.standing is Standing.BREACHED
    ]


@pytest.mark.parametrize("runs", [60, pytest.param(1_000, marks=pytest.mark.slow)])
def test_where_nothing_differs_slices_are_seldom_called_worse(runs: int) -> None:
    """Eight equal slices, no tolerance: at most 5 % of the reports have any called worse."""
    rng = np.random.default_rng(1)
    alarms = sum(bool(called(sliced(rng, 0))) for _ in range(runs))
    assert binom.sf(alarms - 1, runs, 0.05) > 1e-4


@pytest.mark.parametrize("runs", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_where_two_differ_they_are_found_and_few_others(runs: int) -> None:
    """Two of eight slices are worse: both are found in four reports of five, and 5 % of those called are not worse."""
    rng = np.random.default_rng(2)
    both, false = 0, 0.0
    for _ in range(runs):
        names = called(sliced(rng, 2))
        both += {"0", "1"} <= set(names)
        false += sum(name not in "01" for name in names) / max(len(names), 1)
    assert both > 0.8 * runs
    assert false / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
