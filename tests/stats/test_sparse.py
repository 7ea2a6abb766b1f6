"""Profiles without grids and empty cells."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import TableProfile, profile
from fairlead.stats.sparse import CategoryCounts, NumericCounts, TableCounts, dense, sparse

NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5).map(float))


def table(numbers: list[float], words: list[str | None], reference: TableProfile | None = None) -> TableProfile:
    """A profile of one column of numbers and one of words, on its own grids or on those of another."""
    names = tuple(sorted({word for word in words if word is not None}))
    codes = np.array([-1 if word is None else names.index(word) for word in words], np.int32)
    columns: list[NumericColumn | CategoricalColumn] = [
        NumericColumn("x", np.array(numbers, float)),
        CategoricalColumn("w", codes, names),
    ]
    return profile(columns, None if reference is None else reference.grids)


@given(
    reference=st.lists(st.tuples(NUMBERS, st.sampled_from(["a", "b", None])), min_size=1, max_size=40),
    current=st.lists(st.tuples(NUMBERS, st.sampled_from(["a", "b", "c", None])), max_size=40),
)
def test_what_was_left_out_comes_back(
    reference: list[tuple[float, str | None]], current: list[tuple[float, str | None]]
) -> None:
    """For any rows, with nulls, infinities and unseen words: sparse, written, read and dense again are the same bytes
    on the reference's grids."""
    known = table([x for x, _ in reference], [w for _, w in reference])
    now = table([x for x, _ in current], [w for _, w in current], known)
    text = msgspec.msgpack.encode(sparse(now))
    again = dense(msgspec.msgpack.decode(text, type=TableCounts), known.grids)
    assert msgspec.json.encode(again) == msgspec.json.encode(now)


def test_few_rows_are_few_bytes() -> None:
    """Two hundred rows on a grid of a thousand cells: a fifth of the dense table or less, and no cut of the grid."""
    rng = np.random.default_rng(0)
    known = profile([NumericColumn("x", rng.normal(size=5_000))])
    now = profile([NumericColumn("x", rng.normal(size=200))], known.grids)
    assert len(msgspec.msgpack.encode(sparse(now))) < 4_000
    assert len(msgspec.json.encode(now)) > 40_000


def test_counts_of_others_are_refused() -> None:
    """Another number of columns, another kind, another grid, bytes that are no numbers: told, never miscounted."""
    known = table([1.0, 2.0, 3.0], ["a", "b", None])
    one, two = sparse(known).columns
    assert isinstance(one, NumericCounts)
    assert isinstance(two, CategoryCounts)
    for columns, said in (
        ((one,), "counts of 1 columns, and 2 grids"),
        ((two, one), "another kind"),
        (
            (msgspec.structs.replace(one, cells=b"0\xff", counts=b"0\x01", high=b"0\x00", low=b"0\x00"), two),
            "its|it has",
        ),
        ((msgspec.structs.replace(one, counts=b""), two), "no packed numbers"),
        ((one, msgspec.structs.replace(two, counts=b"9")), "no packed numbers"),
    ):
        with pytest.raises(TableError, match=said):
            dense(TableCounts(3, columns), known.grids)
