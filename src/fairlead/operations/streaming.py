"""Profiles and drift of tables larger than memory: `profile_source`, `drift_sources`.

A profile is a sum over the parts of a table, so no more than a slab of a column is held for each worker. A reference is
read twice, because its grid comes first: the first pass takes a sample of its numbers and the exact totals of its
categories, the second one counts the numbers. A reference of at most `SIZE` rows is its own sample, read once, and its
profile is that of `fairlead.profile`. The result depends neither on the engine nor on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairlead.adapters.engines.local import LocalEngine
from fairlead.adapters.engines.ray import RayEngine
from fairlead.adapters.sources.memory import StreamSource, spool
from fairlead.adapters.sources.opening import open_source
from fairlead.core.check import judge_drift
from fairlead.core.listing import first_of
from fairlead.errors import TableError, UsageError
from fairlead.operations.drift_report import DriftReport, check_alpha
from fairlead.operations.passes import Passes, Progress
from fairlead.ports.engine import NULL, TEXT, Engine, Source
from fairlead.stats.distances import DEFAULT, Thresholds
from fairlead.stats.drift import ColumnDrift, compare, ranked
from fairlead.stats.grid import Grid
from fairlead.stats.profile import TableProfile


def open_engine(name: str, workers: int | None = None) -> Engine:
    """An engine by name: `local` is this process's threads, `ray` a cluster. Close it.

    Raises `UsageError` for another name, `MissingExtra` for `ray` without ray.
    """
    if name == "local":
        return LocalEngine(workers)
    if name == "ray":
        return RayEngine(workers)
    raise UsageError(f"there is no engine {name!r}: there are local and ray")


def profile_source(
    source: Any,
    like: TableProfile | None = None,
    *,
    columns: Sequence[str] | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    progress: Progress | None = None,
) -> TableProfile:
    """Profiles a table of any length, on the grids of `like` or on those it fixes itself.

    `source` is a path (a Parquet file, a folder or pattern of them, a Delta table, also `orders?version=3`), any table
    in memory, an Arrow dataset, or anything that streams Arrow batches; a stream that fixes its own grids is kept in a
    temporary folder, to be read twice. `columns` names what is profiled (default: all of `like`, or all that can be).
    `engine` is `local`, `ray`, or an engine that is open; `workers` is how many parts are worked on at a time.
    `progress` is called with the jobs done and the jobs in all (0 where nobody knows).

    Raises `TableError` for a table that cannot be read (it names the file and the row group), that has no rows, that
    lacks a column or holds another kind in it; `MissingExtra` without ray or deltalake where they are needed.

    >>> reference = profile_source({"age": [30, 40, 50] * 100})
    >>> [(p.present, p.nulls) for p in profile_source({"age": [30, None]}, reference).columns]
    [(1, 1)]
    """
    with _running(engine, workers) as runner, _twice(open_source(source), like is None) as data:
        if like is not None:
            return Passes(runner, progress).on_grids(data, _wanted(data, like, columns))
        return Passes(runner, progress).reference(data, _named(data, columns))


def drift_sources(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    alpha: float = 0.01,
    thresholds: Thresholds = DEFAULT,
    engine: str | Engine = "local",
    progress: Progress | None = None,
) -> DriftReport:
    """Compares two tables of any length column by column. Tables and engine as `profile_source`, the rest as `drift`.

    >>> report = drift_sources({"age": [30, 40, 50] * 100}, {"age": [30, 40, 90] * 100})
    >>> report.verdict.outcome.value, report.columns[0].name
    ('breached', 'age')
    """
    check_alpha(alpha)
    with ExitStack() as stack:
        runner = stack.enter_context(_running(engine, None))
        left = stack.enter_context(_twice(open_source(reference, "the reference"), True))
        right = open_source(current, "the current data")
        names = _both(left, right, columns)
        skipped = {name: reason for name in names if (reason := _missing(left, right, name))}
        if len(skipped) == len(names):
            raise TableError(
                "the two tables share no column that can be compared: "
                f"the reference has {first_of(_all(left))}; the current data has {first_of(_all(right))}"
            )
        skipped |= {name: reason for name in names if name not in skipped and (reason := _mixed(left, right, name))}
        shared = [name for name in names if name not in skipped]
        passes = Passes(runner, progress, then=right)
        one = passes.reference(left, shared)
        two = passes.on_grids(right, one.grids)
    judged = compare(one, two, alpha=alpha, thresholds=thresholds)
    unmeasured = {name: ColumnDrift(name, "unknown", unmeasured=reason) for name, reason in skipped.items()}
    judged += tuple(column for name, column in unmeasured.items() if name in _all(left))
    unjudged = tuple(column for name, column in unmeasured.items() if name not in _all(left))
    return DriftReport(judge_drift(judged), ranked(judged + unjudged), one, two, alpha)


@contextmanager
def _running(engine: str | Engine, workers: int | None) -> Iterator[Engine]:
    if not isinstance(engine, str):
        yield engine
        return
    opened = open_engine(engine, workers)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _twice(source: Source, needed: bool) -> Iterator[Source]:
    """The source, or a copy that can be read twice."""
    if not (needed and isinstance(source, StreamSource)):
        yield source
        return
    with TemporaryDirectory(prefix="fairlead-") as folder:
        yield spool(source, Path(folder))


def _all(source: Source) -> list[str]:
    return [*source.kinds, *source.unreadable]


def _named(source: Source, columns: Sequence[str] | None) -> list[str]:
    """The columns of a table by themselves."""
    if columns is None:
        if not source.kinds:
            raise TableError(f"no column can be profiled: the table has {first_of(_all(source))}")
        return list(source.kinds)
    _check_names(columns, _all(source))
    for name in columns:
        if name in source.unreadable:
            raise TableError(f"column {name!r} cannot be compared: it {source.unreadable[name]}")
    return list(dict.fromkeys(columns))


def _wanted(source: Source, like: TableProfile, columns: Sequence[str] | None) -> tuple[Grid, ...]:
    """The grids of a profile that a table is counted on."""
    if columns is not None:
        _check_names(columns, like.names)
    grids = tuple(grid for grid in like.grids if columns is None or grid.name in columns)
    for grid in grids:
        if grid.name in source.unreadable:
            raise TableError(f"column {grid.name!r} cannot be compared: it {source.unreadable[grid.name]}")
        if grid.name not in source.kinds:
            raise TableError(f"there is no column {grid.name!r}: the table has {first_of(_all(source))}")
    return grids


def _both(left: Source, right: Source, columns: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys([*_all(left), *_all(right)]))
    if columns is None:
        return known
    _check_names(columns, known)
    return list(dict.fromkeys(columns))


def _check_names(columns: Sequence[str], known: Sequence[str]) -> None:
    if isinstance(columns, str):
        raise TableError(f"columns is the text {columns!r}: pass a list of names")
    for name in columns:
        if name not in known:
            raise TableError(f"there is no column {name!r}: there are {first_of(known)}")


def _missing(left: Source, right: Source, name: str) -> str:
    """Why a column is not in both tables, as something that can be compared; nothing where it is."""
    if name not in _all(right):
        return "missing from the current data"
    if name not in _all(left):
        return "missing from the reference"
    for source, role in ((left, "reference"), (right, "current data")):
        if name in source.unreadable:
            return f"{source.unreadable[name]} ({role})"
    return ""


def _mixed(left: Source, right: Source, name: str) -> str:
    """Why two columns cannot be compared with each other; nothing where they can."""
    one, two = left.kinds[name], right.kinds[name]
    if (one == TEXT) == (two == TEXT) or two == NULL:
        return ""
    if one == NULL or left.all_null(name):
        return f"all {left.rows or 0:,} reference values are null"
    if right.all_null(name):
        return ""
    return f"{_holds(one)} in the reference, {_holds(two)} in the current data"


def _holds(kind: str) -> str:
    return "text" if kind == TEXT else "numbers"
