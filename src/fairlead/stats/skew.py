"""How often two records of one value differ: what a model was served with against what it was trained on.

Each feature's share of unequal pairs has exact binomial bounds (Clopper, Pearson, 1934), and is compared with the share
that is allowed. Both errors are bounded by alpha, at one look: that some feature within the limit is called beyond it
(Bonferroni over the features), and that all are called within it while one is beyond (its own bound would have to
fail).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from fairlead.stats.intervals import clopper_pearson, upper_bound


class Place(StrEnum):
    """Where a share lies, as far as the pairs tell."""

    WITHIN = "within"
    BEYOND = "beyond"
    OPEN = "open"


class Disagreement(Struct, frozen=True):
    """One feature's unequal pairs. `low` and `high` are the bounds that were compared with the limit: the lower one at
    alpha / features, the upper one at alpha, each one-sided."""

    name: str
    pairs: int
    unequal: int
    low: float
    high: float
    place: Place

    @property
    def share(self) -> float:
        """Of the pairs that were compared; 0 without any."""
        return self.unequal / self.pairs if self.pairs else 0.0


def disagreements(
    counts: Mapping[str, tuple[int, int]], *, limit: float = 0.01, alpha: float = 0.01
) -> tuple[Disagreement, ...]:
    """The features' shares, worst first, from (unequal, pairs) by name. `limit` is the share of unequal pairs that is
    allowed, in [0, 1); `alpha` in (0, 1/2). Raises `ValueError` for others, and for impossible counts.

    >>> [(one.name, one.place.value) for one in disagreements({"age": (40, 1000), "plan": (0, 1000), "fee": (9, 1000)})]
    [('age', 'beyond'), ('fee', 'open'), ('plan', 'within')]
    """
    if not 0.0 <= limit < 1.0:
        raise ValueError(f"limit is {limit}: it is a share from 0 to below 1")
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 0.5")
    found = [
        _placed(name, unequal, pairs, limit, (alpha, alpha / len(counts))) for name, (unequal, pairs) in counts.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.share, -one.low, one.name)))


def pairs_needed(limit: float, alpha: float = 0.01) -> int:
    """The fewest pairs, all equal, that show a share within the limit; 0 where no number does.

    >>> pairs_needed(0.01)
    459
    """
    if limit <= 0.0:
        return 0
    low, high = 1, 1
    while upper_bound(0, high, alpha) > limit:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if upper_bound(0, middle, alpha) > limit:
            low = middle + 1
        else:
            high = middle
    return high


def _placed(name: str, unequal: int, pairs: int, limit: float, alphas: tuple[float, float]) -> Disagreement:
    if not pairs:
        return Disagreement(name, 0, 0, 0.0, 1.0, Place.OPEN)
    low, _ = clopper_pearson(unequal, pairs, 2 * alphas[1])
    high = upper_bound(unequal, pairs, alphas[0])
    place = Place.BEYOND if low > limit else Place.WITHIN if high <= limit else Place.OPEN
    return Disagreement(name, pairs, unequal, low, high, place)
