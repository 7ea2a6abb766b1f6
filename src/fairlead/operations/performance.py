"""Realised performance: `performance(data, target=…, score=…)`, every metric with its interval, and a verdict.

**What was predicted.** `target` holds the truths, and at least one of these what was predicted: `prediction` (the
decided class or the value), `score` (the probability of the `positive` class, by default 1, True or the last label in
order; decided at `threshold` where no prediction is named), `probabilities` (a column for each class). The `task`
(`binary`, `multiclass`, `regression`) is inferred where it is not named, and the report says from what.

**What it is held to.** `segments` cut the rows into slices, each compared with the rest on the primary metric
(`metric`; default AUROC, balanced accuracy, accuracy or MAE). `reference` is another such table, or a report, to
compare with. Worse by more than `tolerance` (a share of what is compared with) and by more than chance, after
Benjamini-Hochberg over all comparisons, is a breach; slices of fewer than `min_rows` are undecided. `cost` gives
money: what a `false_positive` or `false_negative` (or `true_positive`, `true_negative`) costs.

**When.** `predicted_at` and `observed_at` say when each answer was given and each label seen; `window` (as `7d`) cuts
the predictions by time; `as_of` reads the table as of an earlier instant. Then only matured rows count: those of
windows of which `matured_share` of the labels are known or, without windows, those as old as the delay within which
that share is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.adapters.tables import as_table, read_table, to_columns
from fairlead.core.inference import label_text
from fairlead.core.verdict import Outcome, Verdict
from fairlead.errors import TableError, UsageError
from fairlead.operations.performance_clock import read_clock, seconds_of
from fairlead.operations.performance_html import fragment, page
from fairlead.operations.performance_measure import measure
from fairlead.operations.performance_metrics import Terms
from fairlead.operations.performance_read import BINARY, Asked, named_probabilities, read_rows
from fairlead.operations.performance_values import Content, Metrics, plain
from fairlead.operations.performance_verdict import against, judged
from fairlead.operations.report_output import as_json, frame_of, written
from fairlead.stats.performance import COSTS
from fairlead.stats.performance.maturity import MATURED
from fairlead.stats.performance.measure import LEVEL, Measure
from fairlead.stats.performance.segments import MIN_ROWS, TOLERANCE, Comparison

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


Times = tuple[str | None, str | None, Any]  # predicted_at, observed_at, as_of


class PerformanceReport(Struct, frozen=True):
    """What a table of predictions and truths says of its model.

    `verdict` answers the first of these questions that was asked: has the primary metric fallen against the
    `reference`, in all rows or in one slice (`changes` holds the comparisons)? Is it worse in one slice than in the
    rest? With neither there is nothing to hold the figures to: it is `unmeasured`, and says so, whatever they are.
    """

    verdict: Verdict
    content: Content
    reference: Content | None = None
    changes: tuple[Comparison, ...] = ()

    @property
    def metrics(self) -> Metrics:
        """Every metric of all measured rows, by name; nan where the rows do not define it."""
        return self.content.metrics

    @property
    def compared(self) -> bool:
        """Whether there was anything to judge the figures by."""
        return bool(self.changes or self.content.segments)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; what is undefined or unbounded is None."""
        reference = None if self.reference is None else plain(self.reference)
        changes = [plain(change) for change in self.changes]
        return {"verdict": plain(self.verdict), **plain(self.content), "changes": changes, "reference": reference}

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame, one row for each metric of all rows, of each class, slice and window, with its interval.

        Raises `MissingExtra` without pandas.
        """
        columns = ["part", "name", "rows", "metric", "value", "low", "high"]
        return frame_of(list(_frame_rows(self.content)), "PerformanceReport.to_frame()", columns)

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        return written(path, page(self.verdict, self.content, self.changes, compared=self.compared))

    def _repr_html_(self) -> str:
        return fragment(self.verdict, self.content, self.changes, compared=self.compared)


def performance(  # noqa: PLR0913 - one verb, its whole vocabulary by keyword
    data: Any,
    *,
    target: str,
    prediction: str | None = None,
    score: str | None = None,
    probabilities: Mapping[Any, str] | Sequence[str] | None = None,
    task: str | None = None,
    positive: Any = None,
    threshold: float = 0.5,
    segments: Sequence[str] = (),
    predicted_at: str | None = None,
    observed_at: str | None = None,
    as_of: Any = None,
    window: str | float | None = None,
    level: float = LEVEL,
    reference: Any = None,
    metric: str | None = None,
    tolerance: float = TOLERANCE,
    min_rows: int = MIN_ROWS,
    matured_share: float = MATURED,
    cost: Mapping[str, float] | None = None,
) -> PerformanceReport:
    """Measures predictions against truths: each metric with its interval, by class, slice and window.

    `data` is a pandas, polars or Arrow table, a dict of columns, or the path of a Parquet, CSV or JSON lines file; all
    else names columns of it, or says how they are read: see the module. Rows without a label or a prediction are
    counted and left out. `level` is that of every interval.

    Raises `TableError` for a table or column that cannot be used, `UsageError` for any other wrong argument.

    >>> data = {"left": [0, 1] * 100, "p": [0.2, 0.7, 0.4, 0.3] * 50}
    >>> report = performance(data, target="left", score="p", cost={"false_negative": 200})
    >>> auroc = report.metrics["auroc"]; (auroc.value, round(auroc.low, 2), round(auroc.high, 2))
    (0.75, 0.67, 0.81)
    >>> report.content.money.total.value, report.verdict.outcome.value
    (10000.0, 'unmeasured')
    """
    terms = _terms(Terms(level, metric, tolerance, min_rows, matured_share, _cost(cost), seconds_of(window)))
    label = None if positive is None else label_text(positive)
    asked = Asked(target, prediction, score, named_probabilities(probabilities), task, label, threshold)
    times = (predicted_at, observed_at, as_of)
    return _measured(_table(data), asked, terms, _slices(segments), times, reference)


def _measured(
    table: pa.Table,
    asked: Asked,
    terms: Terms,
    slices: list[str],
    times: tuple[str | None, str | None, Any],
    other: Any,
) -> PerformanceReport:
    if not 0.0 <= asked.threshold <= 1.0:
        raise UsageError(f"threshold is {asked.threshold}: a score is decided between 0 and 1, as at 0.5")
    if terms.window is not None and times[0] is None:
        raise UsageError("window needs predicted_at: the column that says when each answer was given")
    clock = read_clock(table, *times)
    before = None if other is None or isinstance(other, PerformanceReport) else _table(other)
    rows = read_rows([table] if before is None else [table, before], asked)
    if terms.cost is not None and rows[0].task != BINARY:
        raise UsageError(f"cost names the errors of two classes; this task is {rows[0].task}")
    content = measure(rows[0], asked.target, clock, to_columns(table, slices), terms)
    if isinstance(other, PerformanceReport):
        return _report(content, other.content, terms)
    if before is None:
        return PerformanceReport(judged(content, ()), content)
    shared = [name for name in slices if name in before.column_names]
    alike = msgspec.structs.replace(terms, window=None, metric=content.primary)
    return _report(content, measure(rows[1], asked.target, None, to_columns(before, shared), alike), terms)


def _report(content: Content, reference: Content, terms: Terms) -> PerformanceReport:
    changes = against(content, reference, terms)
    return PerformanceReport(judged(content, changes, reference), content, reference, changes)


def _terms(terms: Terms) -> Terms:
    shares = {"level": terms.level, "matured_share": terms.matured_share}
    for name, value in shares.items():
        if not 0.0 < value < 1.0:
            raise UsageError(f"{name} is {value}: it lies between 0 and 1, as in 0.95")
    if not terms.tolerance >= 0:
        raise UsageError(f"tolerance is {terms.tolerance}: it is a share of what is compared with, as 0.05")
    if terms.min_rows < 1:
        raise UsageError(f"min_rows is {terms.min_rows}: at least one row is needed")
    return terms


def _cost(cost: Mapping[str, float] | None) -> dict[str, float] | None:
    for name, value in (cost or {}).items():
        if name not in COSTS:
            raise UsageError(f"cost names {name!r}: the errors are {', '.join(COSTS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise UsageError(f"the cost of {name} is {value!r}: pass a finite number")
    return None if cost is None else {name: float(value) for name, value in cost.items()}


def _slices(segments: Sequence[str]) -> list[str]:
    if isinstance(segments, str):
        raise UsageError(f"segments is the text {segments!r}: pass a list of column names")
    return list(dict.fromkeys(segments))


def _table(data: Any) -> pa.Table:
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if table.num_rows == 0:
        raise TableError("the table has no rows: there is nothing to measure")
    return table


def _frame_rows(content: Content) -> list[tuple[str, str, int, str, float, float, float]]:
    found = _long("all", "", content.counts.measured, content.metrics)
    for row in content.by_class:
        card = {name: getattr(row.card, name) for name in ("precision", "recall", "f1", "auroc")}
        found += _long("class", row.name, row.card.support, card)
    for one in content.segments:
        found += _long("segment", f"{one.column} = {one.name}", one.rows, one.metrics)
    for window in content.windows:
        found += _long("window", window.name, window.rows, window.metrics)
    return found


def _long(
    part: str, name: str, rows: int, metrics: Mapping[str, Measure]
) -> list[tuple[str, str, int, str, float, float, float]]:
    each = ((metric, one) for metric, one in metrics.items() if not (part == "class" and isnan(one.value)))
    return [(part, name, rows, metric, one.value, one.low, one.high) for metric, one in each]


__all__ = ["Outcome", "PerformanceReport", "performance"]
