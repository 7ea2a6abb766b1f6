"""Is one number worse than another: a slice than the rest, now than before? By significance and effect, or undecided.

A gap counts as worse only if it survives Benjamini-Hochberg over all that were asked together and exceeds what is
tolerated; it holds only if its interval leaves no room for more than is tolerated. All else is undecided, with the
smallest gap that these rows would have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import inf, isfinite, isnan, nan

from msgspec import Struct
from scipy.special import ndtri

from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.performance.measure import LEVEL, UNDEFINED, Measure, difference, p_value, z_of

POWER = 0.8
TOLERANCE = 0.05  # of the value compared with
MIN_ROWS = 30


class Standing(StrEnum):
    """What a comparison found, in the words of a verdict."""

    HOLDS = "holds"
    UNDECIDED = "undecided"
    UNMEASURED = "unmeasured"
    BREACHED = "breached"


class Pair(Struct, frozen=True):
    """What is compared: a name, the rows behind each value, and the two values, measured on different rows."""

    name: str
    rows: int
    value: Measure
    other_rows: int
    other: Measure


class Comparison(Struct, frozen=True):
    """A pair compared. `gap` is value minus other, with its interval at the level alone (not widened for the number of
    questions); `q_value` is adjusted for them. `allowed` is the tolerated gap, `detectable` the smallest that would
    have been seen with 80 % power were it the only one; both are sizes, above 0."""

    name: str
    rows: int
    value: Measure
    other: Measure
    gap: Measure
    p_value: float
    q_value: float
    allowed: float
    detectable: float
    standing: Standing


def compare(
    pairs: Sequence[Pair],
    *,
    higher_is_better: bool,
    tolerance: float = TOLERANCE,
    min_rows: int = MIN_ROWS,
    level: float = LEVEL,
) -> tuple[Comparison, ...]:
    """Each pair's standing, in the order given. `tolerance` is a share of the other value's size.

    *Guaranteed*, for rows independent of each other: where nothing differs, at most 1 - level of the calls have a pair
    called worse; where some differ, at most that share of those called worse do not (for the pairs of slices with the
    rest, whose gaps are weakly negatively dependent, by simulation). Raises `ValueError` for a negative tolerance or a
    level outside (0, 1).

    >>> from fairlead.stats.performance.measure import proportion
    >>> north = Pair("north", 400, proportion(260, 400), 4000, proportion(3400, 4000))
    >>> south = Pair("south", 20, proportion(15, 20), 4380, proportion(3645, 4380))
    >>> found = compare([north, south], higher_is_better=True)
    >>> [(one.name, one.standing.value, round(one.detectable, 3)) for one in found]
    [('north', 'breached', 0.067), ('south', 'undecided', 0.198)]
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}: it is a share of the value compared with, at least 0")
    gaps = [difference(pair.value, pair.other) for pair in pairs]
    asked = [enough(pair, min_rows) for pair in pairs]
    chances = [p_value(gap, level) if ask else nan for gap, ask in zip(gaps, asked, strict=True)]
    adjusted = iter(benjamini_hochberg([chance for chance in chances if not isnan(chance)]))
    questions = max(sum(not isnan(chance) for chance in chances), 1)
    found = []
    for pair, gap, chance in zip(pairs, gaps, chances, strict=True):
        q = nan if isnan(chance) else next(adjusted)
        allowed = tolerance * abs(pair.other.value)
        seen = _detectable(gap, questions, level, higher_is_better=higher_is_better)
        turned = gap if higher_is_better else Measure(-gap.value, -gap.high, -gap.low)
        standing = _standing(pair, turned, q, allowed, (min_rows, level))
        found.append(Comparison(pair.name, pair.rows, pair.value, pair.other, gap, chance, q, allowed, seen, standing))
    return tuple(found)


def enough(pair: Pair, min_rows: int = MIN_ROWS) -> bool:
    """Whether both sides have the rows and the intervals that a comparison needs."""
    ends = (pair.value.low, pair.value.high, pair.other.low, pair.other.high)
    return min(pair.rows, pair.other_rows) >= min_rows and not any(isnan(end) for end in ends)


def _standing(pair: Pair, gap: Measure, q: float, allowed: float, rule: tuple[int, float]) -> Standing:
    """`gap` is turned so that below 0 is worse."""
    min_rows, level = rule
    if not (pair.value.defined and pair.other.defined):
        return Standing.UNMEASURED if min(pair.rows, pair.other_rows) >= min_rows else Standing.UNDECIDED
    if isnan(q):
        return Standing.UNDECIDED
    if q <= 1 - level and gap.value < -allowed:
        return Standing.BREACHED
    return Standing.HOLDS if gap.low >= -allowed else Standing.UNDECIDED


def _detectable(gap: Measure, questions: int, level: float, *, higher_is_better: bool) -> float:
    """(z of the level shared by all questions + z of the power) standard errors, of the side that points to 0."""
    side = gap.high - gap.value if higher_is_better else gap.value - gap.low
    if isnan(side) or not isfinite(side):
        return inf
    error = side / z_of(level)
    return error * float(-ndtri((1 - level) / (2 * questions)) + ndtri(POWER))


NOT_COMPARED = Comparison("", 0, UNDEFINED, UNDEFINED, UNDEFINED, nan, nan, nan, inf, Standing.UNMEASURED)
