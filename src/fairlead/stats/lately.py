"""A window's labels against those of the last windows: is it beyond what they spread by themselves?

Rates differ from window to window by more than chance. With the last windows' rates r_j, s^2 their variance and e what
chance alone would give, the counts are worth 1 / phi of what they number, phi = (1 + 5 / d) s^2 / e where s^2 > e,
else 1 (McCullagh, Nelder, "Generalized Linear Models", 4.5, quasi-likelihood). The d = windows - 1 degrees of freedom
are there for phi's own uncertainty: Student's quantiles are as much wider than the normal ones. Counts so thinned are
compared as in `exceedance`, exactly for labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.stats.exact import Floats
from fairlead.stats.exceedance import LossSums, Tolerance, exceedance

MEMORY = 8  # windows
FEWEST = 4  # windows below which nothing is usual yet
PATIENCE = 3  # windows that were unusual, after which what they show is what is normal
_UNSURE = 5.0


class Past(Struct, frozen=True, array_like=True):
    """What the labels of one window showed: its losses, how many labels said each class, and a metric with its standard
    error."""

    losses: LossSums
    classes: tuple[int, ...] = ()
    metric: float | None = None
    error: float = 0.0


class Lately(Struct, frozen=True, array_like=True):
    """The last windows, oldest first, without those that were unusual; `skipped` are the unusual ones since."""

    windows: tuple[Past, ...] = ()
    skipped: int = 0

    @property
    def known(self) -> bool:
        """Whether there are enough of them."""
        return len(self.windows) >= FEWEST

    def follow(self, now: Past, *, unusual: bool) -> Lately:
        """With one more window; what is unusual is not learnt until it has lasted."""
        if unusual and self.skipped < PATIENCE:
            return replace(self, skipped=self.skipped + 1)
        return Lately((*self.windows[1 - MEMORY :], now))


def counted(rows: int, hits: int) -> LossSums:
    """So many of so many, as losses of 1."""
    return LossSums(rows, float(hits), float(hits), float(hits))


def counts_of(truth: Floats, classes: int) -> tuple[int, ...]:
    """Labels of each class; `truth` (n,) holds their numbers."""
    return tuple(np.bincount(truth.astype(np.intp), minlength=classes).tolist()) if truth.size else (0,) * classes


def pooled(windows: Sequence[LossSums]) -> LossSums:
    """All of them together."""
    return LossSums(
        sum(one.count for one in windows),
        sum(one.total for one in windows),
        sum(one.squares for one in windows),
        sum(one.cubes for one in windows),
        all(one.exact for one in windows),
    )


def beyond(now: LossSums, before: Sequence[LossSums], tolerated: Tolerance) -> float:
    """The p-value of a window's mean against what is tolerated above that of the windows before; 1 without any.

    >>> before = [counted(1_000, bad) for bad in (100, 92, 110, 103)]
    >>> [round(beyond(counted(1_000, bad), before, Tolerance()), 3) for bad in (110, 150)]
    [0.224, 0.0]
    """
    together = pooled(before)
    if not now.count or not together.count:
        return 1.0
    thinner = dispersion(before)
    return exceedance(_thinned(now, thinner), _thinned(together, thinner), tolerated)


def fallen(now: tuple[float, float], before: Sequence[tuple[float, float]]) -> float:
    """The p-value of a metric (higher is better), with its standard error, against those of the windows before: normal,
    with errors that are widened by as much as the windows stray beyond theirs; 1 with fewer than two.

    >>> before = [(0.70, 0.02), (0.72, 0.02), (0.69, 0.02), (0.71, 0.02)]
    >>> [round(fallen((value, 0.02), before), 3) for value in (0.69, 0.61)]
    [0.251, 0.0]
    """
    if len(before) < 2:
        return 1.0
    values, errors = zip(*before, strict=True)
    chance = sum(error**2 for error in errors) / len(errors)
    mean = sum(values) / len(values)
    seen = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    wider = _wider(seen, chance, len(values))
    variance = wider * (now[1] ** 2 + chance / len(values))
    return NormalDist().cdf((now[0] - mean) / sqrt(variance)) if variance > 0.0 else float(now[0] >= mean)


def _wider(seen: float, chance: float, windows: int) -> float:
    """How many times chance's variance the windows' is taken to be."""
    return (1.0 + _UNSURE / (windows - 1)) * seen / chance if chance > 0.0 and seen > chance else 1.0


def dispersion(windows: Sequence[LossSums]) -> float:
    """How many times as much as by chance the windows' means vary, at least 1."""
    some = [one for one in windows if one.count > 1]
    if len(some) < 2:
        return 1.0
    together = pooled(some)
    variance = max(together.squares / together.count - together.mean**2, 0.0)
    mean = sum(one.mean for one in some) / len(some)
    seen = sum((one.mean - mean) ** 2 for one in some) / (len(some) - 1)
    chance = sum(variance / one.count for one in some) / len(some)
    return _wider(seen, chance, len(some))


def _thinned(one: LossSums, times: float) -> LossSums:
    """As if there were so many times fewer of the same."""
    if times <= 1.0:
        return one
    count = max(1, round(one.count / times))
    share = count / one.count
    return replace(one, count=count, total=one.total * share, squares=one.squares * share, cubes=one.cubes * share)
