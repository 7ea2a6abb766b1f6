"""Rules over columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Feature, Kind, Rule
from fairlead.core.rule_columns import ColumnRule
from fairlead.core.rules import checked

FEATURES = (
    Feature("x", Kind.NUMBER),
    Feature("n", Kind.INTEGER),
    Feature("t", Kind.CATEGORY),
    Feature("b", Kind.BOOLEAN),
)
RULES = (
    "x >= n",
    "0 <= x + n <= 20",
    "x / n > 1 or n == 0",
    "n == 0 or x / n > 1",
    'not b and t == "a"',
    't in ("a", "b") or x * x > 4',
    'n not in (1, 2, 3) and t != "c"',
    "b == True",
    "-x < 1 - n",
    f"n < {2**60 + 1}",
    f"x < {10**400}",
    "1 / 0 > x",
)
NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-3, 3), st.sampled_from([2**53 + 1, 2**60, 1e308, -1e308]))
WHOLE = st.one_of(st.integers(-3, 3), st.sampled_from([2**53 + 1, 2**60, 2**60 + 1, -(2**62)]))
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), NUMBERS.map(float)),
        st.one_of(st.none(), WHOLE),
        st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
        st.one_of(st.none(), st.booleans()),
    ),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("text", RULES)
@given(rows=ROWS)
@settings(max_examples=30, deadline=None)
def test_what_surely_holds_holds_row_by_row(text: str, rows: list[tuple[Any, ...]]) -> None:
    """Never the other way about, whatever overflows, divides by nothing or is null."""
    rule = Rule(text)
    check = checked(rule, FEATURES)
    kinds: list[Any] = [np.float64, np.int64, np.object_, np.bool_]
    columns = [
        np.array([row[at] if row[at] is not None else kind() for row in rows], kind) for at, kind in enumerate(kinds)
    ]
    missing = [np.array([row[at] is None for row in rows]) for at in range(4)]
    sure = ColumnRule(rule, FEATURES).surely_holds(columns, missing)
    assert all(check.holds(row) for row, known in zip(rows, sure.tolist(), strict=True) if known)


def test_an_ordinary_row_is_sure() -> None:
    """Else nothing would be gained."""
    columns: list[Any] = [np.array([3.0, 1.0]), np.array([2, 2]), np.array(["a", "b"], object), np.array([True, False])]
    missing = [np.zeros(2, bool)] * 4
    assert ColumnRule(Rule('x >= n and t == "a"'), FEATURES).surely_holds(columns, missing).tolist() == [True, False]
