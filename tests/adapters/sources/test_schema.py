from __future__ import annotations

import pyarrow as pa
import pytest

from fairlead.adapters.sources.schema import Kinds, join_kinds, kinds_of
from fairlead.errors import TableError
from fairlead.ports.engine import INSTANT, NULL, NUMBER, TEXT


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        (pa.int8(), NUMBER),
        (pa.bool_(), NUMBER),
        (pa.float16(), NUMBER),
        (pa.decimal128(9, 2), NUMBER),
        (pa.dictionary(pa.int8(), pa.int64()), NUMBER),
        (pa.timestamp("ns", "UTC"), INSTANT),
        (pa.date32(), INSTANT),
        (pa.time64("us"), INSTANT),
        (pa.duration("s"), INSTANT),
        (pa.string(), TEXT),
        (pa.large_string(), TEXT),
        (pa.string_view(), TEXT),
        (pa.dictionary(pa.int8(), pa.string()), TEXT),
        (pa.uuid(), TEXT),
        (pa.dictionary(pa.int8(), pa.uuid()), TEXT),
        (pa.null(), NULL),
    ],
)
def test_every_type_has_a_kind(held: pa.DataType, kind: str) -> None:
    """As the statistics will read it."""
    assert kinds_of(pa.schema([("x", held)])) == Kinds({"x": kind}, {})


@pytest.mark.parametrize("held", [pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.binary()])
def test_what_is_no_single_value_a_row_has_none(held: pa.DataType) -> None:
    """The reason names the type."""
    found = kinds_of(pa.schema([("x", held), ("y", pa.int8())]))
    assert found.readable == {"y": NUMBER}
    assert found.unreadable == {"x": f"holds {held}, which is no single value a row"}


def test_two_columns_of_one_name_are_refused() -> None:
    """Nobody could tell which is meant."""
    with pytest.raises(TableError, match="two columns are called 'a'"):
        kinds_of(pa.schema([("a", pa.int8()), ("a", pa.int8())]))


def test_files_are_asked_only_where_they_disagree() -> None:
    """Nulls settle it where one side has nothing else; who cannot settle it is named."""
    asked: list[tuple[str, str]] = []

    def all_null(label: str, name: str) -> bool:
        asked.append((label, name))
        return label == "one"

    one, two, three = Kinds({"a": TEXT, "b": NULL}, {}), Kinds({"a": NUMBER, "b": TEXT}, {}), Kinds({"a": INSTANT}, {})
    assert join_kinds([("one", one), ("two", two)], all_null) == Kinds({"a": NUMBER, "b": TEXT}, {})
    assert {name for _, name in asked} == {"a"}
    found = join_kinds([("one", one), ("two", two), ("three", three)], all_null)
    assert found == Kinds({"b": TEXT}, {"a": "holds numbers in two, dates or times in three"})
