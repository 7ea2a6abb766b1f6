"""Business events from a file, and those that the log holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fairlead.adapters.fact_log import SegmentFactReader, SegmentFacts
from fairlead.adapters.tables import read_table
from fairlead.core.inference import label_text
from fairlead.core.record import EventRecord, event_id_of
from fairlead.errors import NotFound, TableError
from fairlead.operations.context import Context
from fairlead.operations.outcomes import OutcomeColumns, instant, outcomes_of

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("unit_id", "name", "value")
COMMAND = 9999  # not a worker's number: what a command writes lies beside what the workers write


class Imported(Struct, frozen=True):
    """What a file held. `without`: rows that have no outcome yet, and were left out."""

    outcomes: int = 0
    events: int = 0
    without: int = 0


def import_file(
    context: Context,
    model: str,
    path: Path,
    columns: OutcomeColumns = OutcomeColumns(),  # noqa: B008 - a frozen value
) -> Imported:
    """Writes a file's outcomes, or its business events where its columns are `unit_id`, `name` and `value` (with `at`
    or `event_id`), to the log. They are on the disk when this returns.

    Raises `NotFound` for an unknown model and `TableError` for a file that cannot be used; nothing is written then.
    """
    if not any(True for _ in context.journal.read(model=model, kinds=["version_registered"])):
        raise NotFound(f"there is no model {model!r} in this home: `fairlead models` lists them")
    table = read_table(path)
    held = set(table.column_names)
    if columns.request_id in held or not held.issuperset(NEEDED):
        outcomes = outcomes_of(table, path, context.clock.now(), columns)
        with closing(context.open_writer()) as log:
            log.outcomes(outcomes)
        return Imported(outcomes=len(outcomes), without=table.num_rows - len(outcomes))
    records = events_of(table, path, model, context.clock.now())
    with closing(SegmentFacts(context.home / "log", COMMAND)) as facts:
        facts.add_events(records)
    return Imported(events=len(records))


def events_of(table: pa.Table, path: Path, model: str, now: float) -> tuple[EventRecord, ...]:
    """The events in a file's table. `at` may be a date, a timestamp (UTC where it names no zone), ISO 8601 text or
    seconds since 1970.

    Raises `TableError` naming the column or the row that cannot be used, and for a file without `at` and `event_id`:
    read twice, it would be twice as many events.
    """
    if not {"at", "event_id"} & set(table.column_names):
        raise TableError(
            f"{path} has neither a column 'at' nor 'event_id', so its events could not be told from each other, nor "
            "from those of a second import: add one of them"
        )
    rows = table.to_pylist()
    return tuple(_event(row, model, f"{path}, row {number + 1}", now) for number, row in enumerate(rows))


def events(context: Context) -> Iterator[EventRecord]:
    """The log's business events, each fact once. Raises `StateError`."""
    return SegmentFactReader(context.home / "log").events()


def _event(row: dict[str, Any], model: str, where: str, now: float) -> EventRecord:
    unit, name = (_text(row[column], f"{where}, {column}") for column in ("unit_id", "name"))
    value, said = row["value"], row.get("at")
    if isinstance(value, bool):
        value = int(value)
    if not isinstance(value, str | int) and not (isinstance(value, float) and isfinite(value)):
        raise TableError(f"{where}: the value {value!r} is no number and no text: leave rows without a value out")
    given = row.get("event_id")
    if said is None and given is None:
        raise TableError(f"{where}: there is neither an instant nor an event id: every event needs one of them")
    at = now if said is None else instant(said, f"{where}, at")
    identity = event_id_of(model, unit, name, value, at) if given is None else _text(given, f"{where}, event_id")
    return EventRecord(identity, model, unit, name, value, at, now)


def _text(value: Any, where: str) -> str:
    if value is None or label_text(value) == "":
        raise TableError(f"{where}: there is nothing: every event needs a unit and a name")
    return label_text(value)
