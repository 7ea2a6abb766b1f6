"""A window's dependence of numbers on each other, against the reference's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from fairlead.stats.multivariate.dependence import (
    Compared,
    Law,
    Sums,
    compare_window,
    dependence,
    law_of,
    spread_of,
    sums_of,
)

Floats = NDArray[np.float64]
COLUMNS = 12


def rows_of(kind: str, rows: int, rng: np.random.Generator) -> Floats:
    """Numbers that hang together by three common causes, in several shapes."""
    load = np.random.default_rng(5).normal(size=(COLUMNS, 3))
    x = rng.normal(size=(rows, 3)) @ load.T + rng.normal(size=(rows, COLUMNS))
    if kind == "heavy":
        return np.asarray(x / np.sqrt(rng.chisquare(3, size=(rows, 1)) / 3))
    if kind == "mostly zero":
        x[:, ::2] = np.where(x[:, ::2] > 2.5, np.exp(x[:, ::2] / 2), 0.0)
    if kind == "nulls":
        x[rng.random(x.shape) < 0.1] = np.nan
    if kind == "categories":  # two categories of five values, of each the three commonest; the rest numbers
        for first in (0, 3):
            place = np.clip(np.floor(1.0 + x[:, first]), 0, 4)
            x[:, first : first + 3] = place[:, None] == np.arange(3)
    return np.asarray(x)


def owners_of(kind: str) -> list[str]:
    """The columns that the numbers are of."""
    return [f"c{place // 3}" if kind == "categories" and place < 6 else f"x{place}" for place in range(COLUMNS)]


def seen(reference: Floats, windows: list[Floats], alpha: float, kind: str = "") -> list[Compared]:
    """Each window against the reference."""
    low, middle, high = np.nanquantile(reference, (0.1, 0.5, 0.9), axis=0)
    ends = [spread_of(*one) for one in zip(low, middle, high, np.nanstd(reference, axis=0), strict=True)]
    centre, scale = (np.array(one) for one in zip(*ends, strict=True))
    known = dependence(reference, [f"x{place}" for place in range(COLUMNS)], centre, scale, owners_of(kind))
    laws: dict[int, Law] = {}

    def law(rows: int) -> Law:
        if rows not in laws:
            laws[rows] = law_of(known, (reference - centre) / scale, rows, np.random.default_rng(0))
        return laws[rows]

    return [compare_window(known, sums_of(one, centre, scale), alpha, law) for one in windows]


def rate(kind: str, rows: int, references: int, windows: int, alpha: float) -> tuple[int, int]:
    """How many windows without a change are called, of how many."""
    called = 0
    for seed in range(references):
        rng = np.random.default_rng([seed, rows])
        reference = rows_of(kind, 1_000, rng)
        called += sum(
            bool(one.found) for one in seen(reference, [rows_of(kind, rows, rng) for _ in range(windows)], alpha, kind)
        )
    return called, references * windows


@pytest.mark.parametrize("kind", ["heavy", "categories"])
def test_windows_without_a_change_are_rarely_called(kind: str) -> None:
    """At most alpha of them: an exact bound at .001 does not exclude it."""
    called, asked = rate(kind, 200, 10, 10, 0.05)
    assert called <= binom.ppf(0.999, asked, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "heavy", "mostly zero", "nulls", "categories"])
@pytest.mark.parametrize("rows", [60, 200, 1_000])
def test_the_rate_of_false_calls_in_many_windows(kind: str, rows: int) -> None:
    """At 5 and at 1 %, whatever the shape of the numbers."""
    for alpha in (0.05, 0.01):
        called, asked = rate(kind, rows, 60, 10, alpha)
        assert called <= binom.ppf(0.999, asked, alpha), (kind, rows, alpha, called, asked)


def test_a_column_that_no_longer_belongs_to_its_rows_is_named() -> None:
    """Its own distribution is what it was; in 10 windows of 10 it is found, and named."""
    rng = np.random.default_rng(1)
    windows = [rows_of("heavy", 200, rng) for _ in range(10)]
    for one in windows:
        one[:, 4] = rng.permutation(one[:, 4])
    for found in seen(rows_of("heavy", 1_000, rng), windows, 0.01):
        worst = min(found.found, key=lambda one: one.p_value)
        assert (worst.column or worst.pair[0], worst.effect > 0.2) == ("x4", True)


def test_a_category_that_no_longer_belongs_to_its_rows_is_named_as_a_column() -> None:
    """All of its values together, in 10 windows of 10; they are no pairs among themselves."""
    rng = np.random.default_rng(6)
    windows = [rows_of("categories", 300, rng) for _ in range(10)]
    for one in windows:
        one[:, :3] = one[rng.permutation(300), :3]
    for found in seen(rows_of("categories", 2_000, rng), windows, 0.01, "categories"):
        assert found.pairs == COLUMNS * (COLUMNS - 1) // 2 - 2 * 3
        assert next(one for one in found.found if one.kind == "column").column == "c0"


def test_one_pair_that_comes_apart_is_found() -> None:
    """Two independent numbers of twelve go together at .5: in 9 of 10 windows of 200 rows, and the pair is named."""
    rng = np.random.default_rng(2)
    windows = []
    for _ in range(20):
        one = rng.normal(size=(200, COLUMNS))
        one[:, 7] = 0.5 * one[:, 2] + np.sqrt(0.75) * one[:, 7]
        windows.append(one)
    found = seen(rng.normal(size=(2_000, COLUMNS)), windows, 0.01)
    assert sum(bool(one.found) and one.found[0].pair == ("x2", "x7") for one in found) >= 18


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 59), st.booleans())
def test_sums_of_parts_are_the_sums_of_the_whole(seed: int, cut: int, nulls: bool) -> None:
    """In whatever parts rows come, with values missing or not."""
    rows = rows_of("nulls" if nulls else "plain", 60, np.random.default_rng(seed))
    still = np.zeros(COLUMNS), np.ones(COLUMNS)
    whole: Sums = sums_of(rows, *still)
    parts = sums_of(rows[:cut], *still) + sums_of(rows[cut:], *still)
    for name in ("counts", "sums", "squares", "products"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-9)


def test_what_cannot_be_compared_is_left_out() -> None:
    """A constant, a column without a value, infinite values, too few rows: no pair is asked, and nothing is raised."""
    rng = np.random.default_rng(3)
    reference = rows_of("plain", 500, rng)
    reference[:, 0], reference[:, 1] = 3.0, np.nan
    window = rows_of("plain", 100, rng)
    window[:, 2], window[:50, 3] = np.inf, np.nan
    with np.errstate(all="raise"):
        full, few = seen(np.nan_to_num(reference), [window, window[:20]], 0.01)
    assert (full.pairs, few.pairs) == (9 * 8 // 2, 0)


def test_complete_rows_have_the_correlations_of_any_others() -> None:
    """Taken the short way, and as sums of parts the long way; both are numpy's."""
    rows = rows_of("plain", 200, np.random.default_rng(4))
    rows[:, 0] = 3.0
    still = np.zeros(COLUMNS), np.full(COLUMNS, 100.0)
    short, long = (
        sums_of(rows, *still).correlations,
        (sums_of(rows[:90], *still) + sums_of(rows[90:], *still)).correlations,
    )
    np.testing.assert_allclose(short, long, atol=1e-9)
    assert np.isnan(short[0]).all()
    np.testing.assert_allclose(short[1:, 1:], np.corrcoef(rows[:, 1:].T), atol=1e-9)
