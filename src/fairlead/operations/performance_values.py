"""What a performance report is made of: frozen values, ready to be drawn or written as JSON. Instants are seconds
since 1970, UTC; durations are seconds."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.stats.performance.calibration import Bin, BrierParts
from fairlead.stats.performance.maturity import EarlyLate
from fairlead.stats.performance.measure import Measure
from fairlead.stats.performance.multiclass import ClassCard
from fairlead.stats.performance.segments import Comparison

Metrics = dict[str, Measure]

LABELS = {
    "auroc": "AUROC",
    "auprc": "average precision",
    "f1": "F1",
    "mcc": "MCC",
    "ece": "ECE",
    "ece_debiased": "ECE, debiased",
    "ece_classwise": "ECE, class by class",
    "mae": "MAE",
    "rmse": "RMSE",
    "mape": "MAPE",
    "r2": "R²",
    "macro_auroc": "macro AUROC",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "brier": "Brier score",
}


def label_of(metric: str) -> str:
    """A metric's name as a person writes it.

    >>> label_of("auroc"), label_of("balanced_accuracy")
    ('AUROC', 'balanced accuracy')
    """
    return LABELS.get(metric, metric.replace("_", " "))


def number(value: float) -> str:
    """A figure with as many digits as it needs.

    >>> number(0.84256), number(12345.6), number(float("nan"))
    ('0.843', '12,346', '–')
    """
    if not isfinite(value):
        return "–" if value != value else "∞"  # noqa: PLR0124 - NaN is no value
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(one: Measure) -> str:
    """An interval as text; nothing where there is none."""
    return f"{number(one.low)} to {number(one.high)}" if one.defined and one.low == one.low else ""


class Counts(Struct, frozen=True):
    """Where the rows went. `measured` rows have a label, a prediction and, where instants were given, are matured.
    What is infinite is `unusable`, not missing. A row may be counted under several heads."""

    rows: int
    measured: int
    labels_missing: int = 0
    labels_unusable: int = 0
    predictions_missing: int = 0
    predictions_unusable: int = 0
    undated: int = 0  # rows without the instants that were asked for
    after_as_of: int = 0  # predictions that had not been made by then
    labels_after_as_of: int = 0  # labels that had not been observed by then
    immature: int = 0  # rows too young for their labels to be there


class ClassRow(Struct, frozen=True):
    """One class against all others."""

    name: str
    card: ClassCard


class SliceRow(Struct, frozen=True):
    """The rows in which `column` has one value: all metrics, and the primary one against all other rows."""

    column: str
    name: str
    rows: int
    metrics: Metrics
    against_rest: Comparison
    reason: str


class WindowRow(Struct, frozen=True):
    """One window of predictions. `metrics` are as known at `as_of`; `at_close` is the primary metric as it was known
    when the window ended, on `labels_at_close` labels. `ripe`: enough of its labels have come to be counted."""

    name: str
    starts_at: float
    ends_at: float
    rows: int
    labels: int
    matured: Measure
    ripe: bool
    metrics: Metrics
    labels_at_close: int
    at_close: Measure


class CurvePoint(Struct, frozen=True):
    """P(label known within `delay` seconds)."""

    delay: float
    share: Measure


class Maturity(Struct, frozen=True):
    """How long labels take. `horizon` is the delay within which `wanted` of them are known; None where the curve does
    not get there, and then nothing counts as matured. `early_late` compares labels of matured predictions."""

    as_of: float
    wanted: float
    matured: Measure
    horizon: float | None
    curve: tuple[CurvePoint, ...]
    early_late: EarlyLate | None


class Money(Struct, frozen=True):
    """What the measured decisions cost, in the unit that the costs were given in."""

    cost: dict[str, float]
    per_row: Measure
    total: Measure


class Content(Struct, frozen=True):
    """One table, measured. `primary` is the metric that it is judged by; `notes` say what was assumed and left out."""

    task: str
    primary: str
    level: float
    target: str
    classes: tuple[str, ...]
    positive: str | None
    counts: Counts
    metrics: Metrics
    by_class: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[Bin, ...] = ()
    brier_parts: BrierParts | None = None
    segments: tuple[SliceRow, ...] = ()
    windows: tuple[WindowRow, ...] = ()
    maturity: Maturity | None = None
    money: Money | None = None
    matured: bool = True  # false where nothing had matured, and what came early was measured
    notes: tuple[str, ...] = ()


def plain(value: Any) -> Any:
    """Plain values, fit for JSON: what is not defined (nan) or unbounded (infinite) is None."""
    return _finite(msgspec.to_builtins(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
