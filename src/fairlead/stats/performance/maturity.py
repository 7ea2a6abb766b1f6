"""How long truths take to arrive, and what may be said before they have.

Instants and delays are seconds. A prediction whose label has not come is censored: all that is known is that the label
takes longer than the prediction is old. Its delay counts as at least that, never as infinite and never as absent.
"""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.performance.measure import (
    LEVEL,
    UNDEFINED,
    Floats,
    Measure,
    difference,
    floats,
    mean_interval,
    proportion,
    z_of,
)

Mask = NDArray[np.bool_]
MATURED = 0.9  # the share of a cohort's labels that makes it matured


class DelayCurve(Struct, frozen=True, eq=False):
    """P(label known within d) at the delays at which it climbs, ascending; each array has one entry a delay.

    `known` labels came, `waiting` predictions have none yet. Beyond `longest`, the age of the oldest prediction that
    still waits or the longest delay seen, the curve says nothing.
    """

    delays: Floats
    share: Floats
    low: Floats
    high: Floats
    known: int
    waiting: int
    longest: float
    floor: Measure = UNDEFINED  # before the first label

    def within(self, delay: float) -> Measure:
        """P(label known within `delay`); nan beyond `longest`."""
        if delay > self.longest or isnan(self.longest):
            return UNDEFINED
        place = int(np.searchsorted(self.delays, delay, side="right")) - 1
        if place < 0:
            return self.floor
        return Measure(float(self.share[place]), float(self.low[place]), float(self.high[place]))

    def until(self, share: float) -> float:
        """The delay within which that share of the labels is known; inf where the curve does not get there."""
        place = int(np.searchsorted(self.share, share - 1e-12))
        return float(self.delays[place]) if place < self.share.size else inf


class EarlyLate(Struct, frozen=True):
    """The mean of labels that came within `cut` seconds against that of later ones, and early minus late."""

    cut: float
    early_rows: int
    late_rows: int
    early: Measure
    late: Measure
    gap: Measure

    @property
    def differs(self) -> bool:
        """Whether the interval of the gap leaves 0 out: early labels are not like late ones."""
        return self.gap.low > 0 or self.gap.high < 0


def delay_curve(delay: ArrayLike, known: ArrayLike, level: float = LEVEL) -> DelayCurve:
    """The product-limit estimate of the delay's distribution (Kaplan, Meier, 1958), with Greenwood's variance (1926)
    on the log(-log) scale, pointwise.

    `delay` (n,) is the label's delay where `known`, else the prediction's age. S(d) = prod over delays t <= d of
    1 - labels at t / predictions that waited at least t; the share is 1 - S. *Assumed*: predictions of different ages
    have the same delays; where a back-office got slower lately, the curve is of the past. Before the first label the
    interval ends at the exact one-sided bound. Raises `ValueError` for a negative delay or one that is no number.

    >>> curve = delay_curve([1, 2, 2, 3, 5], [True, True, False, True, False])
    >>> curve.delays.tolist(), [round(share, 3) for share in curve.share.tolist()]
    ([1.0, 2.0, 3.0], [0.2, 0.4, 0.7])
    >>> curve.until(0.5), curve.until(0.9)
    (3.0, inf)
    """
    d, came = floats(delay), np.asarray(known, np.bool_)
    if not (d >= 0).all():
        raise ValueError("a delay is negative or no number: a label is observed after its prediction")
    if d.size == 0:
        empty = np.zeros(0)
        return DelayCurve(empty, empty, empty, empty, 0, 0, nan)
    times, events = np.unique(d[came], return_counts=True)
    at_risk = d.size - np.searchsorted(np.sort(d), times, side="left")
    stay = np.asarray(np.cumprod(1 - events / at_risk), np.float64)
    low, high = _bounds(stay, events, at_risk, level)
    first = Measure(0.0, 0.0, 1 - float(((1 - level) / 2) ** (1 / d.size)))
    return DelayCurve(
        times, np.asarray(1 - stay, np.float64), low, high, int(came.sum()), int((~came).sum()), float(d.max()), first
    )


def known_by(observed_at: ArrayLike, instant: float) -> Mask:
    """Which labels had been observed by an instant, (n,); a label never observed (nan) is not.

    >>> known_by([1.0, 5.0, float("nan")], 3.0).tolist()
    [True, False, False]
    """
    return np.asarray(floats(observed_at) <= instant, np.bool_)


def matured_share(observed_at: ArrayLike, instant: float, level: float = LEVEL) -> Measure:
    """The share of predictions whose label had been observed by an instant, with Wilson's interval.

    >>> round(matured_share([1.0, 5.0, float("nan")], 3.0).value, 3)
    0.333
    """
    known = known_by(observed_at, instant)
    return proportion(float(known.sum()), known.size, level)


def waited(predicted_at: ArrayLike, observed_at: ArrayLike, instant: float) -> tuple[Floats, Mask]:
    """Each prediction's delay as it looked at an instant, and whether its label was known: what `delay_curve` takes.

    >>> delay, known = waited([0.0, 2.0], [1.0, 9.0], 5.0); delay.tolist(), known.tolist()
    ([1.0, 3.0], [True, False])
    """
    start, end = floats(predicted_at), floats(observed_at)
    known = known_by(end, instant)
    return np.asarray(np.where(known, end, instant) - start, np.float64), known


def early_against_late(values: ArrayLike, delay: ArrayLike, level: float = LEVEL) -> EarlyLate:
    """Whether labels that come early are like those that come late: their means, split at the median delay.

    `values` (n,) are the labels (0/1 gives Wilson's intervals, else normal ones) and `delay` (n,) what each took. Give
    only predictions old enough that their late labels are there too, or the late half lacks its latest. One look at one
    split; nan where a side is empty.

    >>> found = early_against_late([1] * 60 + [0] * 40, range(100))
    >>> found.early.value, found.late.value, found.differs
    (1.0, 0.2, True)
    """
    y, d = floats(values), floats(delay)
    if y.size < 2:
        return EarlyLate(nan, y.size, 0, UNDEFINED, UNDEFINED, UNDEFINED)
    cut = float(np.quantile(d, 0.5, method="lower"))
    early = d <= cut
    one, two = (_mean(part, level) for part in (y[early], y[~early]))
    return EarlyLate(cut, int(early.sum()), int((~early).sum()), one, two, difference(one, two))


def _mean(values: Floats, level: float) -> Measure:
    if np.isin(values, (0.0, 1.0)).all():
        return proportion(float(values.sum()), values.size, level)
    return mean_interval(values, level)


def _bounds(stay: Floats, events: NDArray[np.int64], at_risk: NDArray[np.int64], level: float) -> tuple[Floats, Floats]:
    """Of the share: S^exp(+-z se), se that of log(-log S). Once all are known, the last bound before it, and 1."""
    inner = stay > 0
    terms = np.divide(events, at_risk * (at_risk - events), out=np.zeros(stay.size), where=inner)
    hazard = -np.log(np.where(inner, stay, 0.5))
    stretch = np.exp(np.minimum(z_of(level) * np.sqrt(np.cumsum(terms)) / hazard, 700.0))
    low, high = 1 - stay ** (1 / stretch), 1 - stay**stretch
    if stay.size and not inner[-1]:
        low[-1], high[-1] = (low[-2] if stay.size > 1 else 0.0), 1.0
    return low, high
