"""What a window's correlations say: do the columns still go together as they did on the held-out rows?

A change counts where it is beyond chance (the correlations share a window's alpha with its columns, as one more) and
large enough: a correlation that changed by more than .10 is told, by more than .20 it breaks the data layer. It pages
nobody: that a model is worse for it is for the metric to say.
"""

from __future__ import annotations

from collections.abc import Collection

from fairlead.core.report import Correlation
from fairlead.core.thresholds import Threshold
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.stats.multivariate.dependence import Compared, Found

LIMITS = Threshold(0.10, 0.20)
_DIGITS = 4


def share_of(alpha: float, columns: int) -> float:
    """The part of a window's alpha that its correlations have.

    >>> share_of(0.01, 9)
    0.001
    """
    return alpha / (1 + columns)


def judge_correlation(measured: Compared | str, alpha: float) -> Correlation:
    """What was measured, or why nothing was, at the share of alpha that it has."""
    if isinstance(measured, str):
        return Correlation("unmeasured", reason=measured)
    bare = Correlation("none", measured.pairs, _short(measured.distance), _short(measured.p_value))
    if not measured.pairs:
        return Correlation("unmeasured", reason="too few rows hold two columns that vary")
    told = [one for one in measured.found if one.p_value <= alpha and LIMITS.level(one.effect) != "none"]
    if not told:
        return bare
    most = min(told, key=lambda one: (one.p_value, -one.effect))
    return Correlation(
        LIMITS.level(most.effect),
        bare.pairs,
        bare.distance,
        bare.p_value,
        _short(most.effect),
        most.column,
        most.pair,
        _short(most.before),
        _short(most.now),
        _said(most),
    )


def column_of(part: str, columns: Collection[str]) -> str:
    """The column that a compared number is of: itself, or the category that it is a value of; empty where neither is.

    >>> column_of("job=miner", ["age", "job"]), column_of("age", ["age", "job"]), column_of("a=b=c", ["a", "a=b"])
    ('job', 'age', 'a=b')
    """
    if part in columns:
        return part
    return max((name for name in columns if part.startswith(f"{name}=")), key=len, default="")


def with_correlation(data: Verdict, found: Correlation) -> Verdict:
    """The data layer with its correlations. What nobody measures there takes nothing from what was measured."""
    if not found.moved:
        return data
    beside = Verdict(Outcome.BREACHED if found.level == "critical" else Outcome.UNDECIDED, found.reason)
    told = beside.reason if data.outcome is Outcome.HOLDS else f"{data.reason}; {beside.reason}"
    return Verdict(worst([data, beside]).outcome, told)


def _said(found: Found) -> str:
    one, two = found.pair
    change = f"the correlation of {one} and {two} was {_signed(found.before)}, now {_signed(found.now)}"
    if found.kind == "column":
        return f"{found.column} no longer goes together with the other columns as it did: {change}"
    return change if found.kind == "pair" else f"columns no longer go together as they did: {change}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
