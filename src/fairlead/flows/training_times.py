"""When training ends and when the held-out rows begin."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from typing import Any

from fairlead.core.training import Times
from fairlead.ports.dataset import Dataset

_LOOKED_AT = 20  # values by which a column is known to hold times
_SHORTEST = 10  # characters of a date


def times(reference: Dataset, heldout: Dataset, column: str, aside: AbstractSet[str | None]) -> Times:
    """The spans of both parts by a column of dates, of times, of ISO texts or of numbers.

    Without a column: which columns hold times that nobody named; `aside` are none of them.
    """
    if not column:
        named = [name for name in reference.names if name not in aside and _holds_times(reference, name)]
        return Times(unnamed=tuple(named))
    if column not in heldout.names:
        return Times(column, problem=f"the held-out rows have no column {column}")
    own, held = _read(reference, column), _read(heldout, column)
    untimed = reference.rows + heldout.rows - len(own) - len(held)
    if not own or not held:
        part = "training" if not own else "held-out"
        return Times(column, untimed=untimed, problem=f"no {part} row holds a time in {column}")
    if _counts(reference, column) != _counts(heldout, column):
        return Times(column, untimed=untimed, problem=f"{column} holds numbers in one part and dates in the other")
    last = max(own)
    early = sum(one[0] < last[0] for one in held)
    return Times(column, (), min(own)[1], last[1], min(held)[1], max(held)[1], early, untimed)


def _counts(data: Dataset, name: str) -> bool:
    """Whether a column's times are plain numbers."""
    cells = (cell for (cell,) in data.tuples([name], slice(None)) if cell is not None)
    return isinstance(next(cells), int | float)


def _holds_times(data: Dataset, name: str) -> bool:
    cells = [cell for (cell,) in data.tuples([name], slice(_LOOKED_AT)) if cell is not None]
    return bool(cells) and all(isinstance(cell, date) or (isinstance(cell, str) and _iso(cell)) for cell in cells)


def _iso(text: str) -> datetime | None:
    if len(text) < _SHORTEST or "-" not in text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _read(data: Dataset, name: str) -> list[tuple[Any, str]]:
    """What orders the rows that have a time, with its text."""
    cells = [cell for (cell,) in data.tuples([name], slice(None)) if cell is not None]
    return [(key, str(cell)) for cell in cells if (key := _key(cell)) is not None]


def _key(cell: Any) -> float | None:
    """Seconds since 1970, in UTC where nothing else is said; a number is taken as it is."""
    if isinstance(cell, str):
        cell = _iso(cell)
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp()
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None
