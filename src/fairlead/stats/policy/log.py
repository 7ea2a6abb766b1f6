"""A log of decisions with the probability of each, and the weights that turn it into another policy's.

With propensity b_i of the logged action and the new policy's probability e_i of that same action, w_i = e_i / b_i. If
the new policy takes no action that the old one never took (common support), E[w] = 1; a mean below 1 is the share of
the new policy's decisions that the log can speak of.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Log(Struct, frozen=True, eq=False):
    """One row a decision (a position of a slate is one): `rewards`, `weights`, and figures of a model, each (rows,).

    `predicted` is a model's reward of the logged action, `expected` its mean over the new policy's actions: both or
    neither. `units` says which rows belong together, as 0, 1, … (a user, a slate); without it each row stands alone.
    """

    rewards: Floats
    weights: Floats
    predicted: Floats | None = None
    expected: Floats | None = None
    units: Codes | None = None

    @property
    def rows(self) -> int:
        """How many decisions."""
        return int(self.rewards.size)


class Support(Struct, frozen=True):
    """How well a log speaks of a policy.

    `effective` is Kish's effective sample size (sum w)^2 / sum w^2; `covered` the mean weight, 1 under common support,
    with the upper end of its one-sided interval; `largest` the largest weight; `certain` the share of rows whose action
    the old policy took for sure.
    """

    rows: int
    effective: float
    covered: float
    covered_high: float
    largest: float
    certain: float


def weights(propensities: ArrayLike, targets: ArrayLike) -> Floats:
    """e / b, (rows,). `propensities` in (0, 1], `targets` in [0, 1], or `ValueError` naming the first row that is not.

    >>> weights([0.5, 0.25], [1.0, 0.1]).tolist()
    [2.0, 0.4]
    """
    b, e = np.asarray(propensities, np.float64), np.asarray(targets, np.float64)
    _within(b, (b > 0.0) & (b <= 1.0), "a logged propensity", "in (0, 1]: the probability of the action that was taken")
    _within(e, (e >= 0.0) & (e <= 1.0 + 1e-9), "a probability under the new policy", "in [0, 1]")
    return e / b


def normalised(targets: ArrayLike, tolerance: float = 1e-6) -> Floats:
    """A policy's probabilities (rows, actions): each row adds up to 1, or `ValueError` naming the first that does not.

    >>> normalised([[0.2, 0.8], [1.0, 0.0]]).shape
    (2, 2)
    """
    held = np.asarray(targets, np.float64)
    _within(held, (held >= 0.0) & (held <= 1.0), "a probability under the new policy", "in [0, 1]")
    sums = held.sum(axis=1)
    _within(sums, np.abs(sums - 1.0) <= tolerance, "the sum of the new policy's probabilities", "1: normalise them")
    return held


def support(propensities: ArrayLike, found: Floats, alpha: float = 0.001) -> Support:
    """What the weights `found` (rows,) say of the log. Raises `ValueError` without a row.

    >>> even = support([0.5] * 4, weights([0.5] * 4, [1.0, 0.0, 1.0, 0.0]))
    >>> even.effective, even.covered
    (2.0, 1.0)
    """
    if found.size == 0:
        raise ValueError("the log has no rows: nothing can be said of another policy")
    total, squares = float(found.sum()), float(found @ found)
    error = sqrt(float(found.var(ddof=1)) / found.size) if found.size > 1 else 0.0
    return Support(
        rows=int(found.size),
        effective=total**2 / squares if squares > 0.0 else 0.0,
        covered=total / found.size,
        covered_high=total / found.size - float(ndtri(alpha)) * error,
        largest=float(found.max()),
        certain=float((np.asarray(propensities, np.float64) >= 1.0).mean()),
    )


def _within(values: Floats, good: NDArray[np.bool_], what: str, rule: str) -> None:
    if not good.all():
        row = int(np.argmax(~good.reshape(good.shape[0], -1).all(axis=1)))
        raise ValueError(
            f"{what} is {np.ravel(values[row])[~np.ravel(good[row])][0]:g} in row {row}: it must be {rule}"
        )
