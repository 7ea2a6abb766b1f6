"""Whether groups are treated alike by decisions: selection rates and error rates of each group, and their gaps.

A class is decided for or not, and is true or not: four counts a group. The disparate impact is the least selection rate
divided by the greatest (the four-fifths rule of the EEOC, 1978, asks for 80 %); the gaps are of the true and of the
false positive rate (equalised odds; Hardt, Price, Srebro, 2016), greatest minus least. What Fairlearn calls
`demographic_parity_ratio`, and `true_positive_rate_difference` and `false_positive_rate_difference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, inf, log, sqrt

from msgspec import Struct

from fairlead.stats.performance import LEVEL, UNDEFINED, Measure, difference, proportion
from fairlead.stats.performance.measure import z_of

FEWEST = 30  # rows behind a rate, below which a group decides nothing


class Counts(Struct, frozen=True):
    """A group's rows by truth and decision for one class."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def rows(self) -> int:
        """All rows."""
        return self.positives + self.negatives

    @property
    def positives(self) -> int:
        """Rows of the class."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Rows of none of it."""
        return self.false_positives + self.true_negatives

    @property
    def selected(self) -> int:
        """Rows that were decided for it."""
        return self.true_positives + self.false_positives


class Gap(Struct, frozen=True):
    """What lies between two groups: the ratio or the difference, with its interval. `rows` are those of the smaller."""

    lowest: str
    highest: str
    measure: Measure
    rows: int


NO_GAP = Gap("", "", UNDEFINED, 0)


class Fairness(Struct, frozen=True):
    """The worst pair of groups by each measure; `few` names the groups that were too small to be asked."""

    impact: Gap  # least selection rate divided by the greatest
    tpr: Gap  # greatest true positive rate minus the least
    fpr: Gap
    few: tuple[str, ...] = ()


def fairness(groups: Mapping[str, Counts], level: float = LEVEL, fewest: int = FEWEST) -> Fairness:
    """The gaps between groups of at least `fewest` rows (of the kind that a rate is of), with intervals at the level.

    Intervals are of two groups; of more than two the level is shared by all pairs (Bonferroni), for the worst pair is
    chosen by what was seen. nan where fewer than two groups are large enough.

    >>> found = fairness({"a": Counts(40, 10, 10, 40), "b": Counts(20, 5, 30, 45)})
    >>> found.impact.measure.value, round(found.tpr.measure.value, 2), round(found.fpr.measure.value, 2)
    (0.5, 0.4, 0.1)
    """
    large = {name: one for name, one in groups.items() if one.rows >= fewest}
    shared = 1 - (1 - level) / max(1, len(large) * (len(large) - 1) // 2)
    selection = {name: (one.selected, one.rows) for name, one in large.items()}
    hits = {name: (one.true_positives, one.positives) for name, one in large.items() if one.positives >= fewest}
    alarms = {name: (one.false_positives, one.negatives) for name, one in large.items() if one.negatives >= fewest}
    few = tuple(name for name in groups if name not in large)
    return Fairness(_ratio(selection, shared), _gap(hits, shared), _gap(alarms, shared), few)


def _ends(rates: Mapping[str, tuple[int, int]]) -> tuple[str, str]:
    """The groups of the least and of the greatest rate."""
    ordered = sorted(rates, key=lambda name: (rates[name][0] / rates[name][1], name))
    return ordered[0], ordered[-1]


def _ratio(rates: Mapping[str, tuple[int, int]], level: float) -> Gap:
    """The logarithm of a ratio of two shares is about normal, with variance 1/a - 1/n + 1/b - 1/m (Katz et al., 1978);
    half a row is added to each count for it, so that a group without a selected row has an interval too."""
    if len(rates) < 2:
        return NO_GAP
    low, high = _ends(rates)
    (one, rows), (two, others) = rates[low], rates[high]
    if two == 0:
        return NO_GAP  # nobody is selected anywhere: nothing differs, and nothing is known
    value = (one / rows) / (two / others)
    centre = log((one + 0.5) / (rows + 0.5)) - log((two + 0.5) / (others + 0.5))
    variance = 1 / (one + 0.5) - 1 / (rows + 0.5) + 1 / (two + 0.5) - 1 / (others + 0.5)
    half = z_of(level) * sqrt(max(variance, 0.0))
    ends = exp(centre - half), exp(centre + half)
    return Gap(low, high, Measure(value, min(value, ends[0]), max(value, ends[1])), min(rows, others))


def _gap(rates: Mapping[str, tuple[int, int]], level: float) -> Gap:
    if len(rates) < 2:
        return NO_GAP
    low, high = _ends(rates)
    measure = difference(proportion(*rates[high], level), proportion(*rates[low], level))
    return Gap(low, high, measure, min(rates[low][1], rates[high][1]))


def worst(found: Mapping[str, Fairness]) -> tuple[Gap, Gap, Gap]:
    """Over several classes or columns: the least impact, the greatest gap of true, and of false positive rates. Where a
    measure is defined nowhere it is nan."""
    impact = min((one.impact for one in found.values()), key=lambda gap: _or(gap, inf), default=NO_GAP)
    tpr = max((one.tpr for one in found.values()), key=lambda gap: _or(gap, -inf), default=NO_GAP)
    fpr = max((one.fpr for one in found.values()), key=lambda gap: _or(gap, -inf), default=NO_GAP)
    return impact, tpr, fpr


def _or(gap: Gap, value: float) -> float:
    return gap.measure.value if gap.measure.defined else value
