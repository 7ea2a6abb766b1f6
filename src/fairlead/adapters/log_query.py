"""Predictions with what became of them: the table and, beyond it, the segments, joined by request id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fairlead.adapters.delta_rows import schema, to_rows
from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.adapters.segment_store import SegmentStore

if TYPE_CHECKING:
    import pyarrow as pa

    from fairlead.adapters.delta_log import DeltaLog

_ATTEMPT = ("request_id", "model_version", "arm", "unit_id")  # what a retry has in common with the first attempt
_EVERYTHING = 2**62


def predictions_with_outcomes(
    store: SegmentStore, table: DeltaLog | None, model: str, since: float, until: float
) -> pa.Table:
    """A model's predictions with event times in [since, until), each with its outcome, in order of event time.

    The prediction's columns, then `outcome`, `outcome_number`, `observed_at`: null where none came yet. It makes no
    difference which of the two came first. Of an outcome that was told again the latest word counts (by `observed_at`,
    then `received_at`), as in the watch. A retry that was answered twice by one version is one row, the first; failed
    attempts (500 and above) are all kept. Raises `StateError`.
    """
    import pyarrow.compute as pc

    predictions = predictions_alone(store, table, model, since, until)
    outcomes = _latest(_rows(store, table, OUTCOMES, None))
    place = pc.index_in(predictions["request_id"], value_set=outcomes["request_id"].combine_chunks())
    for name in ("outcome", "outcome_number", "observed_at"):
        predictions = predictions.append_column(schema(OUTCOMES).field(name), outcomes[name].take(place))
    return predictions.sort_by(_by("timestamp", "received_at", "segment", "position"))


def predictions_alone(store: SegmentStore, table: DeltaLog | None, model: str, since: float, until: float) -> pa.Table:
    """The same predictions without their outcomes, in the order that they were received in."""
    import pyarrow.compute as pc

    instant = pc.field("timestamp")
    where = (pc.field("model_name") == model) & (instant >= _instant(since)) & (instant < _instant(until))
    return _once(_rows(store, table, PREDICTIONS, where).sort_by(_by("received_at", "segment", "position")))


def logged_span(store: SegmentStore, table: DeltaLog | None, model: str) -> tuple[float, float] | None:
    """The event times of a model's oldest and newest prediction; None without one. Raises `StateError`."""
    import pyarrow.compute as pc

    where = pc.field("model_name") == model
    held = table.batches(PREDICTIONS, where, columns=("timestamp",)) if table is not None else iter(())
    beyond = to_rows(store.read(PREDICTIONS, lambda _: 0, _EVERYTHING)).filter(where)
    ends = [pc.min_max(part["timestamp"]).as_py() for part in (*held, beyond)]
    found = [(one["min"].timestamp(), one["max"].timestamp()) for one in ends if one["min"] is not None]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _rows(store: SegmentStore, table: DeltaLog | None, kind: str, where: Any) -> pa.Table:
    """Both parts without a gap or a double: the segments from where the table ends."""
    import pyarrow as pa

    reached: Callable[[str], int] = lambda _: 0  # noqa: E731 - the table that is not there
    opened = table.open(kind) if table is not None else None
    parts: list[Any] = []
    if table is not None and opened is not None:
        reached = table.reached(kind, opened)
        parts = list(table.batches(kind, where, opened))
    held = pa.Table.from_batches(parts, schema(kind))
    beyond = to_rows(store.read(kind, reached, _EVERYTHING))
    return pa.concat_tables([held, beyond if where is None else beyond.filter(where)])


def _once(rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    keys = zip(*(rows[name].to_pylist() for name in _ATTEMPT), strict=True)
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for key, status in zip(keys, rows["status"].to_pylist(), strict=True):
        kept.append(status >= 500 or key not in seen)
        if status < 500:
            seen.add(key)
    return rows.filter(pa.array(kept, pa.bool_()))


def _latest(outcomes: pa.Table) -> pa.Table:
    """One row a request, the last in this order; what is told twice at one instant is decided by its text."""
    import pyarrow as pa

    ordered = outcomes.sort_by(_by("observed_at", "received_at", "outcome"))
    last = {request: row for row, request in enumerate(ordered["request_id"].to_pylist())}
    return ordered.take(pa.array(list(last.values()), pa.int64()))


def _by(*names: str) -> list[tuple[str, str]]:
    return [(name, "ascending") for name in names]


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
