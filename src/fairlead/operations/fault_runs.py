"""Backtests with the catalogue of faults: what the verb runs, on a table or on a served model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from fairlead.core.backtest import Realised
from fairlead.core.listing import counted
from fairlead.core.window import Window
from fairlead.flows.backtest_faults import Found, Scene, run_faults
from fairlead.flows.backtest_rows import Rows
from fairlead.operations.backtest import Asking, backtest, prepared
from fairlead.operations.backtest_log import answered, backtest_log, logged_rows, open_version, plan_for
from fairlead.operations.backtest_read import Reader, all_rows
from fairlead.operations.backtest_values import BacktestReport, Budget, FaultLine
from fairlead.operations.context import Context
from fairlead.stats.habit import FEWEST

FAULT_ROWS = 5_000  # of each window that is judged with faults
AFTER = 3  # windows from a fault's begin on
CALM, LEAST = FEWEST + 4, 2  # before it: nothing is usual before five windows have shown four jumps


def backtest_table(data: Any, *, faults: bool = False, **asked: Any) -> BacktestReport:
    """As `backtest`; with `faults`, features are changed and answers stay as they were logged: a table has no model."""
    report = backtest(data, **asked)
    if not faults:
        return report
    if len(report.windows) <= LEAST:
        return replace(report, notes=(*report.notes, _TOO_FEW))
    asked.pop("workers", None)
    source, known, reader, plan, policy = prepared(data, Asking(**asked))
    span, calm = chosen(report.windows)
    inside = Reader(reader.asked, reader.contract, max(reader.since, span[0].starts_at), span[-1].ends_at)
    most = max(one.rows for one in report.windows)
    rows = all_rows(source, inside, max(1, most // FAULT_ROWS))
    parts = cut(rows, span)
    scene = Scene(known, plan, policy, tuple(parts[:calm]), tuple(parts[calm:]))
    said = "no model answers anew: what faults in features would do to the answers is not in these figures"
    return replace(report, faults=_lines(run_faults(scene)), notes=(*report.notes, *_on_calm(span, calm), said))


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
    if not faults:
        return report
    if len(report.windows) <= LEAST:
        return replace(report, notes=(*report.notes, _TOO_FEW))
    version = open_version(context, name, budget, window)
    span, calm = chosen(report.windows)
    rows, _ = logged_rows(context, version, span[0].starts_at, span[-1].ends_at)
    parts = [thinned(one, FAULT_ROWS) for one in cut(rows, span)]
    predictor = version.load()
    scene = Scene(
        version.reference,
        plan_for(context.settings, window),
        version.policy,
        tuple(parts[:calm]),
        tuple(parts[calm:]),
        lambda some: answered(some, version, predictor),
    )
    return replace(report, faults=_lines(run_faults(scene)), notes=(*report.notes, *_on_calm(span, calm)))


def chosen(known: Sequence[Realised]) -> tuple[list[Window], int]:
    """The windows in which faults are tried, and how many of them come before: of the runs of windows without harm the
    one with the most before its last three, the latest of these; at most eight, so that what columns usually do is
    known. Where no run has two, from two thirds of the past on, whatever it was like."""
    found: tuple[int, int] | None = None
    for start in range(LEAST, len(known) - AFTER + 1):
        calm = _calm_before(known, start)
        if calm >= LEAST and not any(one.harmful for one in known[start : start + AFTER]):
            found = max(found or (0, 0), (calm, start))
    if found is None:
        start = min(max(LEAST, len(known) * 2 // 3), max(LEAST, len(known) - AFTER))
        found = (min(start, CALM), start)
    calm, start = found
    inside = known[start - calm : start + AFTER]
    return [Window(one.starts_at, one.ends_at, one.window) for one in inside], calm


def _calm_before(known: Sequence[Realised], start: int) -> int:
    calm = 0
    while calm < min(CALM, start) and not known[start - calm - 1].harmful:
        calm += 1
    return calm


def _on_calm(span: Sequence[Window], calm: int) -> tuple[str, ...]:
    """What the faults stood on."""
    said = f"faults begin with window {span[calm].name}, after {counted(calm, 'window')}"
    if calm <= FEWEST:
        return (f"{said}: too few to know what is usual of a column, for which {FEWEST + 1} are needed",)
    return (said,)


_TOO_FEW = f"no fault was tried: that takes more than {LEAST} windows"


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
