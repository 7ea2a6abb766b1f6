"""Which rows make the golden set."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.golden import choose
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")) | st.just(float("inf")), min_size=0, max_size=60)


@given(values=VALUES, size=st.integers(0, 40), seed=st.integers(0, 5))
@settings(deadline=None)
def test_chooses_rows_once_in_order_and_always_the_same(values: list[float], size: int, seed: int) -> None:
    """As many rows as asked, if there are, ascending, none twice, none infinite, and the same ones again."""
    columns = [NumericColumn("x", np.array(values, np.float64))]
    chosen = choose(columns, size, np.random.default_rng(seed))
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(size, sum(not np.isinf(value) for value in values))
    assert all(not np.isinf(values[row]) for row in chosen)
    assert chosen == choose(columns, size, np.random.default_rng(seed))


def test_the_ends_of_every_feature_are_in() -> None:
    """Least, greatest, a missing value and a rare category, among thousands of rows."""
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=5_000)
    numbers[[17, 1_234, 4_321]] = -99.0, 99.0, np.nan
    codes = np.zeros(5_000, np.int32)
    codes[[2_222, 3_333]] = 1, -1
    columns: list[Column] = [NumericColumn("x", numbers), CategoricalColumn("c", codes, ("common", "rare"))]
    assert {17, 1_234, 4_321, 2_222, 3_333} <= set(choose(columns, 50, rng))


def test_no_feature_takes_all_the_room() -> None:
    """A feature of many categories leaves half of the set to chance, and the others their turn."""
    codes = np.arange(1_000, dtype=np.int32)
    numbers = np.zeros(1_000)
    numbers[[500, 900]] = -1.0, 1.0
    columns: list[Column] = [
        CategoricalColumn("id", codes, tuple(map(str, codes))),
        NumericColumn("x", numbers),
    ]
    chosen = choose(columns, 12, np.random.default_rng(0))
    assert {500, 900} <= set(chosen)
    assert len(chosen) == 12
