"""False discovery rate over the features tested in one window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given (Benjamini, Hochberg 1995).

    Rejecting those <= alpha keeps the expected share of false rejections at or below alpha, for independent or
    positively dependent tests (Benjamini, Yekutieli 2001). Raises `ValueError` for a p-value outside [0, 1].

    q_(i) = min over j >= i of p_(j) m / j, at most 1.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    (0.04, 0.05333333333333334, 0.05333333333333334, 0.5)
    """
    size = len(p_values)
    if size == 0:
        return ()
    given = np.asarray(p_values, dtype=np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    order = np.argsort(given)
    scaled = given[order] * size / np.arange(1, size + 1)
    adjusted = np.empty(size)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return tuple(adjusted.tolist())
