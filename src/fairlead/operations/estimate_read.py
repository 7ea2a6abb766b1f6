"""Reference and current data of an estimate: read, refused where they cannot serve, and cut into chunks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.adapters.tables import as_table, read_table, to_columns
from fairlead.errors import TableError, UsageError
from fairlead.operations.performance_clock import cut, read_clock, seconds_of
from fairlead.operations.performance_read import BINARY, MULTICLASS, REGRESSION, Asked, Rows, read_rows
from fairlead.stats.columns import CategoricalColumn, Column
from fairlead.stats.performance import Floats

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_REFERENCE = 50
FEWEST_OF_CLASS = 5
Places = NDArray[np.intp]


class Sides(Struct, frozen=True, eq=False):
    """Reference and current rows; of the reference only those with label and prediction.

    `features` are (n, d), or (n, 0) where none are named; `columns` the same as they were read, by side.
    """

    reference: Rows
    current: Rows
    features: tuple[Floats, Floats]
    columns: tuple[tuple[Column, ...], tuple[Column, ...]]
    categorical: tuple[int, ...]
    names: tuple[str, ...]
    dropped: int  # reference rows without a label or a prediction


class Part(Struct, frozen=True, eq=False):
    """A chunk: its name and the places of its rows in the current data."""

    name: str
    places: Places


def read_sides(reference: Any, current: Any, asked: Asked, features: Sequence[str] | None) -> tuple[Sides, pa.Table]:
    """Both tables, and the current one as it came. Raises `TableError` and `UsageError` for what cannot be used."""
    left, right = table_of(reference, "reference"), table_of(current, "current data")
    if asked.target not in left.column_names:
        raise TableError(f"the reference has no column {asked.target!r}: estimates are learned from labelled rows")
    rows = read_rows((left, _with_target(right, asked.target)), asked)
    known, live = rows
    _answerable(known, asked)
    kept = known.predicted & ~np.isnan(known.truth)
    _enough(known, kept, asked)
    for side, role in ((known, "reference"), (live, "current data")):
        _scores(side, asked, role)
    names = _features(features, asked, (left, right))
    one, two = to_columns(left, names), to_columns(right, names)
    matrices, categorical = _matrices(one, two)
    places = np.flatnonzero(kept)
    return Sides(
        picked(known, places),
        live,
        (matrices[0][places], matrices[1]) if names else _none(places.size, live.truth.size),
        (tuple(some(column, places) for column in one), two),
        categorical,
        tuple(names),
        int(known.truth.size - places.size),
    ), right


def table_of(data: Any, role: str) -> pa.Table:
    """Any table as Arrow, with at least a row."""
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if table.num_rows == 0:
        raise TableError(f"the {role} has no rows: an estimate needs at least one")
    return table


def parts_of(table: pa.Table, window: str | float | None, timestamp: str | None, chunk_rows: int | None) -> list[Part]:
    """The current data in chunks: by time, by rows in their order (a last one of less than half joins the one before),
    or all as one."""
    if window is not None and chunk_rows is not None:
        raise UsageError("window and chunk_rows both cut the data: give one of them")
    if window is not None:
        seconds, clock = seconds_of(window), read_clock(table, timestamp, None, None)
        if clock is None or seconds is None:
            raise UsageError("a window needs timestamp: the column that says when each row was")
        placed = np.flatnonzero(~np.isnan(clock.predicted_at))
        windows, place = cut(clock.predicted_at[placed], seconds)
        return [Part(one.name, placed[place == at]) for at, one in enumerate(windows)]
    if chunk_rows is None:
        return [Part("all", np.arange(table.num_rows))]
    if isinstance(chunk_rows, bool) or not isinstance(chunk_rows, int) or chunk_rows < 1:
        raise UsageError(f"chunk_rows is {chunk_rows!r}: give a whole number of rows, at least 1")
    starts = list(range(0, table.num_rows, chunk_rows))
    if len(starts) > 1 and table.num_rows - starts[-1] < chunk_rows / 2:
        starts.pop()
    ends = [*starts[1:], table.num_rows]
    return [Part(f"{a + 1:,} to {b:,}", np.arange(a, b)) for a, b in zip(starts, ends, strict=True)]


def picked(rows: Rows, places: Places) -> Rows:
    """Some of the rows."""
    parts = {
        name: None if value is None else value[places]
        for name in ("decided", "score", "probabilities")
        for value in [getattr(rows, name)]
    }
    odd = {name: getattr(rows, name)[places] for name in ("odd_truth", "odd_prediction")}
    return replace(rows, truth=rows.truth[places], **parts, **odd)


def _with_target(table: pa.Table, target: str) -> pa.Table:
    import pyarrow as pa

    return table if target in table.column_names else table.append_column(target, pa.nulls(table.num_rows))


def _answerable(known: Rows, asked: Asked) -> None:
    if known.task == BINARY and known.score is None:
        raise UsageError(f"two classes are estimated by the probability of one ({known.why}): name its column, score=")
    if known.task == MULTICLASS and known.probabilities is None:
        raise UsageError(
            f"several classes are estimated by their probabilities ({known.why}): name a column for each, "
            "probabilities={'class': 'column', …}"
        )
    if known.task == REGRESSION and asked.prediction is None:
        raise UsageError("name the predicted values' column, prediction=")


def _enough(known: Rows, kept: NDArray[np.bool_], asked: Asked) -> None:
    count = int(kept.sum())
    if np.isnan(known.truth).all():
        raise TableError(f"no row of the reference has a label in {asked.target!r}: estimates are learned from labels")
    if count < FEWEST_REFERENCE:
        raise TableError(
            f"{count:,} reference rows have a label and a prediction: {FEWEST_REFERENCE} are needed to learn from"
        )
    if known.task == REGRESSION:
        return
    counts = np.bincount(known.truth[kept].astype(np.intp), minlength=len(known.classes))
    rare = int(counts.argmin())
    if counts[rare] < FEWEST_OF_CLASS:
        raise TableError(
            f"{int(counts[rare]):,} reference rows are {known.classes[rare]!r} in {asked.target!r}: "
            f"{FEWEST_OF_CLASS} of each class are needed to learn from"
        )


def _scores(rows: Rows, asked: Asked, role: str) -> None:
    if rows.task == BINARY and not rows.probability:
        score = rows.score if rows.score is not None else np.empty(0)
        off = int(np.sum((score < 0) | (score > 1)))
        raise TableError(
            f"{off:,} scores of the {role} in {asked.score!r} lie outside [0, 1]: pass probabilities of "
            f"{rows.classes[-1]!r}"
        )


def _features(features: Sequence[str] | None, asked: Asked, tables: tuple[pa.Table, pa.Table]) -> list[str]:
    if features is None:
        return []
    if isinstance(features, str):
        raise TableError(f"features is the text {features!r}: pass a list of names")
    if asked.target in features:
        raise UsageError(f"{asked.target!r} is the target: it cannot be a feature of its own estimate")
    for table, role in zip(tables, ("reference", "current data"), strict=True):
        for name in features:
            if name not in table.column_names:
                raise TableError(f"the {role} has no column {name!r}: it has {', '.join(table.column_names[:10])}")
    return list(dict.fromkeys(features))


def _matrices(one: Sequence[Column], two: Sequence[Column]) -> tuple[tuple[Floats, Floats], tuple[int, ...]]:
    """Numbers as they are, infinities as missing; categories as codes that both sides share, missing as nan."""
    sides: tuple[list[Floats], list[Floats]] = ([], [])
    categorical = []
    for place, (left, right) in enumerate(zip(one, two, strict=True)):
        if isinstance(left, CategoricalColumn) != isinstance(right, CategoricalColumn) and not (
            left.empty or right.empty
        ):
            raise TableError(f"column {left.name!r} holds text on one side and numbers on the other: make them alike")
        if isinstance(left, CategoricalColumn) or isinstance(right, CategoricalColumn):
            categorical.append(place)
            codes: dict[str, int] = {}
            for side, column in zip(sides, (left, right), strict=True):
                side.append(_codes(column, codes))
        else:
            for side, column in zip(sides, (left, right), strict=True):
                side.append(np.where(np.isfinite(column.values), column.values, np.nan))
    stacked = [np.column_stack(side) if side else np.empty((0, 0)) for side in sides]
    return (stacked[0], stacked[1]), tuple(categorical)


def _none(known: int, live: int) -> tuple[Floats, Floats]:
    return np.empty((known, 0)), np.empty((live, 0))


def _codes(column: Column, codes: dict[str, int]) -> Floats:
    if not isinstance(column, CategoricalColumn):
        return np.full(column.rows, np.nan)
    lookup = [float(codes.setdefault(name, len(codes))) for name in column.categories]
    return np.asarray(np.array([*lookup, np.nan])[column.codes], np.float64)


def some(column: Column, places: Places) -> Column:
    """Some rows of a column."""
    if isinstance(column, CategoricalColumn):
        return replace(column, codes=column.codes[places])
    return replace(column, values=column.values[places])
