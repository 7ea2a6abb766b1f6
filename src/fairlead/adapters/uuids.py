"""UUIDs of Arrow and Parquet: 16 bytes that stand for an identifier, read as the text that people write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_BYTES, _LETTERS, _HYPHENS = 16, 36, (8, 13, 18, 23)
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def is_uuid(held: pa.DataType) -> bool:
    """Whether a type is Arrow's UUID, or a dictionary of it."""
    import pyarrow as pa
    import pyarrow.types as t

    return isinstance(held.value_type if t.is_dictionary(held) else held, pa.UuidType)


def as_bytes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of UUIDs as a dictionary of their bytes. Arrow's functions take the bytes alone."""
    import pyarrow as pa
    import pyarrow.types as t

    if not t.is_dictionary(values.type):
        return pa.chunked_array([one.storage for one in values.chunks], pa.binary(_BYTES)).dictionary_encode()
    plain = [pa.DictionaryArray.from_arrays(one.indices, one.dictionary.storage) for one in values.chunks]
    return pa.chunked_array(plain, pa.dictionary(values.type.index_type, pa.binary(_BYTES)))


def written(stored: pa.Array) -> list[str | None]:
    """16 bytes each as 8-4-4-4-12 hexadecimal digits.

    >>> import uuid
    >>> import pyarrow as pa
    >>> written(pa.array([uuid.UUID(int=255).bytes], pa.binary(16)))
    ['00000000-0000-0000-0000-0000000000ff']
    """
    if not len(stored):
        return []
    raw = np.frombuffer(stored.buffers()[1], np.uint8).reshape(-1, _BYTES)[stored.offset :][: len(stored)]
    letters = np.full((len(raw), _LETTERS), ord("-"), np.uint8)
    places = np.delete(np.arange(_LETTERS), _HYPHENS)
    letters[:, places[0::2]] = _DIGITS[raw >> 4]
    letters[:, places[1::2]] = _DIGITS[raw & 15]
    whole = letters.tobytes().decode()
    texts: list[str | None] = [whole[start : start + _LETTERS] for start in range(0, len(whole), _LETTERS)]
    for place in np.flatnonzero(stored.is_null().to_numpy(zero_copy_only=False)).tolist():
        texts[place] = None
    return texts


def parquet_schema(metadata: Any) -> pa.Schema:
    """The schema of a Parquet file's footer. Where no Arrow schema is kept in it, Arrow takes UUIDs for mere bytes."""
    import pyarrow as pa

    schema: pa.Schema = metadata.schema.to_arrow_schema().remove_metadata()
    if pa.binary(_BYTES) not in schema.types:
        return schema
    leaves = (metadata.schema.column(place) for place in range(len(metadata.schema)))
    found = {one.path for one in leaves if one.logical_type.type == "UUID"}
    return pa.schema([field.with_type(pa.uuid()) if field.name in found else field for field in schema])
