"""Ranking by harm: importance x shift x estimated loss, in the metric and, with a cost matrix, in money.

Where the held-out losses are known, the three are one figure: what reweighting the held-out rows to the feature's
current distribution does to the metric (`fairlead.stats.attribution`). A shift of what the model does not use, or
towards rows that it knows as well, changes nothing. Where they are not known, importance times shift times the mean
loss stands in. A change counts as harm once its interval excludes zero; benign shifts sink to the bottom, the largest
of them first.

A column that drifted long ago may cost more than the one that broke this morning. So suspects are first those that look
broken since the last calm window, then those that jumped since then, then those that have stood so for long; within
each, the most harmful first.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.report import FeatureShift
from fairlead.stats.attribution import Attribution

PLAUSIBLE = ("default", "renamed", "scale")  # symptoms that keep values plausible: a season may look like them
PER = 1_000  # predictions that money is given for


class Jump(Struct, frozen=True, omit_defaults=True):
    """What one column did since the last calm window: its effect (in units of its critical limit) and level against
    that window, the symptom of a broken pipeline that it shows, and the first window in which it stood so."""

    effect: float | None = None
    level: str = ""
    symptom: str = ""
    since: str = ""
    surprise: float | None = None


class Cost(Struct, frozen=True):
    """What a feature's shift accounts for: of the primary metric (positive for worse), the mean loss, and money."""

    metric: Attribution
    loss: Attribution
    money: Attribution | None = None


def estimated(shift: FeatureShift, cost: Cost, rows: int) -> FeatureShift:
    """A shift with what it may cost: the metric, the loss, and money per 1,000 predictions and for the window's `rows`.

    `harm` becomes the change of the metric where its interval excludes zero and the feature moved, else 0.
    """
    metric, loss, money = cost.metric, cost.loss, cost.money
    return replace(
        shift,
        harm=metric.change if shift.moved and metric.harmful else 0.0,
        metric_change=metric.change,
        metric_low=metric.low,
        metric_high=metric.high,
        loss_change=loss.change,
        loss_low=loss.low,
        loss_high=loss.high,
        effective_rows=loss.effective_rows,
        unsupported=loss.unsupported,
        money=None if money is None else money.change * PER,
        money_low=None if money is None else money.low * PER,
        money_high=None if money is None else money.high * PER,
        money_window=None if money is None else money.change * rows,
    )


def guessed(shift: FeatureShift, effect: float, mean_loss: float | None) -> FeatureShift:
    """A shift without an estimate: importance times effect, times the mean loss where that is known."""
    if shift.importance is None:
        return replace(shift, harm=None)
    weight = 1.0 if mean_loss is None else mean_loss
    return replace(shift, harm=shift.importance * effect * weight * shift.moved)


def ranked_by_harm(shifts: Iterable[FeatureShift]) -> tuple[FeatureShift, ...]:
    """The most harmful first, by money where every harmful one has it, else by the metric; of equals, the largest."""
    listed = list(shifts)
    harmful = [shift for shift in listed if shift.harm]
    by_money = bool(harmful) and all(shift.money is not None for shift in harmful)

    def key(shift: FeatureShift) -> tuple[float, float, float, str]:
        harm = shift.harm or 0.0
        cost = (shift.money or 0.0) if by_money and harm else 0.0
        return -cost, -harm, -(shift.effect or 0.0), shift.name

    return tuple(sorted(listed, key=key))


def jumped(shift: FeatureShift, jump: Jump | None) -> FeatureShift:
    """A shift with what it did since the last calm window."""
    if jump is None:
        return shift
    told = replace(shift, jump=jump.effect, jump_level=jump.level, symptom=jump.symptom, since=jump.since)
    return told if jump.surprise is None else replace(told, surprise=jump.surprise)


def ranked_by_jump(shifts: Iterable[FeatureShift]) -> tuple[FeatureShift, ...]:
    """What broke since the last calm window, what jumped since then, and the rest; in each the most harmful first."""

    def group(shift: FeatureShift) -> int:
        if shift.symptom:
            return 0
        return 1 if shift.jump_level in ("warning", "critical") else 2

    return tuple(sorted(ranked_by_harm(shifts), key=group))


def ranked_by_surprise(shifts: Iterable[FeatureShift]) -> tuple[FeatureShift, ...]:
    """What is plainly broken, what broke silently, what jumped, what moved more than lately without being called a
    jump, and the rest. In each what is most unusual for the column comes first; of equals the most harmful.

    Where no jump is usual yet, every column of the first windows jumps by the calendar, and the window before may have
    been harmful itself: after what is broken comes what does harm, of it first what jumped, and then what does none."""
    listed = ranked_by_harm(shifts)
    usual = any(shift.surprise is not None for shift in listed)

    def key(shift: FeatureShift) -> tuple[int, float]:
        leapt = shift.jump_level in ("warning", "critical")
        if shift.symptom:
            group = 1 if shift.symptom in PLAUSIBLE else 0
        elif usual:
            group = 2 if leapt else 3 if shift.surprise is not None else 4
        else:
            group = (2 if leapt else 3) if shift.harm else 4 if leapt else 5
        return group, -(shift.surprise or 0.0)

    return tuple(sorted(listed, key=key))
