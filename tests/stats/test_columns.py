from __future__ import annotations

import numpy as np

from fairlead.stats.columns import CategoricalColumn, NumericColumn


def test_numbers_know_their_rows_and_whether_all_are_null() -> None:
    """A column counts its nulls as rows, and is empty only if it has nothing else."""
    assert NumericColumn("x", np.array([1.0, np.nan])).rows == 2
    assert not NumericColumn("x", np.array([1.0, np.nan])).empty
    assert NumericColumn("x", np.array([np.nan, np.nan])).empty
    assert not NumericColumn("x", np.array([np.inf])).empty


def test_categories_know_their_rows_and_whether_all_are_null() -> None:
    """The code -1 is null."""
    column = CategoricalColumn("x", np.array([-1, 0, -1], dtype=np.int32), ("a",))
    assert column.rows == 3
    assert not column.empty
    assert CategoricalColumn("x", np.array([-1, -1], dtype=np.int32), ("a",)).empty
