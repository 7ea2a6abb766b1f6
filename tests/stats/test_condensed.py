"""Profiles as they are kept by the hour."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.condensed import CategorySums, NumericSums, TableSums, added, condensed, expanded
from fairlead.stats.drift import compare
from fairlead.stats.profile import NumericProfile, TableProfile, profile

NUMBERS = st.lists(
    st.one_of(st.floats(-1e3, 1e3), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 3.0, 1e300, -1e18])), max_size=40
)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "new", None]), max_size=40)
REFERENCES = (
    np.random.default_rng(0).normal(size=3_000),
    np.arange(7.0),
    np.array([5.0]),
    np.array([np.nan]),
    np.concatenate([np.zeros(500), np.random.default_rng(1).exponential(100.0, 2_000)]),
)


def columns(numbers: list[float], words: list[str | None]) -> list[Column]:
    """Two columns of equal length."""
    size = min(len(numbers), len(words))
    names = sorted({word for word in words[:size] if word is not None})
    codes = [-1 if word is None else names.index(word) for word in words[:size]]
    return [
        NumericColumn("x", np.array(numbers[:size], np.float64)),
        CategoricalColumn("w", np.array(codes, np.int32), tuple(names)),
    ]


def reference(values: np.ndarray) -> TableProfile:
    """On whose grids everything is counted."""
    words = CategoricalColumn("w", np.zeros(values.size, np.int32), ("a",))
    return profile([NumericColumn("x", values), words])


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(REFERENCES), st.lists(st.tuples(NUMBERS, WORDS), min_size=1, max_size=4), st.randoms())
def test_a_sum_of_parts_is_what_is_kept_of_all_rows(
    values: np.ndarray, parts: list[tuple[list[float], list[str | None]]], order: object
) -> None:
    """However rows are parted, and in whatever order the parts are added: to the last bit."""
    grids = reference(values).grids
    profiles = [profile(columns(*part), grids) for part in parts]
    whole = reduce(lambda one, two: one + two, profiles)
    kept = [condensed(one) for one in profiles]
    order.shuffle(kept)  # type: ignore[attr-defined]
    assert added(kept, grids) == condensed(whole)
    assert added([added(kept[:1], grids), added(kept[1:], grids)], grids) == condensed(whole)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(REFERENCES), NUMBERS, WORDS)
def test_what_is_expanded_has_the_counts_and_the_sums_of_the_rows(
    values: np.ndarray, numbers: list[float], words: list[str | None]
) -> None:
    """All but the places of rows within their cells: and those within the cell, adding up to the same."""
    grids = reference(values).grids
    known = profile(columns(numbers, words), grids)
    found = expanded(condensed(known), grids)
    one, two = known.columns[0], found.columns[0]
    assert isinstance(one, NumericProfile)
    assert isinstance(two, NumericProfile)
    assert found.columns[1] == known.columns[1]
    assert (two.counts.tolist(), two.nulls, two.minimum, two.maximum) == (
        one.counts.tolist(),
        one.nulls,
        one.minimum,
        one.maximum,
    )
    assert (two.mean, two.m2, two.finite, two.present) == (one.mean, one.m2, one.finite, one.present)
    assert condensed(found) == condensed(known)
    inner = np.flatnonzero(two.counts[1:-1]) + 1
    stand = two.place_sums[inner] / two.counts[inner]
    edges = one.grid.places
    assert (stand >= edges[inner - 1] - 2).all()
    assert (stand <= edges[inner] + 2).all()


def test_distances_are_those_of_the_rows_but_for_a_cells_width() -> None:
    """PSI, KS, JS and the null rate to the last bit, Wasserstein's within a hundredth of a standard deviation."""
    rng = np.random.default_rng(2)
    known = profile([NumericColumn("x", rng.normal(size=4_000))])
    for rows, by in ((200, 0.0), (200, 0.5), (20_000, 0.1)):
        current = profile([NumericColumn("x", rng.normal(size=rows) + by)], known.grids)
        kept = expanded(condensed(current), known.grids)
        (one,), (two,) = compare(known, current), compare(known, kept)
        for left, right in zip(one.distances, two.distances, strict=True):
            if left.name == "wasserstein":
                assert abs(left.value - right.value) < 0.01
            else:
                assert left == right
        assert one.level == two.level


def test_a_grid_of_own_values_loses_nothing() -> None:
    """Where every value has a cell of its own, what comes back is the profile itself."""
    known = profile([NumericColumn("x", np.array([1.0, 2.0, 2.0, 5.5]))])
    current = profile([NumericColumn("x", np.array([2.0, 5.5, 5.5, -40.0, 1e9, np.nan]))], known.grids)
    assert expanded(condensed(current), known.grids) == current


def test_it_is_a_tenth_of_the_profile() -> None:
    """200 rows of 50 columns are about 20 kB before they are compressed; the profile is 1.2 MB."""
    import msgspec

    rng = np.random.default_rng(0)
    known = profile([NumericColumn(f"x{place}", rng.normal(size=2_000)) for place in range(50)])
    current = profile([NumericColumn(f"x{place}", rng.normal(size=200)) for place in range(50)], known.grids)
    assert len(msgspec.msgpack.encode(condensed(current))) < 25_000


@pytest.mark.parametrize(
    ("sums", "said"),
    [
        (TableSums(1, ()), "0 columns, and 1 grids"),
        (TableSums(1, (CategorySums(0, b"0", b"0"),)), "another kind"),
        (TableSums(1, (NumericSums(0, b"0\xff", b"0\x01"),)), "another grid"),
        (TableSums(1, (NumericSums(0, b"0\x01\x01", b"0\x01"),)), "another grid"),
        (TableSums(1, (NumericSums(0, b"9\x01", b"0\x01"),)), "no packed numbers"),
        (TableSums(1, (NumericSums(0, b"", b"0\x01"),)), "no packed numbers"),
        (TableSums(1, (NumericSums(0, b"0\x01", b"0\x01", total="x"),)), "no whole number"),
    ],
)
def test_counts_of_others_are_refused(sums: TableSums, said: str) -> None:
    """By both that take grids, with what is wrong."""
    grids = profile([NumericColumn("x", np.arange(4.0))]).grids
    for act in (lambda: expanded(sums, grids), lambda: added([sums], grids)):
        with pytest.raises(TableError, match=said):
            act()


def test_numbers_are_no_categories() -> None:
    """The other way round as well."""
    grids = profile([CategoricalColumn("w", np.zeros(2, np.int32), ("a",))]).grids
    sums = TableSums(1, (NumericSums(0, b"0", b"0"),))
    for act in (lambda: expanded(sums, grids), lambda: added([sums], grids)):
        with pytest.raises(TableError, match="another kind"):
            act()
