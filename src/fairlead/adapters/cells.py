"""A contract's look at a whole column: which cells may pass as they are, and which rows need the slow look.

It says of every cell what `core.decode.RowDecoder` says of it one row at a time. A row of which some cell would be
refused, or which this module does not know how to read, is odd: the decoder then says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Feature, Kind, Policy
from fairlead.ports.predictor import Cells

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = 2.0**53  # up to here a whole number and its float are the same
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")

Mask = NDArray[np.bool_]


class Judged(NamedTuple):
    """A feature's column. `cells` are what the model gets, `given` what was there; `odd` (n,) are the rows that need
    the slow look, where both mean nothing; `strange` counts by kind what a policy let through in the other rows."""

    cells: Cells
    given: Cells
    odd: Mask
    strange: dict[str, Mask]


def judge(feature: Feature, column: pa.ChunkedArray | None, rows: int, *, text: bool) -> Judged:
    """Reads a column of `rows` rows; None is a column that is not there. `text`: its cells are texts, as in a CSV
    file, and are read as the feature's kind."""
    if column is None:
        return _policed(feature, _empty(feature, rows), np.zeros(rows, np.bool_), there=False)
    held = plain(column)
    if text and feature.kind is not Kind.CATEGORY:
        cells, odd = _parsed(feature, held)
    else:
        cells, odd = _READERS[feature.kind](held)
    return _policed(feature, cells, odd & ~cells.missing, there=True)


def plain(column: pa.ChunkedArray) -> pa.Array:
    """One array without dictionaries, views and decimals."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if t.is_string_view(column.type):
        column = column.cast(pa.large_string())
    elif t.is_decimal(column.type):
        column = column.cast(pa.string()).cast(pa.float64())  # Arrow's own way rounds 5.31 to 5.3100000000000005
    elif t.is_float16(column.type):
        column = column.cast(pa.float64())
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    return whole


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """The cells as Python values; NaN is None."""
    found = plain(column).to_pylist()
    return [None if isinstance(one, float) and one != one else one for one in found]  # noqa: PLR0124 - NaN


# -- reading -------------------------------------------------------------------------------------------------------


def _numbers(held: pa.Array) -> tuple[Cells, Mask]:
    import pyarrow.types as t

    missing = _nulls(held)
    if t.is_integer(held.type):
        return Cells(_integers(held).astype(np.float64), missing), np.zeros(len(held), np.bool_)
    if t.is_floating(held.type):
        values = held.to_numpy(zero_copy_only=False).astype(np.float64)
        missing = missing | np.isnan(values)
        return Cells(values, missing), np.isinf(values)
    return _unread(Kind.NUMBER, missing)


def _whole_numbers(held: pa.Array) -> tuple[Cells, Mask]:
    import pyarrow.types as t

    missing = _nulls(held)
    if t.is_integer(held.type):
        values = _integers(held)
        if values.dtype == np.uint64:
            return Cells(values.astype(np.int64), missing), values > np.uint64(2**63 - 1)
        return Cells(values.astype(np.int64), missing), np.zeros(len(held), np.bool_)
    if t.is_floating(held.type):
        return _whole_floats(held.to_numpy(zero_copy_only=False).astype(np.float64), missing)
    return _unread(Kind.INTEGER, missing)


def _whole_floats(values: NDArray[np.float64], missing: Mask) -> tuple[Cells, Mask]:
    missing = missing | np.isnan(values)
    fits = np.isfinite(values) & (np.abs(values) <= _EXACT)
    odd = ~fits | (np.floor(np.where(fits, values, 0.0)) != np.where(fits, values, 0.0))
    return Cells(np.where(odd, 0.0, values).astype(np.int64), missing), odd


def _booleans(held: pa.Array) -> tuple[Cells, Mask]:
    import pyarrow.types as t

    missing = _nulls(held)
    if not t.is_boolean(held.type):
        return _unread(Kind.BOOLEAN, missing)
    values = np.asarray(held.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
    return Cells(values, missing), np.zeros(len(held), np.bool_)


def _texts(held: pa.Array) -> tuple[Cells, Mask]:
    import pyarrow.types as t

    missing = _nulls(held)
    if not (t.is_string(held.type) or t.is_large_string(held.type)):
        return _unread(Kind.CATEGORY, missing)
    # Text is spelt out once a value, not once a row.
    listed = held.dictionary_encode()
    names = np.array([*listed.dictionary.to_pylist(), None], np.object_)
    codes = listed.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    return Cells(names[codes], missing), np.zeros(len(held), np.bool_)


_READERS = {Kind.NUMBER: _numbers, Kind.INTEGER: _whole_numbers, Kind.BOOLEAN: _booleans, Kind.CATEGORY: _texts}


def _parsed(feature: Feature, held: pa.Array) -> tuple[Cells, Mask]:
    """Texts as the feature's kind. Those that are none are odd, and so is a whole number beyond 2^53."""
    import pyarrow as pa
    import pyarrow.compute as pc

    held = pc.utf8_trim_whitespace(held)
    if feature.kind is Kind.BOOLEAN:
        yes, no = (np.asarray(pc.is_in(held, pa.array(words)).to_numpy(zero_copy_only=False)) for words in _WORDS)
        return Cells(yes, _nulls(held)), ~(yes | no)
    try:
        values = pc.cast(held, pa.float64())
    except pa.ArrowInvalid:
        spelt = [number_of(one) for one in held.to_pylist()]
        values = pa.array([one if isinstance(one, float) else None for one in spelt], pa.float64())
        unread: Mask = np.array([isinstance(one, str) for one in spelt], np.bool_)
    else:
        unread = np.zeros(len(held), np.bool_)
    missing = _nulls(held)
    read = values.to_numpy(zero_copy_only=False)  # NaN and what is infinite stay odd: neither becomes a number
    numbers = np.where(unread | missing, 0.0, np.where(np.isnan(read), np.inf, read))
    if feature.kind is Kind.NUMBER:
        return Cells(numbers, missing), unread | np.isinf(numbers)
    cells, odd = _whole_floats(numbers, missing)
    return cells, odd | unread


_WORDS = (_TRUE, _FALSE)


def number_of(text: str | None) -> float | str | None:
    """A text as a number, where it is one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def value_of(feature: Feature, text: str | None) -> object:
    """A text as the feature's kind, for the slow look: the text itself where it is none."""
    if text is None or feature.kind is Kind.CATEGORY:
        return text
    trimmed = text.strip()
    if feature.kind is Kind.BOOLEAN:
        return True if trimmed in _TRUE else False if trimmed in _FALSE else text
    try:
        return int(trimmed)
    except ValueError:
        found = number_of(trimmed)
        return found if isinstance(found, float) and abs(found) < inf else text


def _nulls(held: pa.Array) -> Mask:
    return np.asarray(held.is_null().to_numpy(zero_copy_only=False), np.bool_)


def _integers(held: pa.Array) -> NDArray[Any]:
    return np.asarray(held.fill_null(0).to_numpy(zero_copy_only=False)) if held.null_count else np.asarray(held)


def _empty(feature: Feature, rows: int) -> Cells:
    return Cells(np.zeros(rows, _TYPES[feature.kind]), np.ones(rows, np.bool_))


def _unread(kind: Kind, missing: Mask) -> tuple[Cells, Mask]:
    """A column of another kind: only its nulls say something."""
    return Cells(np.zeros(len(missing), _TYPES[kind]), missing), ~missing


_TYPES: dict[Kind, Any] = {
    Kind.NUMBER: np.float64,
    Kind.INTEGER: np.int64,
    Kind.BOOLEAN: np.bool_,
    Kind.CATEGORY: np.object_,
}


# -- judging -------------------------------------------------------------------------------------------------------


def _policed(feature: Feature, cells: Cells, odd: Mask, *, there: bool) -> Judged:
    """Applies the contract's policies. A null that is not said is no null that the contract allows."""
    strange: dict[str, Mask] = {}
    given, known = cells, ~cells.missing & ~odd
    if not (feature.nullable and there) and cells.missing.any():
        cells, odd = _applied(feature, feature.missing, "missing", cells.missing, Judged(cells, given, odd, strange))
    outside = _outside(feature, cells, known)
    if outside is not None and outside.any():
        what, policy = ("unseen", feature.unseen) if feature.kind is Kind.CATEGORY else (
            "out_of_range", feature.out_of_range)  # fmt: skip
        cells, odd = _applied(feature, policy, what, outside, Judged(cells, given, odd, strange))
    return Judged(cells, given, odd, strange)


def _applied(feature: Feature, policy: Policy, what: str, where: Mask, now: Judged) -> tuple[Cells, Mask]:
    """One policy for the cells where something is strange."""
    if policy in (Policy.REJECT, Policy.FALLBACK) or (policy is Policy.IMPUTE and not _may_fill(feature)):
        return now.cells, now.odd | where
    now.strange[what] = where
    if policy is Policy.WARN:
        return now.cells, now.odd
    if feature.fill is None:
        return Cells(now.cells.values, now.cells.missing | where), now.odd
    values = now.cells.values.copy()
    values[where] = feature.fill
    return Cells(values, now.cells.missing & ~where), now.odd


def _may_fill(feature: Feature) -> bool:
    """Whether the column's array can hold the fill as it is."""
    return feature.fill is None or isinstance(feature.fill, _FILLS[feature.kind])


_FILLS: dict[Kind, tuple[type, ...]] = {
    Kind.NUMBER: (float, int),
    Kind.INTEGER: (int,),
    Kind.BOOLEAN: (bool,),
    Kind.CATEGORY: (str,),
}


def _outside(feature: Feature, cells: Cells, known: Mask) -> Mask | None:
    """Where a known cell lies outside the range or the categories."""
    if feature.kind is Kind.BOOLEAN:
        return None
    if feature.kind is Kind.CATEGORY:
        if not feature.categories:
            return None
        return known & ~_among(cells.values, feature.categories)
    low = -inf if feature.minimum is None else feature.minimum
    high = inf if feature.maximum is None else feature.maximum
    return known & ~((cells.values >= low) & (cells.values <= high))


def _among(values: NDArray[Any], categories: Sequence[str]) -> Mask:
    known = frozenset(categories)
    return np.fromiter((value in known for value in values.tolist()), np.bool_, len(values))
