from __future__ import annotations

from math import inf, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from fairlead.stats.shadow import (
    by_segment,
    differences,
    flip_rate,
    mcnemar,
    mcnemar_log_e,
    mcnemar_path,
    worst_rows,
)

counts = st.integers(0, 200)
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120)


@given(counts, counts)
def test_the_exact_p_value_is_that_of_statsmodels(lost: int, won: int) -> None:
    """McNemar's exact test, to 1e-9."""
    if lost + won:
        expected = reference_mcnemar([[5, lost], [won, 7]], exact=True).pvalue
        assert mcnemar(lost, won) == pytest.approx(float(expected), abs=1e-9)
    else:
        assert mcnemar(lost, won) == 1.0


@given(counts, counts)
def test_the_anytime_form_is_a_ratio_of_mixtures(lost: int, won: int) -> None:
    """B(1/2 + b, 1/2 + c) / B(1/2, 1/2) 2^(b + c); the same for both directions."""
    beta = lgamma(0.5 + lost) + lgamma(0.5 + won) - lgamma(1 + lost + won) - 2 * lgamma(0.5)
    assert mcnemar_log_e(lost, won) == pytest.approx(beta + (lost + won) * log(2), abs=1e-9)
    assert mcnemar_log_e(lost, won) == pytest.approx(mcnemar_log_e(won, lost))


@given(pairs)
def test_the_path_is_the_counts_at_every_pair(rows: list[tuple[bool, bool]]) -> None:
    """After each pair the path is what the counts so far give; pairs that agree change nothing."""
    one, two = (np.array(side) for side in zip(*rows, strict=True))
    path = mcnemar_path(one, two)
    for n in range(1, len(rows) + 1):
        lost, won = int((one & ~two)[:n].sum()), int((~one & two)[:n].sum())
        assert path[n - 1] == pytest.approx(mcnemar_log_e(lost, won), abs=1e-9)


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_equal_versions_are_rarely_told_apart_at_any_look(runs: int) -> None:
    """Two versions right equally often, a look after each of 2,000 pairs: at most alpha ever alarm."""
    rng, alpha, alarms = np.random.default_rng(171), 0.05, 0
    for _ in range(runs // 50):
        one, two = rng.random((50, 2000)) < 0.8, rng.random((50, 2000)) < 0.8
        alarms += int((mcnemar_path(one, two).max(axis=1) >= log(1 / alpha)).sum())
    assert binom.sf(alarms - 1, runs, alpha) >= 0.001


def test_flips_are_counted_for_decisions_of_any_kind() -> None:
    """Names, numbers and booleans; the interval holds the rate; without pairs it is everything."""
    for one, two in (
        (["a", "b", "c"], ["a", "x", "c"]),
        ([1, 2, 3], [1, 5, 3]),
        ([True, False, True], [True, True, True]),
    ):
        found = flip_rate(one, two)
        assert (found.pairs, found.flips) == (3, 1)
        assert found.low <= found.rate <= found.high
    empty = flip_rate([], [])
    assert np.isnan(empty.rate)
    assert (empty.low, empty.high) == (0.0, 1.0)


def test_the_distribution_of_differences() -> None:
    """Mean, spread and quantiles are numpy's; the interval opens before 100 pairs; no pairs give nan."""
    rng = np.random.default_rng(172)
    one, two = rng.random(400), rng.random(400)
    found = differences(one, two)
    gaps = two - one
    assert found.mean == pytest.approx(gaps.mean(), abs=1e-12)
    assert found.deviation == pytest.approx(gaps.std(), abs=1e-12)
    assert found.quantiles[3] == pytest.approx(np.median(gaps))
    assert found.low < 0.0 < found.high
    few = differences(one[:50], two[:50])
    assert (few.low, few.high) == (-inf, inf)
    none = differences([], [])
    assert none.pairs == 0
    assert np.isnan(none.mean)


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=40), st.integers(-1, 50))
def test_the_worst_rows_are_those_that_differ_most(gaps: list[float], count: int) -> None:
    """In order of size, ties in the order of the rows; no more than there are."""
    found = worst_rows(np.zeros(len(gaps)), gaps, count).tolist()
    expected = sorted(range(len(gaps)), key=lambda i: (-abs(gaps[i]), i))[: max(count, 0)]
    assert [abs(gaps[i]) for i in found] == [abs(gaps[i]) for i in expected]
    assert len(set(found)) == len(expected)


def test_the_segment_that_differs_is_named() -> None:
    """One of ten segments loses a fifth of its decisions; it alone is found, and first."""
    rng = np.random.default_rng(173)
    segments = np.array([f"s{i}" for i in rng.integers(0, 10, 5000)])
    one = rng.random(5000) < 0.9
    two = rng.random(5000) < 0.9
    two &= ~((segments == "s3") & (rng.random(5000) < 0.2))
    found = by_segment(one, two, segments)
    assert found[0].segment == "s3"
    assert [segment.segment for segment in found if segment.differs] == ["s3"]
    assert sum(segment.pairs for segment in found) == 5000
    assert by_segment([], [], []) == ()


def test_refuses_what_is_no_pair() -> None:
    """Lengths that differ, negative counts, outcomes that are not 0 or 1, scores that are nan."""
    for use in (
        lambda: flip_rate([1, 2], [1]),
        lambda: differences([0.1, 0.2], [0.1]),
        lambda: mcnemar_path([1, 0], [1]),
    ):
        with pytest.raises(ValueError, match="both answers to one request"):
            use()
    with pytest.raises(ValueError, match="0 or more"):
        mcnemar(-1, 3)
    with pytest.raises(ValueError, match="must be 0 or 1"):
        mcnemar_path([0.5], [1])
    with pytest.raises(ValueError, match="score 1 is nan"):
        worst_rows([0.1, np.nan], [0.1, 0.2])
    with pytest.raises(ValueError, match="name of its segment"):
        by_segment([1], [0], [])
