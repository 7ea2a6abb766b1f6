"""Change since promotion: e-detectors (Shin, Ramdas, Rinaldo, "E-detectors", 2022, arXiv 2203.03532).

Before the change each observation Z, given the past, has mean at most m (0/1 losses: a rate; or any loss in [0, 1]).
A bet with odds k is e_t = 1 + l_k (Z_t - m), l_k = (p_k - m) / (m (1 - m)), where p_k has k times the odds of m: for
0/1 losses the likelihood ratio of p_k against m. Its conditional expectation is at most 1 before the change, so

    e-CUSUM               M_t = max(M_{t-1}, 1) e_t
    e-SR (Shiryaev-Roberts)  M_t = (M_{t-1} + 1) e_t

are e-detectors, E[M_T] <= E[T] at every stopping time T without a change; so is their average over k. The alarm, M_t >=
1 / alpha, therefore comes after 1 / alpha observations or more on average where nothing changes (average run length).
Unlike an e-process a detector forgets: evidence against a change is not saved up, so the delay does not grow with the
time since the promotion; and unlike one it will alarm some time.

The change is put at the largest term of the sum: the observation since which the leading bet has gained most.
"""

from __future__ import annotations

from math import log
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Floats, level, log_mean
from fairlead.stats.sequential.observations import unit_interval

ODDS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
Kind = Literal["sr", "cusum"]

_BLOCK = 256  # 10^256 is still a float


class Alarm(Struct, frozen=True):
    """Observations counted from 0: the one that raised the alarm, and the first after the estimated change."""

    at: int
    changed_at: int
    log_m: float


class ChangeWatch(Struct, frozen=True):
    """The whole state: three numbers for each bet. `allowed` is m, in (0, 1).

    After an alarm the state goes on, and `alarm` keeps the first; start a new one to watch again.
    """

    allowed: float
    alpha: float
    kind: Kind = "sr"
    count: int = 0
    carried: tuple[float, ...] = (0.0,) * len(ODDS)  # ln(M + 1), or ln(max(M, 1)): what the next e_t multiplies
    gains: tuple[float, ...] = (0.0,) * len(ODDS)  # ln of the e-CUSUM, which holds the largest term
    began: tuple[int, ...] = (0,) * len(ODDS)  # where that term begins
    alarm: Alarm | None = None

    def update(self, losses: ArrayLike) -> ChangeWatch:
        """The state after some more losses, in their order; each in [0, 1], or `ValueError`.

        >>> watch = ChangeWatch(allowed=0.1, alpha=0.001).update([0] * 90 + [1] * 3).update([1] * 7)
        >>> watch.alarm.at, watch.alarm.changed_at
        (94, 90)
        """
        values = np.ravel(unit_interval(losses, "loss"))
        if not values.size:
            return self
        gains = _gains(values, self.allowed)
        detectors = _detectors(gains.copy(), self.kind, np.array(self.carried)[:, None])
        leading, began = _leading_start(gains, np.array(self.gains), np.array(self.began), self.count)
        alarm = self.alarm or self._first_alarm(gains, detectors)
        last = tuple(_carried(detectors[:, -1], self.kind).tolist())
        return ChangeWatch(self.allowed, self.alpha, self.kind, self.count + values.size, last, leading, began, alarm)

    def _first_alarm(self, gains: Floats, detectors: Floats) -> Alarm | None:
        path = log_mean(detectors.copy())
        over = path >= log(1.0 / level(self.alpha))
        if not over.any():
            return None
        at = int(over.argmax())
        bet = int(detectors[:, at].argmax())
        earlier = np.array(self.gains[bet : bet + 1]), np.array(self.began[bet : bet + 1])
        _, began = _leading_start(gains[bet : bet + 1, : at + 1], *earlier, self.count)
        return Alarm(self.count + at, began[0], float(path[at]))


def change_path(losses: ArrayLike, allowed: float, kind: Kind = "sr") -> Floats:
    """ln M after each loss, shape (..., n); `losses` (..., n) in [0, 1]; time is the last axis.

    >>> np.round(np.exp(change_path([0, 1, 1], allowed=0.1)), 2)
    array([ 0.82,  4.57, 17.44])
    >>> np.round(np.exp(change_path([0, 1, 1], allowed=0.1, kind="cusum")), 2)
    array([0.82, 2.63, 8.92])
    """
    values = unit_interval(losses, "loss")
    return log_mean(_detectors(_gains(values, allowed), kind, np.float64(0.0)))


def detect(losses: ArrayLike, allowed: float, alpha: float, kind: Kind = "sr") -> Alarm | None:
    """The first alarm among losses in their order, with the estimated change; None without one.

    >>> found = detect([0, 0, 0, 0, 1] * 20 + [1] * 10, allowed=0.25, alpha=0.001)
    >>> found.at, found.changed_at, round(found.log_m, 2)
    (105, 99, 7.23)
    """
    return ChangeWatch(allowed, level(alpha), kind).update(losses).alarm


def run_length(alpha: float) -> float:
    """The guaranteed mean number of observations to a false alarm, 1 / alpha.

    >>> run_length(0.001)
    1000.0
    """
    return 1.0 / level(alpha)


def _gains(values: Floats, allowed: float) -> Floats:
    """ln e of each bet at each observation, shape (bets, ..., n)."""
    if not 0.0 < allowed < 1.0:
        raise ValueError(f"an allowed loss of {allowed} cannot be bet against: it must lie between 0 and 1")
    odds = np.array(ODDS).reshape(-1, *(1,) * values.ndim)
    # l_k = (k - 1) / (1 - m + k m), so 1 - l_k m = 1 / (1 - m + k m) > 0.
    bets = (odds - 1.0) / (1.0 - allowed + odds * allowed)
    gains: Floats = bets * (values - allowed)
    gains += 1.0
    return np.log(gains, out=gains)


def _detectors(gains: Floats, kind: Kind, before: Floats | np.float64) -> Floats:
    """ln M of each bet after each observation, in place; `before` is what the first e multiplies."""
    if kind not in ("sr", "cusum"):
        raise ValueError(f"{kind!r} is no detector: use 'sr' or 'cusum'")
    for start in range(0, gains.shape[-1], _BLOCK):
        block = gains[..., start : start + _BLOCK]
        (_shiryaev_roberts if kind == "sr" else _cusum)(block, before)
        before = _carried(block[..., -1:], kind)
    return gains


def _cusum(block: Floats, before: Floats | np.float64) -> None:
    """Gains to ln M: the sum less its smallest value before; the start counts as -`before`."""
    sums = np.cumsum(block, axis=-1)
    least = np.empty_like(sums)
    least[..., :1] = -before
    least[..., 1:] = sums[..., :-1]
    np.subtract(sums, np.minimum.accumulate(least, axis=-1, out=least), out=block)


def _shiryaev_roberts(block: Floats, before: Floats | np.float64) -> None:
    """Gains to ln M: M_t = exp(S_t) (exp(`before`) + sum over j < t of exp(-S_j)).

    A gain is -ln 10 or more, so that no term exceeds 10^_BLOCK; what is too small beside exp(`before`) >= 1 is zero.
    """
    sums = np.cumsum(block, axis=-1)
    terms = np.empty_like(sums)
    terms[..., :1] = 0.0
    np.subtract(-sums[..., :-1], before, out=terms[..., 1:])
    np.exp(terms, out=terms)
    np.cumsum(terms, axis=-1, out=terms)
    np.log(terms, out=terms)
    terms += sums
    np.add(terms, before, out=block)


def _carried(detectors: Floats, kind: Kind) -> Floats:
    carried: Floats = np.maximum(detectors, 0.0) if kind == "cusum" else np.logaddexp(detectors, 0.0)
    return carried


def _leading_start(
    gains: Floats, before: Floats, began: np.ndarray, count: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The largest term of each bet's sum after the last observation, and where it begins."""
    sums = np.cumsum(gains, axis=-1)
    starts = np.concatenate([-np.maximum(before, 0.0)[:, None], sums[:, :-1]], axis=1)
    lowest = starts.argmin(axis=1)
    largest = sums[:, -1] - np.take_along_axis(starts, lowest[:, None], axis=1)[:, 0]
    fresh = (lowest > 0) | (before <= 0.0)
    return tuple(largest.tolist()), tuple(np.where(fresh, count + lowest, began).tolist())


def expected_delay(allowed: float, loss: float, alpha: float) -> float:
    """About how many observations after a change to `loss` the alarm takes: ln(1 / alpha) / KL(loss || m); 0/1 losses.

    >>> round(expected_delay(0.1, 0.2, 0.001))
    156
    """
    if not 0.0 < allowed < loss < 1.0:
        raise ValueError(f"a change from {allowed} to {loss} is no rise within 0 to 1")
    divergence = loss * log(loss / allowed) + (1.0 - loss) * log((1.0 - loss) / (1.0 - allowed))
    return log(1.0 / level(alpha)) / divergence
