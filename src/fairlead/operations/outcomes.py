"""Labels from a file: rows of what really happened, ready to be posted or logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fairlead.adapters.tables import read_table
from fairlead.core.inference import label_text
from fairlead.core.record import OutcomeRecord
from fairlead.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1_000


class OutcomeColumns(Struct, frozen=True):
    """Which columns hold what. Without `observed_at` in the file, each outcome counts as observed when it is read."""

    request_id: str = "request_id"
    outcome: str = "outcome"
    observed_at: str = "observed_at"


def read_outcomes(
    path: Path,
    now: float,
    columns: OutcomeColumns = OutcomeColumns(),  # noqa: B008 - a frozen value
) -> tuple[OutcomeRecord, ...]:
    """The outcomes in a Parquet, CSV or JSON lines file, in its order. Raises as `outcomes_of` does."""
    return outcomes_of(read_table(path), path, now, columns)


def outcomes_of(table: pa.Table, path: Path, now: float, columns: OutcomeColumns) -> tuple[OutcomeRecord, ...]:
    """The outcomes in a file's table; rows that have none yet are left out. `observed_at` may be a date, a timestamp
    (UTC where it names no zone), ISO 8601 text or seconds since 1970.

    Raises `TableError` naming the column or the row that cannot be used, and where no row has an outcome.
    """
    for name in (columns.request_id, columns.outcome):
        if name not in table.column_names:
            held = ", ".join(table.column_names[:10])
            raise TableError(f"{path} has no column {name!r} (it has {held}): name the right one")
    ids, outcomes = _values(table, columns.request_id), _values(table, columns.outcome)
    instants = _values(table, columns.observed_at) if columns.observed_at in table.column_names else None
    rows = []
    for number, (identity, outcome) in enumerate(zip(ids, outcomes, strict=True)):
        if not _there(outcome):
            continue
        where = f"{path}, row {number + 1}"
        observed_at = now if instants is None else instant(instants[number], f"{where}, {columns.observed_at}")
        rows.append(OutcomeRecord(_identity(identity, where), _outcome(outcome, where), observed_at, now))
    if outcomes and not rows:
        raise TableError(f"{path}: no row has an outcome: column {columns.outcome!r} is empty")
    return tuple(rows)


def _there(outcome: Any) -> bool:
    return not (outcome is None or outcome == "" or (isinstance(outcome, float) and isnan(outcome)))


def batches(outcomes: Sequence[OutcomeRecord], size: int = BATCH) -> Iterator[list[dict[str, Any]]]:
    """The outcomes as bodies for `POST /v1/outcomes`."""
    for start in range(0, len(outcomes), size):
        yield [
            {"request_id": each.request_id, "outcome": each.outcome, "observed_at": each.observed_at}
            for each in outcomes[start : start + size]
        ]


def _values(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table.column(name).to_pylist()
    return values


def _identity(value: Any, where: str) -> str:
    if value is None or label_text(value) == "":
        raise TableError(f"{where}: there is no request id: every outcome needs the id of its prediction")
    return label_text(value)


def _outcome(value: Any, where: str) -> float | int | str:
    if isinstance(value, bool):
        return label_text(value)
    if isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise TableError(
        f"{where}: the outcome {value!r} is no label and no number: leave the cell empty where none is known"
    )


def instant(value: Any, where: str) -> float:
    """Seconds since 1970 of a file's cell. Raises `TableError` that names `where`."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if hasattr(value, "isoformat"):  # a date
        return datetime.fromisoformat(value.isoformat()).replace(tzinfo=UTC).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            raise TableError(f"{where}: {value!r} is not an instant: write 2026-01-31T12:00:00Z") from None
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    raise TableError(f"{where}: {value!r} is not an instant: write 2026-01-31T12:00:00Z, or seconds since 1970")
