from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.cells import EXPECTED, Cells, merge_neighbours, merge_rare, shared_cells
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import profile_column

counts = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=40).filter(
    lambda rows: sum(a for a, _ in rows) > 0 and sum(b for _, b in rows) > 0
)


def enough(cells: Cells) -> bool:
    """Whether every cell can be expected to hold 5 rows of the smaller sample."""
    total = cells.reference + cells.current
    return bool((total * min(cells.n, cells.m) / (cells.n + cells.m) >= EXPECTED - 1e-9).all())


@given(counts)
def test_merged_cells_keep_every_row_and_are_large_enough(rows: list[tuple[int, int]]) -> None:
    """Merging loses no row, and leaves either one cell or cells of at least 5 expected rows."""
    one, two = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    for merge in (merge_neighbours, merge_rare):
        cells = merge(one, two)
        assert (cells.n, cells.m) == (one.sum(), two.sum())
        assert cells.freedom == 0 or enough(cells)


@given(counts)
def test_merging_does_not_know_which_sample_is_the_reference(rows: list[tuple[int, int]]) -> None:
    """Swapping the samples swaps the counts and changes no cell: the test stays valid whoever missed a category."""
    one, two = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    for merge in (merge_neighbours, merge_rare):
        there, back = merge(one, two), merge(two, one)
        assert np.array_equal(there.reference, back.current)
        assert np.array_equal(there.current, back.reference)


def test_ten_bins_of_a_continuous_reference() -> None:
    """The reference's deciles, about a tenth each."""
    rng = np.random.default_rng(0)
    reference = profile_column(NumericColumn("x", rng.normal(size=10_000)))
    current = profile_column(NumericColumn("x", rng.normal(size=5_000)), reference.grid)
    cells = shared_cells(reference, current)
    assert cells.freedom == 9
    assert np.allclose(cells.shares[0], 0.1, atol=0.002)


def test_a_heavy_value_is_a_bin_of_its_own_and_news_on_either_side_are_seen() -> None:
    """Of a constant column, values below and above are bins of their own."""
    reference = profile_column(NumericColumn("x", np.full(100, 5.0)))
    current = profile_column(NumericColumn("x", np.repeat([4.0, 5.0, 6.0], [30, 40, 30])), reference.grid)
    cells = shared_cells(reference, current)
    assert cells.reference.tolist() == [0.0, 100.0, 0.0]
    assert cells.current.tolist() == [30.0, 40.0, 30.0]


def test_unseen_categories_are_cells_by_name() -> None:
    """A new category with enough rows is a cell; two profiles that saw different news are aligned."""
    names = ("a", "b", "new", "newer")
    codes = np.zeros(100, dtype=np.int32)
    reference = profile_column(CategoricalColumn("x", codes, names))
    current = profile_column(
        CategoricalColumn("x", np.repeat([0, 2, 3], [60, 30, 10]).astype(np.int32), names), reference.grid
    )
    cells = shared_cells(reference, current)
    assert sorted(cells.current.tolist()) == [10.0, 30.0, 60.0]
    assert sorted(cells.reference.tolist()) == [0.0, 0.0, 100.0]


def test_an_open_vocabulary_is_compared_in_buckets() -> None:
    """Names of two halves of an identifier column fall into the same buckets alike."""
    names = tuple(f"user-{i}" for i in range(24_000))
    one = profile_column(CategoricalColumn("x", np.arange(0, 24_000, 2, dtype=np.int32), names))
    two = profile_column(CategoricalColumn("x", np.arange(1, 24_000, 2, dtype=np.int32), names), one.grid)
    cells = shared_cells(one, two)
    assert cells.freedom > 500
    assert (cells.n, cells.m) == (12_000, 12_000)


def test_no_rows_are_no_cells_and_two_kinds_are_a_mistake() -> None:
    """An empty side has nothing to compare; numbers and categories cannot be compared."""
    numbers = profile_column(NumericColumn("x", np.arange(9.0)))
    nulls = profile_column(NumericColumn("x", np.full(3, np.nan)), numbers.grid)
    words = profile_column(CategoricalColumn("x", np.zeros(3, dtype=np.int32), ("a",)))
    void = profile_column(CategoricalColumn("x", np.full(3, -1, dtype=np.int32), ("a",)), words.grid)
    assert shared_cells(numbers, nulls).freedom == shared_cells(words, void).freedom == 0
    with pytest.raises(TypeError, match="cannot be compared"):
        shared_cells(numbers, words)
