"""UUIDs are written as Python writes them."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.uuids import as_bytes, is_uuid, parquet_schema, written


@given(st.lists(st.none() | st.uuids(allow_nil=True), max_size=20), st.integers(0, 20))
def test_every_uuid_is_written_as_python_does(ids: list[UUID | None], start: int) -> None:
    """Also in a slice, and beside nulls."""
    stored = pa.array([None if one is None else one.bytes for one in ids], pa.binary(16))
    assert written(stored.slice(start)) == [None if one is None else str(one) for one in ids[start:]]


def test_a_column_is_a_dictionary_of_its_bytes() -> None:
    """Each different one is held once, in a dictionary or not."""
    ids = pa.array([UUID(int=5), None, UUID(int=5), UUID(int=6)], pa.uuid())
    bag = pa.DictionaryArray.from_arrays(pa.array([0, None, 0, 1], pa.int8()), ids.take(pa.array([0, 3])))
    for column in (ids, bag):
        assert is_uuid(column.type)
        (chunk,) = as_bytes(pa.chunked_array([column])).chunks
        assert (chunk.indices.to_pylist(), written(chunk.dictionary)) == (
            [0, None, 0, 1],
            [str(UUID(int=5)), str(UUID(int=6))],
        )
    assert not is_uuid(pa.binary(16))


@pytest.mark.parametrize("store_schema", [True, False])
def test_a_footer_tells_uuids_from_bytes(tmp_path: Path, *, store_schema: bool) -> None:
    """By Parquet's logical type."""
    ids = pa.array([UUID(int=5)], pa.uuid())
    table = pa.table({"id": ids, "raw": pa.array([b"x" * 16], pa.binary(16)), "n": [1]})
    pq.write_table(table, tmp_path / "t.parquet", store_schema=store_schema)
    schema = parquet_schema(pq.read_metadata(tmp_path / "t.parquet"))
    assert schema.types == [pa.uuid(), pa.binary(16), pa.int64()]
