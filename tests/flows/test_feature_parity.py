"""Features of the whole table against the same rows as requests bring them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.errors import UsageError
from fairlead.flows import feature_parity
from fairlead.flows.feature_parity import TOLERANCE, check_stored, distance, parity
from fairlead.testing.dataset import MemoryDataset

CONTRACT = Contract((Feature("nights", Kind.INTEGER), Feature("adr", Kind.NUMBER, nullable=True)), Task.REGRESSION, "y")
DATA = MemoryDataset({"nights": [1, 2, 3, 4], "adr": [10.0, None, 30.0, 0.1], "y": [0.0, 1.0, 2.0, 3.0]})
Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Source:
    """A function as a source."""

    def __init__(self, function: Function) -> None:
        self.names: tuple[str, ...] = ()
        self._function = function

    def features(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [self._function(row) for row in rows]


def columns(function: Function) -> dict[str, list[Any]]:
    """What a function makes of the table, in its order."""
    rows = [dict(zip(DATA.names, cells, strict=True)) for cells in DATA.tuples(DATA.names, slice(None))]
    made = [function(row) for row in rows]
    return {name: [row[name] for row in made] for name in made[0]}


def measured(function: Function) -> Any:
    """The parity of a function, batch against requests."""
    whole = columns(function)
    return parity(Source(function), CONTRACT, DATA, whole, "ref.csv")


def test_a_function_of_its_row_alone_holds() -> None:
    """Every row is compared, and nothing differs."""
    found = measured(lambda row: {"n": row["nights"] * 2, "null": row["adr"], "text": str(row["nights"])})
    assert (found.rows, found.largest_difference, found.tolerance) == (4, 0.0, TOLERANCE)
    assert found.holds


def test_a_difference_within_the_tolerance_is_told() -> None:
    """It is measured, and lets the features through."""
    noise = itertools.count()
    found = measured(lambda row: {"n": row["nights"] * (1.0 + 1e-9 * next(noise))})
    assert 0.0 < found.largest_difference < TOLERANCE


def counting() -> Function:
    """A function that counts its calls."""
    calls = itertools.count()
    return lambda row: {"place": next(calls)}


def lagging() -> Function:
    """A function that looks at the row before."""
    before: list[Any] = [None]

    def function(row: Mapping[str, Any]) -> Mapping[str, Any]:
        found, before[0] = before[0], row["nights"]
        return {"lag": found}

    return function


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (counting(), "'place' in row 3 of ref.csv is 3 computed with the whole table, but 4 computed as a request is"),
        (lagging(), "'lag' in row 3 of ref.csv is 3 computed with the whole table, but 4 computed as a request"),
        (
            lambda row: {"leak": row["y"]},
            "computes row 3 of ref.csv in the table, but fails on it in a request .KeyErr",
        ),
        (
            lambda row: {"leak": row.get("y", -1.0)},
            "'leak' in row 3 of ref.csv is 3.0 .* but -1.0 computed as a request",
        ),
        (lambda row: {"all": len(row)}, "'all' in row 3 of ref.csv is 3 .* but 2 computed as a request is"),
    ],
)
def test_what_depends_on_more_than_its_row_is_refused(function: Function, what: str) -> None:
    """Other rows, the order, the target and other columns: the column, the row and both values are named."""
    with pytest.raises(UsageError, match=what):
        measured(function)


def test_rows_that_the_contract_changes_are_left_out() -> None:
    """A refused row, and one in which a fill takes a value's place, are none that a request would bring."""
    strict = Contract(
        (Feature("nights", Kind.INTEGER, maximum=3, out_of_range=Policy.REJECT), Feature("adr", Kind.NUMBER, fill=1.0)),
        Task.REGRESSION,
        "y",
    )
    whole = columns(lambda row: {"n": row["nights"]})
    assert parity(Source(lambda row: {"n": row["nights"]}), strict, DATA, whole, "x").rows == 2
    impossible = Contract((Feature("nights", Kind.BOOLEAN), Feature("adr", Kind.NUMBER)), Task.REGRESSION, "y")
    with pytest.raises(UsageError, match=r"no row of x is one that the contract takes"):
        parity(Source(lambda row: {"n": 1}), impossible, DATA, whole, "x")


def test_large_tables_are_compared_at_equal_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many rows, and each against its own."""
    monkeypatch.setattr(feature_parity, "MOST_ROWS", 2)
    found = measured(lambda row: {"n": row["nights"]})
    assert found.rows == 2


def test_what_the_table_holds_is_compared() -> None:
    """A column that training computed otherwise is named with both values; the same one is not."""
    check_stored(DATA, {"adr": [10.0, None, 30.0, 0.1 + 1e-9], "new": [1, 2, 3, 4]}, "ref.csv")
    with pytest.raises(UsageError, match=r"'adr' in row 2 of ref.csv is 30.0, but the feature code computes 31.0"):
        check_stored(DATA, {"adr": [10.0, None, 31.0, 0.1]}, "ref.csv")
    with pytest.raises(UsageError, match=r"'adr' in row 1 of ref.csv is null, but the feature code computes 0"):
        check_stored(DATA, {"adr": [10.0, 0, 30.0, 0.1]}, "ref.csv")


VALUES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=3)


@given(VALUES, VALUES)
def test_the_distance_is_one(one: Any, other: Any) -> None:
    """Of a value to itself it is 0; it is the same both ways, never negative, and infinite between kinds."""
    assert distance(one, one) == 0.0
    assert distance(one, other) == distance(other, one) >= 0.0
    if isinstance(one, str) is not isinstance(other, str):
        assert distance(one, other) == float("inf")
    if isinstance(one, bool) and not isinstance(other, bool):
        assert distance(one, other) == float("inf")


@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_whole_numbers_must_be_the_same(one: int, other: int) -> None:
    """Nothing is tolerated between them."""
    assert (distance(one, other) == 0.0) is (one == other)
    assert one == other or distance(one, other) > TOLERANCE
