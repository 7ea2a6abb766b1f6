"""A threshold or a recalibration for a binary model, fitted on its older recent rows and tried on the newest ones.

It holds only where the newest rows, which it was not fitted on, are better off beyond their interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.cost import CostMatrix
from fairlead.core.listing import counted
from fairlead.stats.paired import loss_difference
from fairlead.stats.recalibrate import Recalibrated, logit, moved_threshold, recalibrate, sigmoid

Floats = NDArray[np.float64]
FITTED_SHARE = 2 / 3
FEWEST_OF_A_CLASS = 20  # in the rows that are fitted, and in those that it is tried on


class Adjustment(Struct, frozen=True):
    """What was fitted: a threshold, or slope and intercept of the log odds. `gain` is how much lower the loss of the
    newest rows is (log loss, or what wrong decisions cost a row), with its 95 % interval."""

    action: Literal["threshold", "recalibrate"]
    slope: float
    intercept: float
    threshold: float
    gain: float
    low: float
    high: float
    fitted: int
    tried: int
    holds: bool
    reason: str


class RecentRows(Struct, frozen=True, eq=False):
    """Recent labelled rows in the order of time: 0/1 truths (n,), the version's probabilities (n,), and the threshold
    by which it decides."""

    truth: Floats
    score: Floats
    threshold: float = 0.5
    cost: CostMatrix | None = None


def adjust(action: Literal["threshold", "recalibrate"], rows: RecentRows) -> Adjustment:
    """Fits on the older rows and tries on the newest. Too few of a class: it does not hold, and says so."""
    cut = int(rows.truth.size * FITTED_SHARE)
    old, new = slice(0, cut), slice(cut, None)
    few = min(_rarer(rows.truth[old]), _rarer(rows.truth[new]))
    if few < FEWEST_OF_A_CLASS:
        reason = f"{counted(few, 'row')} of the rarer class, fewer than {FEWEST_OF_A_CLASS}"
        return Adjustment(
            action, 1.0, 0.0, rows.threshold, 0.0, 0.0, 0.0, cut, rows.truth.size - cut, holds=False, reason=reason
        )
    return _FITS[action](rows, recalibrate(rows.truth[old], rows.score[old]), new)


def _rarer(truth: Floats) -> int:
    return int(min(truth.sum(), truth.size - truth.sum()))


def _threshold(rows: RecentRows, fit: Recalibrated, new: slice) -> Adjustment:
    moved = moved_threshold(rows.threshold, fit.shift)
    truth, score = rows.truth[new], rows.score[new]
    before, after = (_costs(truth, score >= at, rows.cost) for at in (rows.threshold, moved))
    gain = loss_difference(after, before)
    unit = "wrong decisions a row" if rows.cost is None else "cost a row"
    said = f"threshold {rows.threshold:.3f} to {moved:.3f}: {unit} {before.mean():.4f} to {after.mean():.4f}"
    return _judged("threshold", (1.0, 0.0, moved), (gain.value, gain.low, gain.high), (fit.rows, truth.size), said)


def _recalibrate(rows: RecentRows, fit: Recalibrated, new: slice) -> Adjustment:
    truth, score = rows.truth[new], rows.score[new]
    changed = sigmoid(fit.slope * logit(score) + fit.intercept)
    before, after = _log_losses(truth, score), _log_losses(truth, changed)
    gain = loss_difference(after, before)
    said = f"log loss {before.mean():.4f} to {after.mean():.4f}"
    numbers = (fit.slope, fit.intercept, rows.threshold)
    found = _judged("recalibrate", numbers, (gain.value, gain.low, gain.high), (fit.rows, truth.size), said)
    if fit.slope > 0.0:
        return found
    return Adjustment(
        "recalibrate", 1.0, 0.0, rows.threshold, found.gain, found.low, found.high, found.fitted, found.tried,
        holds=False, reason="the scores put the rows in the wrong order: no recalibration mends that",
    )  # fmt: skip


_FITS: dict[str, Callable[[RecentRows, Recalibrated, slice], Adjustment]] = {
    "threshold": _threshold,
    "recalibrate": _recalibrate,
}


def _judged(
    action: Literal["threshold", "recalibrate"],
    numbers: tuple[float, float, float],
    gain: tuple[float, float, float],
    rows: tuple[int, int],
    said: str,
) -> Adjustment:
    holds = gain[1] > 0.0
    word = "better beyond chance" if holds else "not better beyond chance"
    reason = f"{said} on the newest {counted(rows[1], 'row')}, {word} (gain {gain[1]:.4f} to {gain[2]:.4f})"
    return Adjustment(action, *numbers, *gain, *rows, holds=holds, reason=reason)


def _costs(truth: Floats, decided: NDArray[np.bool_], cost: CostMatrix | None) -> Floats:
    wrong_yes, wrong_no = (1.0, 1.0) if cost is None else (cost.false_positive, cost.false_negative)
    yes = truth > 0.5
    return np.asarray(np.where(decided & ~yes, wrong_yes, np.where(~decided & yes, wrong_no, 0.0)))


def _log_losses(truth: Floats, score: Floats) -> Floats:
    z = logit(score)
    return np.asarray(np.logaddexp(0.0, z) - truth * z)
