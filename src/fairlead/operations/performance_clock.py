"""The instants of a table: when each prediction was made and each label observed, and what was known when."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from fairlead.adapters.tables import to_columns
from fairlead.config.grammar import duration, span
from fairlead.core.listing import counted
from fairlead.core.window import MONDAY, Window, WindowPlan
from fairlead.errors import SettingsError, TableError, UsageError
from fairlead.stats.columns import NumericColumn
from fairlead.stats.performance.measure import Floats

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WINDOWS = 1_000
_SECONDS = 1e11  # a larger number of seconds lies beyond the year 5000: it was milliseconds


class Clock(Struct, frozen=True, eq=False):
    """`predicted_at` and `observed_at` (n,), seconds since 1970, nan for none; read as of `as_of`."""

    predicted_at: Floats
    observed_at: Floats | None
    as_of: float
    stated: str


def read_clock(table: pa.Table, predicted_at: str | None, observed_at: str | None, as_of: Any) -> Clock | None:
    """The table's instants; None where no column was named. `as_of` is an instant, or None for the latest of them.

    Raises `UsageError` for instants of labels without those of predictions, `TableError` for what is no instant.
    """
    if predicted_at is None:
        if observed_at is not None or as_of is not None:
            raise UsageError("observed_at and as_of need predicted_at: the column that says when each answer was given")
        return None
    made = _instants(table, predicted_at)
    seen = None if observed_at is None else _instants(table, observed_at)
    latest = [float(np.nanmax(part)) for part in (made, seen) if part is not None and not np.isnan(part).all()]
    if not latest:
        raise TableError(f"column {predicted_at!r} holds no instant: no row can be placed in time")
    if as_of is None:
        return Clock(made, seen, max(latest), f"as of {written(max(latest))}, the latest instant in the table")
    at = instant(as_of)
    return Clock(made, seen, at, f"as of {written(at)}")


def instant(at: Any) -> float:
    """Seconds since 1970 of a number, a datetime, or ISO text (UTC where it names no zone). Raises `UsageError`.

    >>> instant("2026-07-01"), instant(0)
    (1782864000.0, 0.0)
    """
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            raise UsageError(f"{at!r} is no instant: write it as 2026-07-01 or 2026-07-01T12:00:00Z") from None
    if isinstance(at, datetime):
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if isinstance(at, bool) or not isinstance(at, int | float) or not np.isfinite(at):
        raise UsageError(f"{at!r} is no instant: pass a datetime, ISO text, or seconds since 1970")
    return float(at)


def seconds_of(window: str | float | None) -> float | None:
    """A window's length. Raises `UsageError` for what is no duration of at least a second."""
    if window is None:
        return None
    try:
        seconds = span(window) if isinstance(window, str) else duration(window)
    except SettingsError as error:
        raise UsageError(f"window: {error}") from error
    if seconds < 1:
        raise UsageError(f"a window of {window}: windows last at least a second")
    return seconds


def cut(predicted_at: Floats, seconds: float) -> tuple[tuple[Window, ...], np.ndarray[Any, np.dtype[np.intp]]]:
    """The windows from the first prediction to the last, empty ones too, and each row's place among them.

    Raises `UsageError` for more than a thousand.
    """
    places = np.floor((predicted_at - MONDAY) / seconds).astype(np.int64)
    first, last = int(places.min()), int(places.max())
    if last - first >= MOST_WINDOWS:
        raise UsageError(
            f"a window of {seconds:g} s cuts these predictions into {counted(last - first + 1, 'window')}: "
            f"take a longer one, for at most {MOST_WINDOWS:,}"
        )
    plan = WindowPlan(seconds=seconds)
    windows = [plan.window_of(MONDAY + (place + 0.5) * seconds) for place in range(first, last + 1)]
    return tuple(windows), (places - first).astype(np.intp)


def written(at: float) -> str:
    """An instant as a person reads it, UTC: the day alone at midnight.

    >>> written(0.0), written(3600.0)
    ('1970-01-01', '1970-01-01 01:00:00 UTC')
    """
    when = datetime.fromtimestamp(floor(at), UTC)
    return f"{when:%Y-%m-%d}" if at % 86_400 == 0 else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def long(seconds: float) -> str:
    """A duration as a person reads it.

    >>> long(90.0), long(3 * 86400.0), long(0.25)
    ('1.5 min', '3 days', '0.25 s')
    """
    for size, name in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {'day' if name == 'days' and seconds == size else name}"
    return f"{seconds:.3g} s"


def _instants(table: pa.Table, name: str) -> Floats:
    (column,) = to_columns(table, [name])
    if not isinstance(column, NumericColumn):
        return _parsed(table, name)
    values = np.where(np.isinf(column.values), np.nan, column.values)
    if values.size and np.nanmax(np.abs(values), initial=0.0) > _SECONDS:
        raise TableError(f"column {name!r} holds numbers that are no seconds since 1970: divide milliseconds by 1000")
    return np.asarray(values, np.float64)


def _parsed(table: pa.Table, name: str) -> Floats:
    import pyarrow as pa

    values = table.column(name)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):  # of polars: Arrow cannot parse it
        values = values.cast(pa.large_string())
    for unit, zone in (("us", None), ("us", "UTC"), ("ns", None), ("ns", "UTC")):
        try:
            parsed = pa.table({name: values.cast(pa.timestamp(unit, tz=zone))})
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # no instants; no text either, as UUIDs
            continue
        (column,) = to_columns(parsed, [name])
        assert isinstance(column, NumericColumn)
        return column.values
    raise TableError(
        f"column {name!r} holds text that is no instant: write 2026-07-01T12:00:00Z, or seconds since 1970"
    )
