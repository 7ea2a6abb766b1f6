"""Early labels: between its close and its maturity a window's mean loss is known of some answers and guessed of others.

Prediction-powered (`stats.estimate.powered`): right where early labels are like late ones. Whether they are is seen in
each window that matures, and remembered: of its labels, those that were there at its close against those that came
later, by what of their loss the scores do not explain.
"""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec.structs import replace

from fairlead.core.contract import Task
from fairlead.core.early import FEWEST_EARLY, Early
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.reference import Reference
from fairlead.stats.estimate.powered import prediction_powered
from fairlead.stats.performance import Floats


def early_of(cohort: Cohort) -> Early | None:
    """What the early labels of a window that has not matured say of all its answers; None below 50 of them, or where
    nothing waits for its label."""
    loss, guess = losses_of(cohort)
    known = ~np.isnan(loss)
    waits = ~known & ~np.isnan(guess)
    if int(known.sum()) < FEWEST_EARLY or not waits.any():
        return None
    found = prediction_powered(loss[known], guess[known], guess[waits])
    value, (gap, compared) = found.measure, cohort.reference.early.gap
    gain = found.gain if found.gain < inf else 0.0
    name = "absolute error" if cohort.reference.contract.task is Task.REGRESSION else "error rate"
    told = Early(name, value.value, value.low, value.high, found.labels, found.share, gain)
    if not compared:
        return told
    return replace(told, gap=gap.value, gap_low=gap.low, gap_high=gap.high, compared=compared)


def remember(cohort: Cohort, closed_at: float) -> None:
    """Takes a window in that has matured: which of its labels had been observed when it closed, and which had not."""
    loss, guess = losses_of(cohort)
    known = ~np.isnan(loss)
    early = known & (cohort.placed().observed <= closed_at)
    late = known & ~early
    if early.sum() < 2 or late.sum() < 2:
        return
    weight = prediction_powered(loss[early], guess[early], guess[late]).weight
    rest = loss - weight * guess
    cohort.reference.early.add(rest[early], rest[late])


def losses_of(cohort: Cohort) -> tuple[Floats, Floats]:
    """Each answer's loss by its place (rows,), nan where no label is known, and a guess at it by its score, nan where
    there is no score or decision."""
    reference, rows = cohort.reference, cohort.placed()
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
