"""Which answers to label first, with stated probabilities, so that what is found on them holds for all.

Rows are drawn by systematic sampling with unequal probabilities (Madow, 1949) in a random order: row i is drawn with
probability exactly pi_i, and exactly as many rows as were asked for. The mean loss of all N rows is estimated by

    mean over all of g + 1/N * sum over the drawn of (loss - g) / pi

with g a guess at each row's loss that was made before: unbiased whatever g is worth (Cassel, Sarndal, Wretman, 1976).
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from fairlead.stats.performance import LEVEL, UNDEFINED, Measure

Floats = NDArray[np.float64]
KINDS = ("uncertainty", "drift", "random", "mixed")
FLOOR = 0.2  # the share of the chances that is dealt out evenly: no row is without one


class Sample(Struct, frozen=True, eq=False):
    """The drawn rows' places, ascending, and the probability of each."""

    places: NDArray[np.int64]
    probability: Floats


def chances(weights: ArrayLike, rows: int) -> Floats:
    """Each row's probability (n,), by weights (n,) that are not negative; they sum to `rows`, at most n, and none is 0.

    >>> chances([1.0, 1.0, 8.0, 0.0], 2).round(3).tolist()
    [0.419, 0.419, 1.0, 0.161]
    """
    w = np.asarray(weights, np.float64)
    if w.size == 0 or rows >= w.size:
        return np.ones(w.size)
    if rows < 1 or not np.isfinite(w).all() or (w < 0).any():
        raise ValueError("weights are finite and not negative, and at least one row is drawn")
    w = FLOOR + (1 - FLOOR) * w / w.mean() if w.any() else np.ones(w.size)
    sure = np.zeros(w.size, np.bool_)
    while True:
        left = rows - int(sure.sum())
        pi = np.where(sure, 1.0, left * w / w[~sure].sum())
        if not (over := (pi >= 1.0) & ~sure).any():
            return np.asarray(pi, np.float64)
        sure |= over


def drawn(probability: ArrayLike, rng: np.random.Generator) -> Sample:
    """Draws rows by their probabilities (n,), as many as these sum to."""
    pi = np.asarray(probability, np.float64)
    order = rng.permutation(pi.size)
    total = np.cumsum(pi[order])
    # A sum of many fractions is a whole number but for its last bits.
    rows = round(float(total[-1])) if pi.size else 0
    marks = rng.random() + np.arange(rows)
    found = order[np.minimum(np.searchsorted(total, marks, side="right"), max(pi.size - 1, 0))]
    places = np.sort(found).astype(np.int64)
    return Sample(places, pi[places])


def estimated(
    loss: ArrayLike, guess: ArrayLike, probability: ArrayLike, population: int, mean_guess: float, level: float = LEVEL
) -> Measure:
    """The mean loss of all `population` rows, from the `loss`, `guess` and `probability` (n,) of the drawn ones and the
    `mean_guess` of all. Student's interval with Hajek's variance of a sample of unequal probabilities; nan below two.

    >>> found = estimated([1, 0, 1, 0], [0.5] * 4, [0.1] * 4, 40, 0.5); round(found.value, 3), round(found.low, 3)
    (0.5, -0.372)
    """
    y, g, pi = (np.asarray(each, np.float64) for each in (loss, guess, probability))
    if y.size < 2:
        return UNDEFINED
    missed = (y - g) / pi
    value = mean_guess + float(missed.sum()) / population
    kept = 1.0 - pi
    if not kept.any():
        return Measure(value, value, value)
    centre = float((kept * missed).sum() / kept.sum())
    variance = y.size / (y.size - 1) * float((kept * (missed - centre) ** 2).sum()) / population**2
    half = float(stdtrit(y.size - 1, 0.5 + level / 2)) * variance**0.5
    return Measure(value, value - half, value + half)
