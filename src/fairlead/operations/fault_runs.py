"""Backtests with the catalogue of faults: what the verb runs, on a table or on a served model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from fairlead.core.backtest import Realised
from fairlead.core.window import Window
from fairlead.flows.backtest_faults import Found, Scene, run_faults
from fairlead.flows.backtest_rows import Rows
from fairlead.operations.backtest import Asking, backtest, prepared
from fairlead.operations.backtest_log import answered, backtest_log, logged_rows, open_version, plan_for
from fairlead.operations.backtest_read import Reader, all_rows
from fairlead.operations.backtest_values import BacktestReport, Budget, FaultLine
from fairlead.operations.context import Context

FAULT_ROWS = 5_000  # of each window that is judged with faults
CALM, AFTER = 2, 3  # windows before a fault, and from its begin on


def backtest_table(data: Any, *, faults: bool = False, **asked: Any) -> BacktestReport:
    """As `backtest`; with `faults`, features are changed and answers stay as they were logged: a table has no model."""
    report = backtest(data, **asked)
    if not faults or len(report.windows) <= CALM:
        return report
    asked.pop("workers", None)
    source, known, reader, plan, policy = prepared(data, Asking(**asked))
    span = chosen(report.windows)
    inside = Reader(reader.asked, reader.contract, max(reader.since, span[0].starts_at), span[-1].ends_at)
    most = max(one.rows for one in report.windows)
    rows = all_rows(source, inside, max(1, most // FAULT_ROWS))
    parts = cut(rows, span)
    scene = Scene(known, plan, policy, tuple(parts[:-AFTER]), tuple(parts[-AFTER:]))
    said = "no model answers anew: what faults in features would do to the answers is not in these figures"
    return replace(report, faults=_lines(run_faults(scene)), notes=(*report.notes, said))


def backtest_model(
    context: Context,
    name: str,
    *,
    faults: bool = False,
    days: float = 90.0,
    window: str | None = None,
    budget: Budget | None = None,
    folder: Path | None = None,
) -> BacktestReport:
    """As `backtest_log`; with `faults`, the version answers the changed rows."""
    report = backtest_log(context, name, days=days, window=window, budget=budget, folder=folder)
    if not faults or len(report.windows) <= CALM:
        return report
    version = open_version(context, name, budget, window)
    span = chosen(report.windows)
    rows, _ = logged_rows(context, version, span[0].starts_at, span[-1].ends_at)
    parts = [thinned(one, FAULT_ROWS) for one in cut(rows, span)]
    predictor = version.load()
    scene = Scene(
        version.reference,
        plan_for(context.settings, window),
        version.policy,
        tuple(parts[:-AFTER]),
        tuple(parts[-AFTER:]),
        lambda some: answered(some, version, predictor),
    )
    return replace(report, faults=_lines(run_faults(scene)))


def chosen(known: Sequence[Realised]) -> list[Window]:
    """The windows in which faults are tried: the last three without harm in a row, and two before them; where there
    are none, from two thirds of the past on."""
    first = min(max(CALM, len(known) * 2 // 3), max(CALM, len(known) - AFTER))
    for start in range(len(known) - AFTER, CALM - 1, -1):
        if not any(one.harmful for one in known[start - CALM : start + AFTER]):
            first = start
            break
    return [Window(one.starts_at, one.ends_at, one.window) for one in known[first - CALM : first + AFTER]]


def cut(rows: Rows, windows: Sequence[Window]) -> list[Rows]:
    """The rows of each window."""
    return [rows.take(np.flatnonzero((rows.at >= one.starts_at) & (rows.at < one.ends_at))) for one in windows]


def thinned(rows: Rows, most: int) -> Rows:
    """At most so many rows, evenly spaced."""
    return rows if rows.size <= most else rows.take(np.linspace(0, rows.size - 1, most).astype(np.intp))


def _lines(found: Sequence[Found]) -> tuple[FaultLine, ...]:
    return tuple(
        FaultLine(
            one.fault, one.column, one.found, one.by, one.windows, one.seconds, one.suspect, one.right, one.paged,
            one.note,
        )
        for one in found
    )  # fmt: skip
