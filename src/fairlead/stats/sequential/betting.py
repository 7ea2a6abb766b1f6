"""Harmful shift: has the live loss risen above what was validated?

A bet against "the mean loss is at most m" (Podkopaev, Ramdas, "Tracking the risk of a deployed model", ICLR 2022;
Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024):

    K_t = 1/4 prod (1 + l_i (Z_i - m)) + 3/4 mean over k of prod k^Z_i / (1 - m + k m),   k = 1.25, 1.5, 2, 3.

The first bet learns: l_i = clip((mu - m) / (s2 + (mu - m)^2), 0, 0.75 / m), where mu and s2 are the mean and variance
of the losses *before* i, each with one prior observation (1/2 and 1/4). As l_i knows only the past and is not negative,
each factor has conditional expectation at most 1 under the null, and the cap keeps it at 1/4 or more. The others do not
learn: for 0/1 losses they are the likelihood ratios of odds k times those of m, and as k^Z <= 1 - Z + k Z on [0, 1]
their expectation is at most 1 for every loss in [0, 1]; they need no more than the sum. An average of e-processes is
one. Losses may depend on each other, as long as each has conditional mean <= m.

Learning pays where the losses vary little, knowing the odds beforehand where they are 0 or 1: there the average is
about a tenth faster than the learning bet alone. Simulated at m = 0.13 and alpha = 0.025: 2.5 % false alarms over 5,000
labels, and a median of about 970 / 390 / 180 / 66 labels to the alarm at a true error of 0.16 / 0.18 / 0.20 / 0.25.

A bet that was laid long ago has lost so much to calm times that it takes as long again to see a change. `begun_again`
lays 1 / (j (j + 1)) more on each bet at its j-th call: a mixture over the instants of change (Shin, Ramdas, Rinaldo,
"E-detectors", NEJSDS 2024, there without the weights). As the weights sum to 1, what is not yet laid and what stands on
the bets are together a supermartingale that begins at 1, so alpha bounds a false alarm over all time as before.
"""

from __future__ import annotations

from math import log, log1p

import numpy as np
from msgspec import UNSET, Struct, UnsetType, structs
from numpy.typing import ArrayLike

from fairlead.stats.lately import Lately
from fairlead.stats.sequential.evidence import Evidence, Floats, first_at_least, log_mean
from fairlead.stats.sequential.observations import unit_interval

_LARGEST_BET = 0.75
_ODDS = (1.25, 1.5, 2.0, 3.0)
_LEARNING = 0.25  # the weight of the bet that learns


class Starts(Struct, frozen=True):
    """How often bets were laid, and ln of what stands on each for one that was laid on it at the very first."""

    count: int
    heads: tuple[float, ...]


class LossWatch(Struct, frozen=True):
    """The whole state, a dozen numbers, whatever the number of losses.

    `allowed` is m, the upper bound of the reference loss plus any tolerance, in (0, 1).
    """

    allowed: float
    count: int = 0
    total: float = 0.0  # of the losses
    spread: float = 0.0  # sum of (loss - running mean)^2, the running mean taken after the loss
    log_k: float = 0.0
    log_k_max: float = 0.0
    log_bet: float = 0.0  # of the bet that learns
    starts: Starts | UnsetType = UNSET  # left out where all was laid at the first loss, as states of old
    lately: Lately | UnsetType = UNSET  # what the last windows' labels showed

    @property
    def evidence(self) -> Evidence:
        """ln K now and its largest value, as every sequential test gives them."""
        return Evidence(self.log_k, self.log_k_max)

    def alarmed(self, alpha: float) -> bool:
        """Whether the evidence has ever reached 1 / alpha. False alarms over all time: at most alpha."""
        return self.log_k_max >= log(1.0 / alpha)


def update(state: LossWatch, losses: ArrayLike) -> LossWatch:
    """The state after some more losses, in their order; each in [0, 1], or `ValueError`.

    >>> calm = update(LossWatch(allowed=0.2), [0, 0, 1, 0, 0, 0, 0, 1, 0, 0])
    >>> update(calm, [1] * 20).alarmed(alpha=0.05), calm.alarmed(alpha=0.05)
    (True, False)
    """
    values = np.ravel(_checked(losses, state.allowed))
    return _follow(state, values)[0] if values.size else state


def begun_again(state: LossWatch) -> LossWatch:
    """The state with a further part of the capital laid on each bet, as at the begin of each window of labels.

    >>> calm = update(begun_again(LossWatch(allowed=0.2)), [0] * 200)
    >>> round(calm.log_k, 1), round(begun_again(calm).log_k, 1)
    (-2.3, -1.3)
    """
    known = state.starts
    count, heads = (known.count, known.heads) if isinstance(known, Starts) else (0, (0.0,) * (1 + len(_ODDS)))
    stands = _stands(state)
    if not count:  # what was laid at the first loss was all of it: half goes on, half is for later starts
        heads = tuple(head - log(2.0) for head in heads)
        count = 1
        if not state.count:
            return _laid(state, Starts(count, heads))
    part = -log((count + 1.0) * (count + 2.0))
    heads = tuple(float(np.logaddexp(head + at, part)) - at for head, at in zip(heads, stands, strict=True))
    return _laid(state, Starts(count + 1, heads))


def harmful_shift(losses: ArrayLike, reference_upper: float, alpha: float) -> tuple[float, int | None]:
    """(largest ln K, index of the loss at which K first reached 1 / alpha or None), over losses in their order.

    >>> harmful_shift([0, 1] * 100, reference_upper=0.2, alpha=0.05)[1]
    19
    """
    path = harm_path(losses, reference_upper)
    return max(0.0, float(path.max(initial=0.0))), first_at_least(path, alpha)


def harm_path(losses: ArrayLike, allowed: float) -> Floats:
    """ln K after each loss, shape (..., n), time last; each loss in [0, 1], or `ValueError`.

    >>> np.round(harm_path([0, 1, 1], allowed=0.2), 2)
    array([-0.17,  0.22,  0.74])
    """
    return _follow(LossWatch(allowed), _checked(losses, allowed))[1]


def _stands(state: LossWatch) -> tuple[float, ...]:
    """ln of each bet's gain since the first loss."""
    known = (state.total * log(odds) - state.count * log1p(state.allowed * (odds - 1.0)) for odds in _ODDS)
    return (state.log_bet, *known)


def _laid(state: LossWatch, starts: Starts) -> LossWatch:
    shares = (log(_LEARNING), *(log((1.0 - _LEARNING) / len(_ODDS)) for _ in _ODDS))
    parts = [sum(each) for each in zip(shares, starts.heads, _stands(state), strict=True)]
    return structs.replace(state, starts=starts, log_k=float(np.logaddexp.reduce(parts)))


def _follow(state: LossWatch, values: Floats) -> tuple[LossWatch, Floats]:
    """The state after the losses (of their last row), and ln K after each."""
    totals = state.total + np.cumsum(values, axis=-1)
    counts = state.count + np.arange(1.0, values.shape[-1] + 1.0)
    learning, spreads = _learning_bet(state, values, totals, counts)
    logs = np.empty((1 + len(_ODDS), *values.shape))
    logs[0] = learning + log(_LEARNING)
    for place, odds in enumerate(_ODDS, start=1):
        np.multiply(totals, log(odds), out=logs[place])
        logs[place] -= counts * log1p(state.allowed * (odds - 1.0))
        logs[place] += log((1.0 - _LEARNING) / len(_ODDS))
    if isinstance(state.starts, Starts):
        logs += np.reshape(state.starts.heads, (-1, *(1,) * values.ndim))
    path = log_mean(logs) + log(len(logs))
    if values.ndim > 1 or not values.size:
        return state, path
    after = structs.replace(
        state,
        count=int(counts[-1]),
        total=float(totals[-1]),
        spread=float(spreads[-1]),
        log_k=float(path[-1]),
        log_k_max=max(state.log_k_max, float(path.max())),
        log_bet=float(learning[-1]),
    )
    return after, path


def _learning_bet(state: LossWatch, values: Floats, totals: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """ln of the bet's capital, and the sum of squared deviations, after each loss."""
    spreads = state.spread + np.cumsum((values - (0.5 + totals) / (counts + 1.0)) ** 2, axis=-1)
    gap = (0.5 + totals - values) / counts - state.allowed
    variance = np.empty_like(spreads)
    variance[..., :1] = 0.25 + state.spread
    variance[..., 1:] = 0.25 + spreads[..., :-1]
    variance /= counts
    bets = np.clip(gap / (variance + gap**2), 0.0, _LARGEST_BET / state.allowed)
    return state.log_bet + np.cumsum(np.log1p(bets * (values - state.allowed)), axis=-1), spreads


def _checked(losses: ArrayLike, allowed: float) -> Floats:
    if not 0.0 < allowed < 1.0:
        raise ValueError(f"an allowed loss of {allowed} cannot be bet against: it must lie between 0 and 1")
    return unit_interval(losses, "loss")
