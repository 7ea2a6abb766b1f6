"""Labelled rows in memory, and what every dataset keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.core.contract import Kind
from fairlead.core.inference import Observed, label_text
from fairlead.errors import TableError
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn


class MemoryDataset:
    """Columns as lists. Kinds are told by the values."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Columns of equal length, by name."""
        self._columns = {name: [_plain(value) for value in values] for name, values in columns.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(self._columns)

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(next(iter(self._columns.values()), []))

    def observe(self, name: str) -> Observed:
        """A column's range, categories and nulls."""
        values = self._named(name)
        known = [value for value in values if value is not None]
        kind, nulls = _kind(known), len(values) - len(known)
        if kind in (Kind.CATEGORY, Kind.BOOLEAN):
            return Observed(name, kind, nulls, counts=dict(Counter(label_text(value) for value in known)))
        finite = [float(value) for value in known if isfinite(value)]
        if not finite:
            return Observed(name, kind, nulls)
        return Observed(name, kind, nulls, min(finite), max(finite), float(np.median(finite)))

    def columns(self, names: Sequence[str]) -> tuple[Column, ...]:
        """The columns as the statistics take them."""
        return tuple(self._column(name) for name in names)

    def _column(self, name: str) -> Column:
        values = self._named(name)
        if self.observe(name).kind is not Kind.CATEGORY:
            return NumericColumn(name, np.array([nan if value is None else float(value) for value in values]))
        categories = sorted({value for value in values if value is not None})
        codes = [-1 if value is None else categories.index(value) for value in values]
        return CategoricalColumn(name, np.array(codes, np.int32), tuple(categories))

    def tuples(self, names: Sequence[str], indices: Sequence[int] | slice) -> list[tuple[Any, ...]]:
        """Some rows as tuples over the named columns."""
        rows = list(zip(*(self._named(name) for name in names), strict=True))
        return rows[indices] if isinstance(indices, slice) else [rows[index] for index in indices]

    def write(self, path: Path, names: Sequence[str]) -> None:
        """Writes the named columns as Parquet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: self._named(name) for name in names}), path)

    def _named(self, name: str) -> list[Any]:
        if name not in self._columns:
            raise TableError(f"there is no column {name!r}: there are {', '.join(self._columns)}")
        return self._columns[name]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def _kind(known: list[Any]) -> Kind:
    if any(isinstance(value, str) for value in known):
        return Kind.CATEGORY
    if known and all(isinstance(value, bool) for value in known):
        return Kind.BOOLEAN
    return Kind.INTEGER if known and all(isinstance(value, int) for value in known) else Kind.NUMBER


# What `check_dataset` wants to be handed: one column of each kind, with nulls.
EXAMPLE: dict[str, list[Any]] = {
    "price": [1.5, None, 4.0, float("nan"), float("inf")],
    "nights": [1, 2, 3, 4, 5],
    "repeated": [True, None, False, True, True],
    "meal": ["bb", "hb", None, "bb", "bb"],
}


def check_dataset(data: Dataset, folder: Path) -> None:
    """What every dataset keeps. `data` holds `EXAMPLE`; `folder` is an empty folder."""
    assert data.names == tuple(EXAMPLE), "the names, in order"
    assert data.rows == 5, "the rows"
    assert [data.observe(name) for name in EXAMPLE] == [
        Observed("price", Kind.NUMBER, 2, 1.5, 4.0, 2.75),
        Observed("nights", Kind.INTEGER, 0, 1.0, 5.0, 3.0),
        Observed("repeated", Kind.BOOLEAN, 1, counts={"false": 1, "true": 3}),
        Observed("meal", Kind.CATEGORY, 1, counts={"bb": 3, "hb": 1}),
    ], "what each column holds"
    nights, price = data.columns(["nights", "price"])
    assert isinstance(nights, NumericColumn), "integers are numbers"
    assert nights.values.tolist() == [1, 2, 3, 4, 5], "a column's values"
    assert isinstance(price, NumericColumn), "floats are numbers"
    assert np.isnan(price.values).tolist() == [False, True, False, True, False], "a null is NaN"
    assert data.tuples(["meal", "nights"], [4, 0, 2]) == [("bb", 5), ("bb", 1), (None, 3)], "rows in the order asked"
    assert data.tuples(["price", "repeated"], slice(1, 4)) == [(None, None), (4.0, False), (None, True)], "NaN is None"
    assert data.tuples(["nights"], slice(4, 99)) == [(5,)], "a slice ends with the rows"
    assert all(type(cell) in (int, float, bool, str, type(None)) for row in data.tuples(EXAMPLE, [0]) for cell in row)  # type: ignore[arg-type]  # a dict's keys
    data.write(folder / "some.parquet", ["nights", "meal"])
    assert (folder / "some.parquet").read_bytes()[:4] == b"PAR1", "Parquet"
    for ask in (data.observe, lambda name: data.tuples([name], [0]), lambda name: data.columns([name])):
        try:
            ask("nothing")
        except TableError:
            continue
        raise AssertionError("a column that is not there was read")
