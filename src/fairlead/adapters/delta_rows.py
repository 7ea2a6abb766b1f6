"""Log records as rows of a table that any engine reads, and back.

Instants are microseconds, UTC. What is no instant between 1970 and the year 9892 is null, as it belongs to no window.
A feature that is a number stands in `feature_numbers`; text, booleans and nested values (as JSON) in `feature_texts`;
null in neither. `features` is the caller's own JSON. A prediction or an outcome is text, beside it its number where it
is one. `segment` and `position` name the place in the write-ahead log that a row came from; `sampled` is the
probability with which it was kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports.log import Batch

if TYPE_CHECKING:
    import pyarrow as pa

PARTITIONS = {PREDICTIONS: ("model_name", "day"), OUTCOMES: ("day",)}
# The only columns whose least and greatest values the table's own log repeats: nothing there may name a person.
STATISTICS = {PREDICTIONS: "timestamp,received_at,status,segment", OUTCOMES: "observed_at,received_at,segment"}
_LOG = logging.getLogger("fairlead.log")
_LAST_INSTANT = 2.5e11
_NO_INSTANT = -1.0  # before 1970: the watch passes it over, as it did when it was read from a segment
_MAPS = ("feature_numbers", "feature_texts")
_decode = msgspec.json.Decoder().decode


@cache
def schema(kind: str) -> pa.Schema:
    """The columns of one kind's table."""
    import pyarrow as pa

    text, number, instant = pa.string(), pa.float64(), pa.timestamp("us", "UTC")
    place = [("segment", text), ("position", pa.int64()), ("day", pa.date32())]
    if kind == OUTCOMES:
        outcome = [("request_id", text), ("outcome", text), ("outcome_number", number)]
        return pa.schema([*outcome, ("observed_at", instant), ("received_at", instant), *place])
    return pa.schema(
        [
            *(("request_id", text), ("model_name", text), ("model_version", pa.int64()), ("arm", text)),
            *(("unit_id", text), ("propensity", number), ("timestamp", instant), ("received_at", instant)),
            *(("features", text), ("feature_numbers", pa.map_(text, number)), ("feature_texts", pa.map_(text, text))),
            *(("prediction", text), ("prediction_number", number), ("score", number)),
            *(("probabilities", pa.list_(number)), ("latency_ms", number), ("status", pa.int32()), ("error", text)),
            *(("shadow_of", pa.int64()), ("trace_id", text), ("rollout", text), ("sampled", number)),
            *place,
        ]
    )


def to_rows(batch: Batch) -> pa.Table:
    """A batch as rows, in its order. A record that no table can hold is left out and logged: it must not hold up the
    others."""
    import pyarrow as pa

    places = list(zip(batch.segments, batch.offsets, batch.records, strict=True))
    parts = list(_parts(batch.kind, places))
    return pa.concat_tables(parts) if parts else schema(batch.kind).empty_table()


def _parts(kind: str, places: list[tuple[str, int, Any]]) -> Iterator[pa.Table]:
    """The rows, whole where they can be, else by halves."""
    import pyarrow as pa

    if not places:
        return
    try:
        yield _rows(kind, places)
    except (pa.ArrowException, OverflowError, UnicodeError) as error:
        if len(places) == 1:
            _LOG.warning("the record at byte %d of %s fits no table: %s", places[0][1], places[0][0], error)
            return
        half = len(places) // 2
        yield from _parts(kind, places[:half])
        yield from _parts(kind, places[half:])


def _rows(kind: str, places: list[tuple[str, int, Any]]) -> pa.Table:
    import pyarrow as pa

    records = [record for _, _, record in places]
    columns = _outcome_columns(records) if kind == OUTCOMES else _prediction_columns(records)
    columns |= {"segment": [segment for segment, _, _ in places], "position": [offset for _, offset, _ in places]}
    received = [record.received_at for record in records]
    columns |= {"received_at": [_micros(at) for at in received], "day": [_day(at) for at in received]}
    return pa.table([_array(columns[each.name], each.type) for each in schema(kind)], schema=schema(kind))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """A column: built already, or a list of values."""
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _prediction_columns(records: Sequence[Prediction]) -> dict[str, Any]:
    maps = _Maps()
    for record in records:
        maps.add(record.features)
    columns: dict[str, Any] = {
        name: [getattr(record, name) for record in records]
        for name in (
            *("request_id", "model_name", "model_version", "arm", "unit_id", "propensity", "score", "probabilities"),
            *("latency_ms", "status", "error", "shadow_of", "trace_id", "rollout"),
        )
    }
    return columns | {
        "timestamp": [_micros(record.timestamp) for record in records],
        "features": [bytes(record.features).decode(errors="replace") for record in records],
        **maps.columns(),
        "prediction": [_text(record.prediction) for record in records],
        "prediction_number": [_number(record.prediction) for record in records],
        "sampled": [1.0] * len(records),
    }


def _outcome_columns(records: Sequence[OutcomeRecord]) -> dict[str, Any]:
    return {
        "request_id": [record.request_id for record in records],
        "outcome": [_text(record.outcome) for record in records],
        "outcome_number": [_number(record.outcome) for record in records],
        "observed_at": [_micros(record.observed_at) for record in records],
    }


class _Maps:
    """The two map columns while they are built: flat, because a list of pairs a row costs several times as much."""

    def __init__(self) -> None:
        self._names: tuple[list[str], list[str]] = ([], [])
        self._numbers: list[float] = []
        self._texts: list[str] = []
        self._ends: tuple[list[int], list[int]] = ([0], [0])

    def add(self, raw: Raw) -> None:
        """The numbers and the texts of a feature object; none of what is no object."""
        try:
            values = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            values = None
        numbers, texts = self._names
        for name, value in values.items() if isinstance(values, dict) else ():
            kind = type(value)
            if kind is float or (kind is int and -(2**63) <= value < 2**63):
                numbers.append(name)
                self._numbers.append(float(value))  # Arrow takes no int that a float cannot hold
            elif value is not None:
                texts.append(name)
                self._texts.append(value if kind is str else msgspec.json.encode(value).decode())
        self._ends[0].append(len(numbers))
        self._ends[1].append(len(texts))

    def columns(self) -> dict[str, pa.Array]:
        """Both, as Arrow holds them."""
        import pyarrow as pa

        values = pa.array(self._numbers, pa.float64()), pa.array(self._texts, pa.string())
        return {
            column: pa.MapArray.from_arrays(pa.array(ends, pa.int32()), pa.array(names, pa.string()), held)
            for column, ends, names, held in zip(_MAPS, self._ends, self._names, values, strict=True)
        }


def _text(value: float | int | str | None) -> str | None:
    """What `_value` reads back: an int without a point, a float with one (or an exponent)."""
    return value if value is None or isinstance(value, str) else repr(value)


def _number(value: float | int | str | None) -> float | None:
    if value is None or isinstance(value, str):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _value(text: str | None, number: float | None) -> float | int | str | None:
    if text is None or number is None:
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _micros(at: float) -> int | None:
    return int(at * 1e6) if 0.0 <= at < _LAST_INSTANT else None


def _day(at: float) -> date:
    return datetime.fromtimestamp(at if 0.0 <= at < _LAST_INSTANT else 0.0, UTC).date()


def _seconds(micros: int | None) -> float:
    return _NO_INSTANT if micros is None else micros / 1e6


def to_predictions(rows: pa.RecordBatch) -> Iterator[Prediction]:
    """The records that rows came from; instants to the microsecond."""
    for row in _dicts(rows, ("timestamp", "received_at")):
        yield Prediction(
            *(row["request_id"], row["model_name"], row["model_version"], row["arm"], row["unit_id"]),
            *(row["propensity"], _seconds(row["timestamp"]), _seconds(row["received_at"])),
            features=Raw(row["features"].encode()),
            prediction=_value(row["prediction"], row["prediction_number"]),
            score=row["score"],
            latency_ms=row["latency_ms"],
            probabilities=None if row["probabilities"] is None else tuple(row["probabilities"]),
            status=row["status"],
            error=row["error"],
            shadow_of=row["shadow_of"],
            trace_id=row["trace_id"],
            rollout=row["rollout"],
        )


def to_outcomes(rows: pa.RecordBatch) -> Iterator[OutcomeRecord]:
    """The records that rows came from; instants to the microsecond."""
    for row in _dicts(rows, ("observed_at", "received_at")):
        outcome = _value(row["outcome"], row["outcome_number"])
        assert outcome is not None
        yield OutcomeRecord(row["request_id"], outcome, _seconds(row["observed_at"]), _seconds(row["received_at"]))


def _dicts(rows: pa.RecordBatch, instants: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    columns = {name: rows.column(name) for name in rows.schema.names if not name.startswith("feature_")}
    columns |= {name: columns[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()) for name in instants}
    lists = [column.to_pylist() for column in columns.values()]
    for values in zip(*lists, strict=True):
        yield dict(zip(columns, values, strict=True))
