"""The compiled loop and the array code are one algorithm."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.adapters import compiled
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import NumericProfile, profile_column
from fairlead.stats.tally import Scratch

ROWS = 65_536 + 4_481


def shapes() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    far = rng.normal(size=ROWS)
    far[50_000] = 1e30
    return {
        "normal": rng.normal(500, 51, ROWS),
        "heavy tails": rng.standard_t(1.1, ROWS),
        "counts": rng.poisson(9, ROWS).astype(np.float64),
        "zero-inflated": np.where(rng.random(ROWS) < 0.5, 0.0, rng.normal(size=ROWS)),
        "nulls": np.where(rng.random(ROWS) < 0.05, np.nan, rng.normal(size=ROWS)),
        "infinities": np.where(rng.random(ROWS) < 0.05, np.resize([np.inf, -np.inf], ROWS), rng.normal(size=ROWS)),
        "one far value": far,
        "the whole range of floats": rng.uniform(-1, 1, ROWS) * 1.7e308,
        "cents": np.round(rng.lognormal(3, 1, ROWS), 2),
        "constant": np.full(ROWS, 3.0),
        "instants": 1.7e9 + rng.integers(0, 10**7, ROWS),
        "all null": np.full(ROWS, np.nan),
    }


SHAPES = shapes()


def numeric(values: NDArray[np.float64], like: NumericProfile | None, scratch: Scratch) -> NumericProfile:
    found = profile_column(NumericColumn("x", values), None if like is None else like.grid, scratch)
    assert isinstance(found, NumericProfile)
    return found


def test_the_loop_is_built_where_there_is_a_compiler() -> None:
    """An installation from source has it, unless the machine has no compiler."""
    has_compiler = any(map(shutil.which, ("cc", "gcc", "clang")))
    assert (compiled.scratch().loop is not None) == has_compiler


@pytest.mark.parametrize("grid", SHAPES)
def test_both_give_the_same_profile_to_the_last_bit(grid: str) -> None:
    """On every grid, for values of every shape, whole or in parts that are counted now by one and now by the other."""
    plain, quick = Scratch(), compiled.scratch()
    reference = numeric(SHAPES[grid], None, plain)
    assert numeric(SHAPES[grid], None, quick) == reference
    for values in SHAPES.values():
        expected = numeric(values, reference, plain)
        assert numeric(values, reference, quick) == expected
        first, last = values[:40_000], values[40_000:]
        assert numeric(first, reference, quick) + numeric(last, reference, plain) == expected


def test_every_second_value_of_an_array_is_counted_like_a_copy() -> None:
    """The loop walks over memory; what does not lie side by side is copied first."""
    values = SHAPES["normal"]
    reference = numeric(values, None, Scratch())
    assert numeric(values[::2], reference, compiled.scratch()) == numeric(values[::2].copy(), reference, Scratch())


def test_without_the_library_the_array_code_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A library that is missing, or built for another machine, is no error."""
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path)
    compiled._library.cache_clear()
    try:
        assert compiled.scratch().loop is None
    finally:
        compiled._library.cache_clear()
