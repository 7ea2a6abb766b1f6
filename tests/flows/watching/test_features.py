"""Logged JSON becomes columns on the reference's grids."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.report import SCORE
from fairlead.flows.watching.features import on_grid, profile_rows
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import CategoryProfile, NumericProfile, profile

REFERENCE = profile(
    (
        NumericColumn("x", np.array([0.0, 1.0, 2.0])),
        CategoricalColumn("city", np.array([0, 1, 1], np.int32), ("lisbon", "porto")),
        NumericColumn(SCORE, np.array([0.1, 0.5, 0.9])),
    )
)


def test_values_and_nulls() -> None:
    """Booleans are 0 and 1, integers too large for a float are null, text is a category."""
    raws = [
        Raw(b'{"x": 1, "city": "porto"}'),
        Raw(b'{"x": true, "city": null}'),
        Raw(b'{"x": "one", "city": "faro", "extra": [1]}'),
        Raw(b'{"x": 1' + b"0" * 400 + b"}"),
    ]
    x, city, score = profile_rows(raws, np.array([0.1, 0.2, 0.3, 0.4]), REFERENCE).columns
    assert isinstance(x, NumericProfile)
    assert isinstance(city, CategoryProfile)
    assert (x.finite, x.nulls, x.mean) == (2, 2, 1.0)
    assert (city.unseen, city.nulls, city.present) == ({"faro": 1}, 2, 2)
    assert score.present == 4


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([b"{},{}", b"{}", b""])), max_size=8))
def test_no_bytes_are_fatal(texts: list[bytes]) -> None:
    """Whatever was logged, every record is counted."""
    found = profile_rows([Raw(text) for text in texts], np.zeros(len(texts)), REFERENCE)
    assert found.rows == len(texts)


def test_what_python_holds_lies_on_the_grid_too() -> None:
    """Held-out rows hold more than JSON does: decimals are numbers, lists and dates null, numbers name categories."""
    x, city, _ = REFERENCE.grids
    numbers = on_grid(x, [Decimal("1.5"), [1], date(2026, 1, 1), "2", None, 10**400, True])
    assert isinstance(numbers, NumericColumn)
    np.testing.assert_array_equal(numbers.values, [1.5, np.nan, np.nan, np.nan, np.nan, np.nan, 1.0])
    names = on_grid(city, ["porto", None, 3, "porto"])
    assert isinstance(names, CategoricalColumn)
    assert (names.categories, names.codes.tolist()) == (("porto", "3"), [0, -1, 1, 0])
