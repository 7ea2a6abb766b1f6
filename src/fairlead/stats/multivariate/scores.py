"""Black-box shift detection: did the model's output vector move? (Lipton et al. 2018; Rabanser, Günnemann, Lipton 2019)

Kolmogorov-Smirnov on each dimension of the score vector, Bonferroni over them. In *Failing Loudly* it found more kinds
of shift than any test of the raw features, and it needs no more than the scores' profiles, which add up.
"""

from __future__ import annotations

from math import sqrt

from scipy.special import kolmogi

from fairlead.stats.distances import DEFAULT, Distance, Limits, ks
from fairlead.stats.multivariate.evidence import POWER_Z, Evidence, Suspect
from fairlead.stats.profile import NumericProfile, TableProfile


def score_shift(
    reference: TableProfile, current: TableProfile, *, alpha: float = 0.01, limits: Limits = DEFAULT.ks
) -> Evidence:
    """Compares the score vectors of two profiles on one grid, one numeric column for each dimension.

    `p_value` is the smallest of the dimensions' times their number: valid whatever their dependence. `statistic` is the
    largest KS; `effect` is the largest corrected KS of those dimensions that are significant at alpha, or of all where
    none is, held against the warning limit; `suspects` are all of them. `detectable` is the KS that the dimension of
    the fewest rows would have shown. Raises `ValueError` without a dimension, for one that is not numeric or has no
    value on a side, and for an `alpha` outside (0, 1).

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> import numpy as np
    >>> one = profile([NumericColumn("p", np.linspace(0.0, 1.0, 500))])
    >>> two = profile([NumericColumn("p", np.linspace(0.0, 1.0, 500) ** 2)], one.grids)
    >>> found = score_shift(one, two)
    >>> round(found.statistic, 2), found.p_value < 1e-9, found.suspects[0].name
    (0.25, True, 'p')
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    pairs = _pairs(reference, current)
    found = [(one.grid.name, ks(one, two, limits)) for one, two in pairs]
    size = len(found)
    least = max(1.0 / one.present + 1.0 / two.present for one, two in pairs)
    evident = [distance for _, distance in found if _p(distance) * size <= alpha]
    worst = max(evident or [distance for _, distance in found], key=lambda one: one.corrected)
    order = sorted(found, key=lambda one: (-one[1].corrected, -one[1].value))
    return Evidence(
        method="scores",
        statistic=max(distance.value for _, distance in found),
        effect=worst.corrected,
        limit=limits.warning,
        p_value=min(1.0, size * min(_p(distance) for _, distance in found)),
        detectable=min(1.0, (float(kolmogi(alpha / size)) + POWER_Z / 2.0) * sqrt(least)),
        low=worst.low,
        high=worst.high,
        suspects=tuple(Suspect(name, distance.corrected) for name, distance in order),
    )


def _p(distance: Distance) -> float:
    return 1.0 if distance.p_value is None else distance.p_value


def _pairs(reference: TableProfile, current: TableProfile) -> list[tuple[NumericProfile, NumericProfile]]:
    if reference.names != current.names or not reference.names:
        raise ValueError(f"scores {reference.names} against {current.names}: both sides need the same dimensions")
    pairs = []
    for one, two in zip(reference.columns, current.columns, strict=True):
        if not isinstance(one, NumericProfile) or not isinstance(two, NumericProfile):
            raise ValueError(f"score {one.grid.name!r} holds categories: a score is a number")  # noqa: TRY004
        if not one.present or not two.present:
            raise ValueError(f"score {one.grid.name!r} has no value on one side: leave it out")
        pairs.append((one, two))
    return pairs
