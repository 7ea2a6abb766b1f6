"""Drift between two tables: `drift(reference, current)`, and the profile that a later comparison can start from."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead.adapters.compiled import scratch
from fairlead.adapters.tables import as_table, read_table, to_columns, unreadable
from fairlead.core.check import judge_drift
from fairlead.core.listing import first_of
from fairlead.errors import TableError, UsageError
from fairlead.operations.drift_report import DriftReport, check_alpha
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.distances import DEFAULT, Thresholds
from fairlead.stats.drift import ColumnDrift, compare, ranked
from fairlead.stats.profile import ColumnProfile, TableProfile, profile_column
from fairlead.stats.tally import Scratch

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
R = TypeVar("R")

ENGINES = ("memory", "local", "ray")


def drift(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    alpha: float = 0.01,
    thresholds: Thresholds = DEFAULT,
    engine: str = "memory",
) -> DriftReport:
    """Compares two tables column by column.

    Each is a pandas, polars or Arrow table, a dict of columns, or the path of a Parquet, CSV or JSON lines file.
    `columns` names what is compared (default: all that both have); `alpha` is the false discovery rate over them, in
    (0, 1). `engine` "memory" holds both tables; "local" reads files, folders and Delta tables in parts, on threads, so
    that they may be larger than memory; "ray" does so on Ray.

    Raises `TableError` for a table that cannot be read or has no rows, for a named column that neither has, and for two
    tables without a readable column in common; `UsageError` for an `alpha` outside (0, 1) and an unknown engine.

    >>> report = drift({"age": [30, 40, 50] * 100}, {"age": [30, 40, 90] * 100})
    >>> report.verdict.outcome.value, report.columns[0].name
    ('breached', 'age')
    """
    check_alpha(alpha)
    if _in_parts(engine):
        from fairlead.operations.streaming import drift_sources

        return drift_sources(reference, current, columns=columns, alpha=alpha, thresholds=thresholds, engine=engine)
    left, right = table_of(reference, "reference"), table_of(current, "current data")
    shared, skipped = shared_columns(left, right, columns)
    pairs = in_threads(lambda name, scratch: _pair(left, right, name, scratch), shared)
    one = TableProfile(left.num_rows, tuple(pair[0] for pair in pairs if not isinstance(pair, ColumnDrift)))
    two = TableProfile(right.num_rows, tuple(pair[1] for pair in pairs if not isinstance(pair, ColumnDrift)))
    mixed = tuple(pair for pair in pairs if isinstance(pair, ColumnDrift))
    judged = (*compare(one, two, alpha=alpha, thresholds=thresholds), *mixed)
    judged += tuple(column for name, column in skipped.items() if name in left.column_names)
    unjudged = tuple(column for name, column in skipped.items() if name not in left.column_names)
    return DriftReport(judge_drift(judged), ranked(judged + unjudged), one, two, alpha)


def profile(table: Any, like: TableProfile | None = None, *, engine: str = "memory") -> TableProfile:
    """Profiles a table (or the path of one), on the grids of the profile `like` or on those it fixes itself.

    Profiles on the same grids add up: `p + q`. `engine` as for `drift`. Raises `TableError` for a table that cannot be
    read, that lacks one of the grids' columns or holds another kind in it, or that has no readable column.
    """
    if _in_parts(engine):
        from fairlead.operations.streaming import profile_source

        return profile_source(table, like, engine=engine)
    data = table_of(table, "table")
    if like is None:
        columns = to_columns(data)
        if not columns:
            raise TableError(f"no column can be profiled: the table has {first_of(data.column_names)}")
        own = in_threads(lambda one, scratch: profile_column(one, None, scratch), columns)
        return TableProfile(data.num_rows, tuple(own))
    grids = {grid.name: grid for grid in like.grids}
    columns = to_columns(data, like.names)
    found = in_threads(lambda one, scratch: profile_column(one, grids[one.name], scratch), columns)
    return TableProfile(data.num_rows, tuple(found))


def _in_parts(engine: str) -> bool:
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}: use {', '.join(ENGINES)}")
    return engine != ENGINES[0]


def table_of(data: Any, role: str) -> pa.Table:
    """The data as an Arrow table; `role` names it in errors. Raises `TableError` for one that cannot be read."""
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if not table.num_columns:
        raise TableError(f"the {role} has no columns: there is nothing to read")
    if table.num_rows == 0:
        raise TableError(f"the {role} has no rows: a comparison needs at least one")
    return table


def shared_columns(
    left: pa.Table, right: pa.Table, columns: Sequence[str] | None, leave_out: str | None = None
) -> tuple[list[str], dict[str, ColumnDrift]]:
    """The names that both tables can be compared in, and the other ones with the reason.

    Raises `TableError` for a named column that neither has, and where nothing can be compared.
    """
    names = [name for name in named_columns(left, right, columns) if name != leave_out]
    skipped = _skipped(left, right, names)
    shared = [name for name in names if name not in skipped]
    if not shared:
        unread = {**unreadable(left), **unreadable(right)}
        told = [f"{name} {unread[name]}" for name in names if name in unread]
        raise TableError(
            f"the two tables share no column that can be compared: the reference has {first_of(left.column_names)}; "
            f"the current data has {first_of(right.column_names)}"
            + (f"; {first_of(told)}, which is no single value a row" if told else "")
        )
    return shared, skipped


def named_columns(left: pa.Table, right: pa.Table, columns: Sequence[str] | None) -> list[str]:
    """The columns asked for, once each, or all of both tables. Raises `TableError` for one that neither has."""
    known = list(dict.fromkeys([*left.column_names, *right.column_names]))
    if columns is None:
        return known
    if isinstance(columns, str):
        raise TableError(f"columns is the text {columns!r}: pass a list of names")
    for name in columns:
        if name not in known:
            raise TableError(f"there is no column {name!r}: the tables have {first_of(known)}")
    return list(dict.fromkeys(columns))


def _skipped(left: pa.Table, right: pa.Table, names: Sequence[str]) -> dict[str, ColumnDrift]:
    """The columns that cannot be compared, before any value is read, each with the reason."""
    unread = {**unreadable(right), **unreadable(left)}
    there, here = set(left.column_names), set(right.column_names)
    reasons: dict[str, str] = {}
    for name in names:
        if name not in here:
            reasons[name] = "missing from the current data"
        elif name not in there:
            reasons[name] = "missing from the reference"
        elif name in unread:
            reasons[name] = f"{unread[name]}, which is no single value a row"
    return {name: ColumnDrift(name, "unknown", unmeasured=reason) for name, reason in reasons.items()}


def _pair(
    left: pa.Table, right: pa.Table, name: str, scratch: Scratch
) -> tuple[ColumnProfile, ColumnProfile] | ColumnDrift:
    (one,), (two,) = to_columns(left, [name]), to_columns(right, [name])
    if type(one) is not type(two) and not one.empty and not two.empty:
        reason = f"{_holds(one)} in the reference, {_holds(two)} in the current data"
        return ColumnDrift(name, "unknown", unmeasured=reason)
    if type(one) is not type(two) and one.empty:
        return ColumnDrift(name, "unknown", unmeasured=f"all {one.rows:,} reference values are null")
    reference = profile_column(one, None, scratch)
    return reference, profile_column(two, reference.grid, scratch)


def _holds(column: Column) -> str:
    return "numbers" if isinstance(column, NumericColumn) else "text"


def in_threads(work: Callable[[T, Scratch], R], items: Sequence[T]) -> list[R]:
    """In order. Counting and encoding release the interpreter lock, so threads use every core."""
    if not items:
        return []
    own = threading.local()

    def begin() -> None:
        own.scratch = scratch()

    with ThreadPoolExecutor(min(len(items), os.cpu_count() or 1), initializer=begin) as pool:
        return list(pool.map(lambda item: work(item, own.scratch), items))
