"""Many small groups condensed in one pass."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stats.test_condensed import NUMBERS, REFERENCES, WORDS, columns, reference

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.condensed import condensed
from fairlead.stats.grid import CATEGORIES
from fairlead.stats.grouped import grouped
from fairlead.stats.profile import profile


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(REFERENCES),
    NUMBERS,
    WORDS,
    st.lists(st.lists(st.integers(0, 39), max_size=60), max_size=6),
)
def test_each_group_is_what_is_kept_of_its_rows(
    values: np.ndarray, numbers: list[float], words: list[str | None], groups: list[list[int]]
) -> None:
    """Whatever the rows, and however the groups overlap or repeat: to the last bit."""
    grids, both = reference(values).grids, columns(numbers, words)
    size = min(len(numbers), len(words))
    picked = [np.array([row for row in group if row < size], np.intp) for group in groups]
    found = grouped(both, grids, picked)
    for rows, sums in zip(picked, found, strict=True):
        mine = columns([numbers[row] for row in rows], [words[row] for row in rows])
        assert sums == condensed(profile(mine, grids))


def test_wide_cells_and_full_ones() -> None:
    """Gaps beyond a byte, and more rows in a cell than a byte counts."""
    grid = profile([NumericColumn("x", np.random.default_rng(0).normal(size=4_000))]).grids
    values = np.concatenate([np.full(70_000, 0.5), [-3.0, 3.0]])
    found = grouped([NumericColumn("x", values)], grid, [np.arange(values.size), np.array([70_000, 70_001])])
    for rows, sums in ((values, found[0]), (values[-2:], found[1])):
        assert sums == condensed(profile([NumericColumn("x", rows)], grid))


def test_open_vocabularies_go_the_plain_way() -> None:
    """Names beyond what is kept give way to buckets, as ever; and a column of the other kind that is all null is."""
    names = tuple(f"n{place}" for place in range(CATEGORIES + 5))
    many = CategoricalColumn("w", np.arange(len(names), dtype=np.int32), names)
    grids = profile([CategoricalColumn("w", np.zeros(3, np.int32), ("a",)), NumericColumn("x", np.arange(3.0))]).grids
    nulls = CategoricalColumn("x", np.full(len(names), -1, np.int32), ())
    rows = [np.arange(len(names)), np.arange(3)]
    for group, sums in zip(rows, grouped([many, nulls], grids, rows), strict=True):
        mine = [CategoricalColumn("w", many.codes[group], names), CategoricalColumn("x", nulls.codes[group], ())]
        assert sums == condensed(profile(mine, grids))
