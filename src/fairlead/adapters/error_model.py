"""A boosted model of the size of errors (scikit-learn), handed to the statistics as arrays.

Two stages, because errors are positive, skewed, and as spread as they are large. The first learns the mean logarithm of
the error: its exponential is a scale that no single large error moves. The second learns the error as a multiple of
that scale, which has nearly one spread everywhere, weighted by the scale: the multiple is then a ratio of sums, and the
product of both is the mean error given the inputs, however noisy the scale is. Both are cross-fitted on the same folds,
and brought to the rows' own mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.boosting import cross_fit

Floats = NDArray[np.float64]
FLOOR = 0.01  # of the mean error: added in the first stage, so that an error of nearly 0 is no outlier


class ErrorFit(Struct, frozen=True, eq=False):
    """`out_of_fold` (n,) expects the errors of the rows that were fitted; `expected` maps (m, d) features to (k, m)
    expectations, by the models of the k folds."""

    out_of_fold: Floats
    expected: Callable[[Floats], Floats]


def fit_errors(
    features: Floats, errors: Floats, *, categorical: Sequence[int] = (), folds: int = 5, seed: int = 0
) -> ErrorFit:
    """Fits the mean of `errors` (n,), none negative, given `features` (n, d). Raises as `boosting.cross_fit`.

    >>> x = np.linspace(0, 1, 2000)[:, None]
    >>> found = fit_errors(x, np.tile([0.5, 1.5], 1000) * (1 + x[:, 0]))
    >>> found.expected(np.array([[0.1], [0.9]])).mean(axis=0).round(1).tolist()
    [1.1, 1.9]
    """
    floor = FLOOR * float(np.mean(errors))
    if not floor > 0:  # no error at all: nothing to learn
        return ErrorFit(np.zeros(len(errors)), lambda given: np.zeros((folds, len(given))))

    def staged(target: Floats, weight: Floats | None) -> tuple[Floats, tuple[Callable[[Floats], Floats], ...]]:
        fitted = cross_fit(
            features, target, task="regression", weight=weight, categorical=categorical, folds=folds, seed=seed
        )
        return fitted.predictions, fitted.models

    log_scale, scales = staged(np.log(errors + floor), None)
    scale = np.exp(log_scale)
    multiple, multiples = staged(errors / scale, scale)
    found = scale * np.maximum(multiple, 0.0)
    level = float(np.mean(errors) / max(float(found.mean()), floor))

    def expected(given: Floats) -> Floats:
        pairs = zip(scales, multiples, strict=True)
        return level * np.stack([np.exp(log_of(given)) * np.maximum(times(given), 0.0) for log_of, times in pairs])

    return ErrorFit(level * found, expected)
