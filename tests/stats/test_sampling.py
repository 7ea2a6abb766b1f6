from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fairlead.stats.sampling import LONGEST, SIZE, chosen


@given(st.integers(1, 5_000), st.integers(1, 300), st.lists(st.integers(0, 5_000), max_size=6), st.integers(0, 9))
def test_the_sample_does_not_depend_on_how_the_table_is_cut(total: int, size: int, cuts: list[int], seed: int) -> None:
    """Any partition gives the same rows of the table, and as many as asked."""
    whole = chosen(total, 0, total, size=size, seed=seed)
    edges = [0, *sorted(min(cut, total) for cut in cuts), total]
    pieces = [chosen(total, a, b - a, size=size, seed=seed) + a for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert whole.size == min(size, total)
    assert np.all(np.diff(whole) > 0)
    assert whole.min() >= 0
    assert whole.max() < total


@given(st.integers(1, 10**12), st.integers(4, 300))
def test_there_is_one_row_of_each_block(total: int, size: int) -> None:
    """However long the table is, a row stands in its block."""
    total += size
    rows = min(total, 4 * total // size)
    found = chosen(total, 0, rows, size=size)
    blocks = np.arange(found.size)
    assert found.size >= 3
    assert np.all((blocks * total // size <= found) & (found < (blocks + 1) * total // size))


def test_a_table_of_a_million_rows_is_its_own_sample() -> None:
    """Nothing is left out up to the sample's size, and one row more is still the full sample."""
    assert chosen(SIZE, SIZE - 3, 3).tolist() == [0, 1, 2]
    assert chosen(SIZE + 1, 0, SIZE + 1).size == SIZE


def test_a_period_in_the_rows_does_not_bias_the_sample() -> None:
    """Every tenth row of a table is marked, a tenth is sampled: about a tenth of the sample is marked."""
    marked = [np.count_nonzero(chosen(100_000, 0, 100_000, size=10_000, seed=seed) % 10 == 0) for seed in range(100)]
    low, high = binom.ppf([0.0005, 0.9995], 1_000_000, 0.1)
    assert low <= sum(marked) <= high


def test_a_share_of_the_sample_is_as_close_as_the_bound_says() -> None:
    """DKW: over all x, |F_sample - F| exceeds sqrt(ln(2 / 0.05) / (2 size)) in at most 5 % of samples."""
    rng = np.random.default_rng(5)
    values = rng.lognormal(size=20_000) + np.linspace(0, 1, 20_000)  # a trend, too
    size, runs, over = 1_000, 400, 0
    bound = np.sqrt(np.log(2 / 0.05) / (2 * size))
    order = np.sort(values)
    for seed in range(runs):
        sample = np.sort(values[chosen(values.size, 0, values.size, size=size, seed=seed)])
        at = np.searchsorted(order, sample, side="right") / order.size
        ranks = np.arange(1, size + 1) / size
        over += max(np.abs(ranks - at).max(), np.abs(ranks - 1 / size - at).max()) > bound
    assert binom.sf(over - 1, runs, 0.05) > 0.001


def test_a_cell_holds_its_share_as_closely_as_promised() -> None:
    """The share of rows below a sampled quantile has at most the standard deviation sqrt(F (1 - F) / size)."""
    values = np.random.default_rng(6).normal(size=50_000)
    order = np.sort(values)
    size, runs = 2_000, 300
    shares = []
    for seed in range(runs):
        sample = np.sort(values[chosen(values.size, 0, values.size, size=size, seed=seed)])
        shares.append(np.searchsorted(order, sample[size // 5], side="right") / order.size)
    nominal = np.sqrt(0.2 * 0.8 / size)
    beyond = sum(abs(share - 0.2) > 1.96 * nominal for share in shares)
    assert binom.sf(beyond - 1, runs, 0.05) > 0.001


@pytest.mark.parametrize(("start", "rows"), [(-1, 2), (0, 11), (4, -1)])
def test_rows_outside_the_table_are_refused(start: int, rows: int) -> None:
    """There is no sample of what is not there."""
    with pytest.raises(ValueError, match="not within a table of 10"):
        chosen(10, start, rows)


def test_a_table_beyond_the_arithmetic_is_refused() -> None:
    """Rather than wrapped around."""
    with pytest.raises(ValueError, match="too many to sample"):
        chosen(LONGEST + 1, 0, 10)
