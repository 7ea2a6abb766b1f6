"""The e-detector of `edetector` over blocks of time: alarms are then counted in time, whatever the traffic.

All observations of a block (ten seconds, say) are one step: with the bets e of each observation Z in [0, 1],

    E_t = product of e over the block       M_t = (M_{t-1} + 1) E_t

and E_t has conditional expectation at most 1 where every Z has mean at most m given the past, however many there are,
and is 1 in a block without any. So E[M_T] <= E[T] at every stopping time T, counted in blocks, and an alarm at M_t >= B
comes after B blocks or more on average. For 0/1 losses a block is two numbers: how many there were, and how many bad;
for other losses in [0, 1] it is how often there was each.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, inf, log, log1p

from msgspec import Struct

from fairlead.stats.sequential.edetector import ODDS


class BlockWatch(Struct, frozen=True):
    """The whole state of one detector. `allowed` is m, in (0, 1); `block` the last block that was taken in.

    For each bet `carried` is ln(M + 1), what the next block multiplies, and `gains` ln of its largest term, which
    began with the block in `began`.
    """

    allowed: float
    block: int
    carried: tuple[float, ...] = (0.0,) * len(ODDS)
    gains: tuple[float, ...] = (0.0,) * len(ODDS)
    began: tuple[int, ...] = (0,) * len(ODDS)

    def update(self, block: int, trials: int, bad: int) -> BlockWatch:
        """The state after a later block, with so many 0/1 losses; blocks in between had none. Raises `ValueError`.

        >>> watch = BlockWatch(0.1, 0).update(1, 90, 0).update(2, 10, 9)
        >>> round(watch.log_m, 1), watch.changed_at
        (12.6, 2)
        """
        if block <= self.block or not 0 <= bad <= trials:
            raise ValueError(f"block {block} after {self.block}, with {bad} of {trials} bad, is none")
        return self.update_losses(block, ((1.0, bad), (0.0, trials - bad)))

    def update_losses(self, block: int, losses: Sequence[tuple[float, int]]) -> BlockWatch:
        """The same with any losses in [0, 1], as (loss, how many). Raises `ValueError`.

        >>> BlockWatch(0.1, 0).update_losses(1, ((0.0, 90), (1.0, 9))) == BlockWatch(0.1, 0).update(1, 99, 9)
        True
        """
        if not 0.0 < self.allowed < 1.0:
            raise ValueError(f"an allowed loss of {self.allowed} cannot be bet against: it must lie between 0 and 1")
        if block <= self.block or any(not 0.0 <= loss <= 1.0 or count < 0 for loss, count in losses):
            raise ValueError(f"block {block} after {self.block}, with losses {losses}, is none")
        empty = block - self.block - 1
        carried, gains, began = [], [], []
        for odds, before, gain, since in zip(ODDS, self.carried, self.gains, self.began, strict=True):
            won = log_e(self.allowed, odds, losses)
            before = add(before, log(empty)) if empty else before  # noqa: PLW2901 - the same number, later
            carried.append(add(before + won, 0.0))
            gains.append(max(gain, 0.0) + won)
            began.append(since if gain > 0.0 else block)
        return BlockWatch(self.allowed, block, tuple(carried), tuple(gains), tuple(began))

    @property
    def log_m(self) -> float:
        """ln of the detector: the mean over the bets."""
        return log_average([_less_one(one) for one in self.carried])

    @property
    def changed_at(self) -> int:
        """The block since which the leading bet has gained most."""
        return self.began[max(range(len(ODDS)), key=self.gains.__getitem__)]


def log_e(allowed: float, odds: float, losses: Sequence[tuple[float, int]]) -> float:
    """ln of what a bet makes of a block: for 0/1 losses the likelihood ratio of `odds` times the odds of `allowed`
    against it."""
    bet = (odds - 1.0) / (1.0 - allowed + odds * allowed)
    return sum(count * log1p(bet * (loss - allowed)) for loss, count in losses)


def add(a: float, b: float) -> float:
    """ln(e^a + e^b)."""
    high, low = max(a, b), min(a, b)
    return high + log1p(exp(low - high)) if low > -inf else high


def log_average(logs: Sequence[float]) -> float:
    """ln of the mean of what these are logarithms of.

    >>> round(log_average([0.0, 0.0]), 12)
    0.0
    """
    high = max(logs)
    if high == -inf:
        return -inf
    return high + log(sum(exp(one - high) for one in logs) / len(logs))


def _less_one(carried: float) -> float:
    """ln M of ln(M + 1)."""
    return carried + log(-expm1(-carried)) if carried > 0.0 else -inf
