"""Early labels: between its close and its maturity a window's mean loss is known of some answers and guessed of others.

Prediction-powered (`stats.estimate.powered`): right where early labels are like those that are still to come. Of that
the window itself gives a sign: among its answers that are old enough, labels that came sooner against those that came
later, by what of their loss the scores do not explain.
"""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec.structs import replace

from fairlead.core.contract import Task
from fairlead.core.early import FEWEST_EARLY, Early
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort, Placed
from fairlead.flows.watching.reference import Reference
from fairlead.stats.estimate.powered import prediction_powered
from fairlead.stats.performance import Floats
from fairlead.stats.performance.maturity import EarlyLate, early_against_late


def early_of(cohort: Cohort, window: Window) -> Early | None:
    """What the early labels of a closed window that has not matured say of all its answers; None below 50 of them, or
    where nothing waits for its label."""
    rows = cohort.placed()
    loss, guess = losses_of(cohort.reference, rows)
    known = ~np.isnan(loss)
    waits = ~known & ~np.isnan(guess)
    if int(known.sum()) < FEWEST_EARLY or not waits.any():
        return None
    found = prediction_powered(loss[known], guess[known], guess[waits])
    value, name = found.measure, "error rate"
    if cohort.reference.contract.task is Task.REGRESSION:
        name = "absolute error"
    gain = found.gain if found.gain < inf else 0.0
    told = Early(name, value.value, value.low, value.high, found.labels, found.share, gain)
    seen = compared(rows, loss - found.weight * guess, window)
    if min(seen.early_rows, seen.late_rows) < FEWEST_EARLY:
        return told
    gap = seen.gap
    return replace(told, gap=gap.value, gap_low=gap.low, gap_high=gap.high, compared=seen.late_rows)


def compared(rows: Placed, rest: Floats, window: Window) -> EarlyLate:
    """Sooner labels against later ones, by `rest` (rows,), nan where there is none: of the answers of the window's
    first half, the labels that came within half a window. Each of these answers had time for both."""
    half = (window.ends_at - window.starts_at) / 2.0
    delay = rows.observed - rows.asked
    usable = ~np.isnan(rest) & (rows.asked < window.starts_at + half) & (delay <= half)
    return early_against_late(rest[usable], delay[usable])


def losses_of(reference: Reference, rows: Placed) -> tuple[Floats, Floats]:
    """Each answer's loss by its place (rows,), nan where no label is known, and a guess at it by its score, nan where
    there is no score or decision."""
    guess = _guess(reference, rows.decided, rows.score)
    wrong = np.abs(rows.decided - rows.truth)
    loss = wrong if reference.contract.task is Task.REGRESSION else np.where(np.isnan(wrong), np.nan, wrong > 0.0)
    return np.where(np.isnan(guess), np.nan, loss), guess


def _guess(reference: Reference, decided: Floats, score: Floats) -> Floats:
    if reference.contract.task is Task.REGRESSION:
        curve = reference.errors.get("mae")
        known = np.zeros(decided.size) if curve is None else np.interp(decided, curve.centres, curve.levels)
        return np.where(np.isnan(decided), np.nan, known)
    if reference.contract.task is Task.MULTICLASS:
        return np.where(np.isnan(decided), np.nan, 1.0 - score)
    return np.where(np.isnan(decided), np.nan, np.where(decided > 0.0, 1.0 - score, score))
