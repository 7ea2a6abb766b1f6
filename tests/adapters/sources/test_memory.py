from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fairlead.adapters.sources.memory import STREAMED, StreamSource, TableSource, spool
from fairlead.errors import StateError, TableError
from fairlead.ports.engine import NUMBER, SLAB, TEXT
from fairlead.testing.engine import check_source, read_all


def batches(*tables: pa.Table) -> list[pa.RecordBatch]:
    """One batch for each table."""
    return [table.combine_chunks().to_batches()[0] for table in tables]


def test_a_table_and_a_stream_keep_the_port(table: pa.Table, tmp_path: Path) -> None:
    """So does a stream that was written down."""
    check_source(TableSource(table, "the table"))
    pieces = batches(table.slice(0, 1), table.slice(1, 3), table.slice(4))
    check_source(StreamSource(pieces, "the stream"))
    check_source(spool(StreamSource(iter(pieces), "the stream"), tmp_path))


def test_a_table_is_cut_into_slabs() -> None:
    """Each says which rows it is."""
    parts = list(TableSource(pa.table({"x": np.zeros(SLAB + 3)}), "the table").parts())
    assert [part.rows for part in parts] == [SLAB, 3]
    assert parts[1].label == "the table, rows 1,048,576 to 1,048,578"


def test_a_stream_is_held_in_pieces_of_bounded_length() -> None:
    """Short batches together, long ones in slices, empty ones not at all."""
    short = batches(pa.table({"x": np.zeros(1_000)})) * 200
    assert {part.rows for part in StreamSource(short, "s").parts()} == {131_000, 200_000 - 131_000}
    long = [pa.table({"x": np.zeros(2 * STREAMED + 5)})]
    assert [part.rows for part in StreamSource(long, "s").parts()] == [STREAMED, STREAMED, 5]
    none = pa.RecordBatch.from_pydict({"x": pa.array([], pa.float64())})
    assert [part.rows for part in StreamSource([none, *batches(pa.table({"x": [1.0]})), none], "s").parts()] == [1]


def test_batches_may_lack_a_column_or_hold_it_as_another_number(tmp_path: Path) -> None:
    """A column that is missing is null; nulls have no kind; a stream that was written down says the same."""
    pieces = [pa.table({"a": [1], "b": ["x"]}), pa.table({"a": [2.5]}), pa.table({"a": [None], "b": ["y"]})]
    stream = StreamSource(iter(pieces), "the stream")
    assert stream.kinds == {"a": NUMBER, "b": TEXT}
    assert stream.rows is None
    kept = spool(stream, tmp_path)
    assert (read_all(kept, "a"), read_all(kept, "b")) == ([1.0, 2.5, None], ["x", None, "y"])


def test_a_stream_that_changes_its_mind_is_refused() -> None:
    """Text where numbers were: the rows are named."""
    pieces = [pa.table({"a": [1]}), pa.table({"a": ["x"]})]
    stream = StreamSource(pieces, "the stream")
    with pytest.raises(TableError, match="the stream, rows 1 to 1: column 'a' holds text, earlier batches hold number"):
        list(stream.parts())
    late = StreamSource([pa.table({"a": pa.nulls(1)}), pa.table({"a": ["x"]}), pa.table({"a": [1]})], "the stream")
    with pytest.raises(TableError, match="rows 2 to 2: column 'a' holds number, earlier batches hold text"):
        list(late.parts())


def test_what_is_no_stream_of_batches_is_refused() -> None:
    """No batch, no row, or something else."""
    for empty in ([], [pa.table({"a": pa.array([], pa.int64())})]):
        with pytest.raises(TableError, match="the stream has no rows"):
            StreamSource(empty, "the stream")
    with pytest.raises(TableError, match="the stream gave a int: each item must be an Arrow record batch"):
        StreamSource([1], "the stream")


def test_a_column_of_nulls_is_known() -> None:
    """Whatever its type; of a stream nobody knows."""
    assert not StreamSource([pa.table({"a": pa.nulls(2)})], "s").all_null("a")
    source = TableSource(pa.table({"a": pa.nulls(2, pa.string()), "b": ["x", None], "c": [[1], [2]]}), "the table")
    assert source.kinds == {"a": TEXT, "b": TEXT}
    assert [source.all_null(name) for name in ("a", "b")] == [True, False]
    assert list(source.unreadable) == ["c"]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """A stream that cannot be kept is nobody's table error."""
    with pytest.raises(StateError, match="a stream cannot be kept in"):
        spool(StreamSource([pa.table({"a": [1]})], "s"), tmp_path / "not there")
