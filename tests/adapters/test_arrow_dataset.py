"""Labelled rows in an Arrow table."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from fairlead.adapters.arrow_dataset import ArrowDataset, open_dataset
from fairlead.core.contract import Kind
from fairlead.errors import TableError
from fairlead.testing.dataset import EXAMPLE, check_dataset


def dataset(**columns: Any) -> ArrowDataset:
    return ArrowDataset(pa.table(columns), "bookings.parquet")


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a dataset."""
    check_dataset(ArrowDataset(pa.table(EXAMPLE), "example"), tmp_path)


def test_reads_back_what_it_wrote(tmp_path: Path) -> None:
    """Rows survive the file, nulls included."""
    ArrowDataset(pa.table(EXAMPLE), "example").write(tmp_path / "rows.parquet", ["price", "meal"])
    again = open_dataset(tmp_path / "rows.parquet")
    assert again.names == ("price", "meal")
    assert again.tuples(["price", "meal"], slice(0, 2)) == [(1.5, "bb"), (None, "hb")]


@pytest.mark.parametrize(
    ("column", "kind", "first"),
    [
        (pa.array([1, 2], pa.int8()), Kind.INTEGER, 1),
        (pa.array([1, 2], pa.uint64()), Kind.INTEGER, 1),
        (pa.array([1.5, 2], pa.float32()), Kind.NUMBER, 1.5),
        (pa.array([Decimal("1.5"), None]), Kind.NUMBER, 1.5),
        (pa.array([True, False]), Kind.BOOLEAN, True),
        (pa.array(["a", "b"]), Kind.CATEGORY, "a"),
        (pa.array(["a", "b"], pa.large_string()), Kind.CATEGORY, "a"),
        (pa.array(["a", "b"], pa.string_view()), Kind.CATEGORY, "a"),
        (pa.array(["a", "b"]).dictionary_encode(), Kind.CATEGORY, "a"),
    ],
)
def test_knows_every_kind_of_column(column: pa.Array, kind: Kind, first: object) -> None:
    """Each Arrow type has its kind, and its values come as plain Python ones."""
    data = dataset(x=column)
    assert data.observe("x").kind is kind
    assert data.tuples(["x"], [0]) == [(first,)]


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array([datetime(2015, 7, 1)]), "timestamp"),  # noqa: DTZ001  # a table's times carry no zone
        (pa.array([[1, 2]]), "list"),
        (pa.array([b"x"]), "binary"),
        (pa.array([UUID(int=1)], pa.uuid()), "uuid"),
        (pa.nulls(1), "nothing but nulls"),
    ],
)
def test_refuses_what_no_model_can_take(column: pa.Array, what: str) -> None:
    """A feature that is no number and no text is named, with its table."""
    with pytest.raises(TableError, match=rf"'x' of bookings.parquet holds .*{what}"):
        dataset(x=column).observe("x")


def test_splits_off_the_last_rows() -> None:
    """The last share is held out, at least one row, and the two parts are the whole."""
    data = dataset(x=list(range(10)))
    for share, held in ((0.2, 2), (0.01, 1)):
        first, last = data.split(share)
        assert (first.rows, last.rows) == (10 - held, held)
        assert first.tuples(["x"], slice(None)) + last.tuples(["x"], slice(None)) == data.tuples(["x"], slice(None))


def test_sorts_by_time_and_tells_its_span() -> None:
    """Rows are put in order of a column, stably, those without a time last."""
    data = dataset(at=[3, None, 1, 3, 2], x=[0, 1, 2, 3, 4]).by_time("at")
    assert data.tuples(["x"], slice(None)) == [(2,), (4,), (0,), (3,), (1,)]
    assert data.span("at") == ("1", "3")
    with pytest.raises(TableError, match="no column 'when'"):
        data.by_time("when")


def test_keeps_the_labelled_rows() -> None:
    """A null and a NaN target are both unknown."""
    data = dataset(y=[1.0, None, float("nan"), 0.0], x=[0, 1, 2, 3])
    assert data.labelled("y").tuples(["x"], slice(None)) == [(0,), (3,)]
