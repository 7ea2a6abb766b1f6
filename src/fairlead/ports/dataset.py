"""Labelled rows, as a registration needs them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from fairlead.core.inference import Observed
from fairlead.stats.columns import Column


class Dataset(Protocol):
    """An immutable table. A null and a NaN are both None in rows, and both null in columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        ...

    @property
    def rows(self) -> int:
        """How many rows."""
        ...

    def observe(self, name: str) -> Observed:
        """A column's range, categories and nulls. Raises `TableError` for a type that no model can take."""
        ...

    def columns(self, names: Sequence[str]) -> tuple[Column, ...]:
        """The columns as the statistics take them."""
        ...

    def tuples(self, names: Sequence[str], indices: Sequence[int] | slice) -> list[tuple[Any, ...]]:
        """Some rows as tuples over the named columns, in the order of the indices; of a slice, start and stop count."""
        ...

    def write(self, path: Path, names: Sequence[str]) -> None:
        """Writes the named columns as Parquet."""
        ...
