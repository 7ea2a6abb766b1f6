"""Drift over time: a table cut into windows by its timestamps, each window compared with one reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.adapters.tables import to_columns
from fairlead.config.grammar import duration, span
from fairlead.core.check import judge_drift
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import SettingsError, TableError, UsageError
from fairlead.operations.drift import in_threads, shared_columns, table_of
from fairlead.operations.drift_report import check_alpha
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.operations.timeline_html import fragment, page
from fairlead.operations.timeline_values import DriftWindow, Timeline
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.distances import DEFAULT, Thresholds
from fairlead.stats.drift import ColumnDrift, Measured, judge, measure, ranked
from fairlead.stats.exact import Floats
from fairlead.stats.profile import ColumnProfile, TableProfile, profile_column
from fairlead.stats.shape import column_distances
from fairlead.stats.slots import profile_slots
from fairlead.stats.tally import Counts, Scratch

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_WINDOWS = 20_000
PROFILES = 4_096  # held at once: a hundred MB

LAST_INSTANT = 2.5e11  # seconds since 1970: in the year 9892


class DriftTimeline(Timeline, frozen=True, dict=True):
    """What every window showed (see `Timeline` for the fields), and how it is shown."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {
            "verdict": msgspec.to_builtins(self.verdict),
            "alpha": self.alpha,
            "window_seconds": self.seconds,
            "undated": self.undated,
            "shapes": msgspec.to_builtins(self.shapes),
            "windows": [msgspec.to_builtins(window) for window in self.windows],
        }

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each window and column. Raises `MissingExtra` without pandas."""
        return frame_of(
            [_row(window, column) for window in self.windows for column in window.columns], "DriftTimeline.to_frame()"
        )

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self))

    def _repr_html_(self) -> str:
        return fragment(self)


def drift_timeline(
    reference: Any,
    current: Any,
    *,
    timestamp: str,
    window: str | float,
    columns: Sequence[str] | None = None,
    alpha: float = 0.01,
    thresholds: Thresholds = DEFAULT,
) -> DriftTimeline:
    """Cuts `current` into windows by the column `timestamp`, and compares each with the whole of `reference`.

    Tables are as for `drift`. A window is a duration such as "1h" or "7d" (or seconds); windows are counted from a
    Monday, 0:00 UTC, and one in which nothing came between two others is there and unmeasured. Raises `TableError` for
    a timestamp column that is missing or holds no instants, and where more than 20,000 windows would be needed;
    `UsageError` for an impossible window or `alpha`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> at = np.arange(4_000) * 3_600.0
    >>> moved = {"at": at, "age": rng.normal(np.where(at < 7e6, 40, 50), 5)}
    >>> found = drift_timeline({"age": rng.normal(40, 5, 4_000)}, moved, timestamp="at", window="14d")
    >>> found.verdict.outcome.value, found.shapes["age"].form.value
    ('breached', 'sudden')
    """
    check_alpha(alpha)
    seconds = _seconds(window)
    left, right = table_of(reference, "reference"), table_of(current, "current data")
    names, skipped = shared_columns(left, right, columns, leave_out=timestamp)
    order, edges, first = _cut(right, timestamp, seconds)
    cut = Cut(left, right, order, edges, len(names) * (edges.size - 1) <= PROFILES, thresholds)
    pairs = in_threads(cut.pair, names)
    mixed = tuple(pair for pair in pairs if isinstance(pair, ColumnDrift))
    mixed += tuple(column for name, column in skipped.items() if name in left.column_names)
    unjudged = tuple(column for name, column in skipped.items() if name not in left.column_names)
    series = Series([pair for pair in pairs if not isinstance(pair, ColumnDrift)], left.num_rows, edges)
    found = [judge(window, alpha) for window in series.windows(thresholds)]
    windows = tuple(
        _window(first + place * seconds, seconds, int(edges[place + 1] - edges[place]), (*one, *mixed), unjudged)
        for place, one in enumerate(found)
    )
    return DriftTimeline(
        verdict=_over_all(windows),
        windows=windows,
        distances={name: tuple(values) for name, values in series.distances().items()},
        reference=series.reference,
        seconds=seconds,
        alpha=alpha,
        undated=right.num_rows - int(edges[-1]),
    )


def _seconds(window: str | float) -> float:
    try:
        seconds = span(window) if isinstance(window, str) else duration(window)
    except SettingsError as error:
        raise UsageError(f"window: {error}") from error
    if not 1.0 <= seconds < LAST_INSTANT:
        raise UsageError(f"a window of {window!r} cannot be cut: windows last at least a second")
    return seconds


def _cut(table: pa.Table, timestamp: str, seconds: float) -> tuple[Counts | None, Counts, float]:
    """The order of the dated rows by time (None where they are in order), the windows' edges in it, and the start."""
    (column,) = to_columns(table, [timestamp])
    if not isinstance(column, NumericColumn):
        raise TableError(f"column {timestamp!r} holds text: parse it into timestamps, or seconds since 1970")
    at = column.values
    dated = np.isfinite(at)
    if not dated.any():
        raise TableError(f"column {timestamp!r} has no timestamp at all: no window can be cut")
    order = None
    if not dated.all() or (at[1:] < at[:-1]).any():
        order = np.argsort(np.where(dated, at, np.inf), kind="stable")[: int(dated.sum())]
        at = at[order]
    if not 0.0 <= at[0] <= at[-1] <= LAST_INSTANT:
        raise TableError(
            f"column {timestamp!r} runs from {at[0]:g} to {at[-1]:g}: give timestamps, or seconds since 1970"
        )
    origin = 4 * 86_400.0  # a Monday
    first, last = (float(np.floor((end - origin) / seconds)) for end in (at[0], at[-1]))
    if last - first >= MOST_WINDOWS:
        raise TableError(f"{last - first + 1:,.0f} windows would be needed: at most {MOST_WINDOWS:,}, take longer ones")
    starts = origin + (first + np.arange(int(last - first) + 1)) * seconds
    edges = np.append(np.searchsorted(at, starts, side="left"), at.size)
    return order, edges, float(starts[0])


class Cut(Struct, frozen=True, eq=False):
    """Both tables, and how the current one is cut: its rows' order by time, and the windows' edges in it.

    `few`: the profiles of all windows can be held at once, so that a column's values need not be kept.
    """

    left: Any
    right: Any
    order: Counts | None
    edges: Counts
    few: bool
    thresholds: Thresholds

    def pair(self, name: str, scratch: Scratch) -> tuple[ColumnProfile, Column | Measures] | ColumnDrift:
        """A column's reference, and what its windows show, or the column itself where they are too many."""
        (one,), (two,) = to_columns(self.left, [name]), to_columns(self.right, [name])
        if type(one) is not type(two) and not one.empty and not two.empty:
            return ColumnDrift(name, "unknown", unmeasured="numbers on one side, text on the other")
        if self.order is not None and isinstance(two, NumericColumn):
            two = NumericColumn(name, two.values[self.order])
        elif self.order is not None and isinstance(two, CategoricalColumn):
            two = CategoricalColumn(name, two.codes[self.order], two.categories)
        reference = profile_column(one, None, scratch)
        return reference, measures(reference, two, self.edges, self.thresholds, scratch) if self.few else two


class Measures(Struct, frozen=True, eq=False):
    """A column in each of some windows: its distances, or why there are none, and its signed distance, (windows,)."""

    windows: list[Measured | ColumnDrift]
    distances: Floats


def measures(
    reference: ColumnProfile, column: Column, edges: Counts, thresholds: Thresholds, scratch: Scratch
) -> Measures:
    """Counts a column's windows and measures them: while one thread counts, another has the interpreter to measure."""
    slots = profile_slots(column, reference.grid, edges, scratch)
    return Measures(measure([(reference, slot) for slot in slots], thresholds), column_distances(reference, slots))


class Series:
    """The columns of a table in order of time, cut at `edges`, beside the profiles that they are compared with."""

    def __init__(self, pairs: Sequence[tuple[ColumnProfile, Column | Measures]], rows: int, edges: Counts) -> None:
        self.reference = TableProfile(rows, tuple(pair[0] for pair in pairs))
        self._columns = [pair[1] for pair in pairs]
        self._edges = edges
        self._distances: list[Floats] = []

    def windows(self, thresholds: Thresholds) -> Iterator[tuple[Measured | ColumnDrift, ...]]:
        """The columns of each window, so many windows at a time that their profiles stay small."""
        step = max(1, PROFILES // max(len(self._columns), 1))
        for start in range(0, self._edges.size - 1, step):
            edges = self._edges[start : start + step + 1]
            found = self._measures(edges, thresholds)
            self._distances.append(np.array([one.distances for one in found]).reshape(len(found), edges.size - 1))
            yield from zip(*(one.windows for one in found), strict=True) if found else [()] * (edges.size - 1)

    def _measures(self, edges: Counts, thresholds: Thresholds) -> list[Measures]:
        def of(place: int, scratch: Scratch) -> Measures:
            column = self._columns[place]
            if isinstance(column, Measures):
                return column
            return measures(self.reference.columns[place], column, edges, thresholds, scratch)

        return in_threads(of, range(len(self._columns)))

    def distances(self) -> dict[str, list[float]]:
        """Each column's distance from the reference, window by window; NaN for a window without a value."""
        table = np.concatenate(self._distances, axis=1)
        return {name: row.tolist() for name, row in zip(self.reference.names, table, strict=True)}


def _window(
    starts_at: float, seconds: float, rows: int, columns: tuple[ColumnDrift, ...], unjudged: tuple[ColumnDrift, ...]
) -> DriftWindow:
    """`unjudged` columns, which the reference lacks, are listed and do not weigh: it says nothing of them."""
    every = (*columns, *unjudged)
    if not rows:
        silent = Verdict(Outcome.UNMEASURED, "nothing came in this window")
        return DriftWindow(starts_at, starts_at + seconds, 0, silent, every)
    return DriftWindow(starts_at, starts_at + seconds, rows, judge_drift(columns), ranked(every))


def _over_all(windows: Sequence[DriftWindow]) -> Verdict:
    """Breached if any window is, and so on; the reason says how many, and the first of them."""
    for outcome in (Outcome.BREACHED, Outcome.UNMEASURED, Outcome.UNDECIDED):
        found = [window for window in windows if window.verdict.outcome is outcome]
        if found:
            first = f"{outcome.value} in {len(found):,} of {counted(len(windows), 'window')}, first in {found[0].name}"
            return Verdict(outcome, f"{first}: {found[0].verdict.reason}")
    return Verdict(Outcome.HOLDS, f"{_every(len(windows))}; the last: {windows[-1].verdict.reason}")


def _every(windows: int) -> str:
    return f"all {windows:,} windows hold" if windows > 1 else "the one window holds"


def _row(window: DriftWindow, column: ColumnDrift) -> dict[str, Any]:
    values = {one.name: one.value for one in column.distances}
    return {
        "starts_at": datetime.fromtimestamp(window.starts_at, UTC),
        "rows": window.rows,
        "column": column.name,
        "level": str(column.level),
        "p_value": column.p_value,
        "q_value": column.q_value,
        **{name: values.get(name) for name in DEFAULT.__struct_fields__},
        "unmeasured": column.unmeasured,
    }
