"""Density-ratio weights: held-out rows counted by how much more common rows like them have become (PAPE).

A classifier that tells live rows from held-out ones gives, for a held-out row, the chance p of being live; then
w(x) = (n_reference / n_live) p / (1 - p) is the ratio of the two densities at x (Bickel et al., 2009). Calibrated on
rows so weighted, a curve is P(truth | score) *among live rows*, as long as P(truth | inputs) stayed (arXiv 2401.08348):
what confidence-based estimation assumes of all inputs together need then only hold given the inputs.

p must come from models that did not see the row (cross-fitting). The weights are not known but learned, and the
intervals do not count that.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.performance import Floats

CERTAIN = 1e-6
FEWEST_EFFECTIVE = 200.0


class Weights(Struct, frozen=True, eq=False):
    """Weights of held-out rows (n,) that add up to `effective`, the number of equally weighted rows they are worth.

    `clipped` rows were cut at `most` times the mean weight. `reason` is empty, or says why they must not be used.
    """

    values: Floats
    effective: float
    clipped: int
    most: float
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether enough held-out rows carry the weight."""
        return not self.reason


def density_ratio(
    chance: ArrayLike, reference_rows: int, live_rows: int, *, fewest: float = FEWEST_EFFECTIVE
) -> Weights:
    """Weights of held-out rows from their out-of-fold chance (n,) of being live, among as many rows of each as named.

    Weights above sqrt(n) times their mean are cut there (Ionides, 2008): beyond, one row's luck outweighs all that the
    others know, and cutting costs a bias that vanishes with n. The effective number of rows is (sum w)² / sum w²
    (Kish, 1965); below `fewest`, live rows lie where hardly any held-out row was, and the weights are refused.

    Raises `ValueError` for a chance outside [0, 1] and for no rows on a side.

    >>> found = density_ratio([0.5, 0.5, 0.75, 0.75], 4, 4, fewest=2)
    >>> (found.values / found.values[0]).round(3).tolist(), round(found.effective, 2)
    ([1.0, 1.0, 3.0, 3.0], 3.2)
    """
    p = np.asarray(chance, np.float64)
    if p.size == 0 or reference_rows < 1 or live_rows < 1:
        raise ValueError("a density ratio needs rows on both sides")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a chance of being live lies outside [0, 1]: pass the classifier's probabilities")
    p = np.clip(p, CERTAIN, 1 - CERTAIN)
    raw = p / (1 - p) * (reference_rows / live_rows)
    most = sqrt(p.size)
    kept = np.minimum(raw, most * raw.mean())
    effective = effective_rows(kept)
    reason = ""
    if effective < fewest:
        reason = (
            f"the live rows are so unlike the held-out ones that {p.size:,} of these are worth {effective:,.0f} rows: "
            f"{fewest:,.0f} are needed"
        )
    return Weights(kept * (effective / kept.sum()), effective, int((raw > most * raw.mean()).sum()), most, reason)


def effective_rows(weight: ArrayLike) -> float:
    """How many equally weighted rows a weighted sample is worth: (sum w)² / sum w² (Kish, 1965); 0 for none.

    >>> effective_rows([1, 1, 1, 1]), effective_rows([3, 0, 0, 0])
    (4.0, 1.0)
    """
    w = np.asarray(weight, np.float64)
    squared = float(np.sum(w * w))
    return float(w.sum()) ** 2 / squared if squared > 0 else 0.0
