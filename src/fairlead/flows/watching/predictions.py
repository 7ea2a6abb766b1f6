"""How a window's predictions stand beside the reference's: mean, variance, and whether they became one."""

from __future__ import annotations

from math import sqrt

from fairlead.core.report import SCORE, Predictions
from fairlead.stats.profile import NumericProfile, TableProfile


def predictions_of(reference: TableProfile, current: TableProfile | None) -> Predictions | None:
    """None without predictions on either side, or where the reference's were all the same."""
    before, now = _scores(reference), _scores(current)
    if before is None or now is None or not before.deviation:
        return None
    deviation = before.deviation
    return Predictions(
        rows=now.finite,
        mean_shift=_short((now.mean - before.mean) / deviation),
        error=_short(max(now.deviation / deviation, 1e-3) / sqrt(now.finite)),
        variance_ratio=_short((now.deviation / deviation) ** 2),
        collapse=_short(_collapse(before, now)),
    )


def _scores(profile: TableProfile | None) -> NumericProfile | None:
    columns = () if profile is None else profile.columns
    found = next((column for column in columns if column.grid.name == SCORE), None)
    return found if isinstance(found, NumericProfile) and found.finite else None


def _collapse(before: NumericProfile, now: NumericProfile) -> float:
    """By how much the fullest cell's share exceeds that of the same cell before."""
    top = int(now.counts.argmax())
    return max(0.0, float(now.counts[top]) / now.present - float(before.counts[top]) / max(before.present, 1))


def _short(value: float) -> float:
    return float(f"{value:.6g}")
