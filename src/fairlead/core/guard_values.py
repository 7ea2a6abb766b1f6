"""What business events say of a bound: the mean of each arm's units, and whether it is shown to be kept.

For a bound on what callers log, to have no evidence of harm is not enough in the end: a version goes on to all traffic
only when it is shown to be within the bound. While a later step can still show it the rollout goes on, or a small first
step would have to wait for months.
"""

from __future__ import annotations

from math import floor, inf, log, log10

from fairlead.core.guard import Holds, Measured, in_shadow, percent
from fairlead.core.listing import counted
from fairlead.core.rollout import Guardrail, Rollout, share_of
from fairlead.stats.sequential.combine import non_inferiority_units
from fairlead.stats.sequential.dealt_values import DealtUnits, Means, deviation, falls_log_e, means, rises_log_e

_ENOUGH_UNITS = 100  # of which none has logged the event: then it is not logged at all


def values(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether the version's units do it less (`lower`) or more often than the bound on the champion's allows."""
    if in_shadow(rollout):
        return Measured(missing="no caller has met it yet, so nothing has followed from its answers")
    if not any(step.traffic < 1.0 for step in rollout.plan.steps):
        return Measured(missing="no champion answers beside it to compare with", holds=Holds.FOR_OPERATOR)
    groups = [
        DealtUnits(one.share, one.champion, one.canary)
        for one in rollout.seen.values or ()
        if one.metric == rule.metric
    ]
    found = means(groups)
    if found.champion is None or found.canary is None:
        return Measured(missing="no unit of both arms yet", holds=Holds.UNTIL_MORE)
    if found.shown == 0:
        units = found.champion_units + found.canary_units
        holds = Holds.FOR_OPERATOR if units >= _ENOUGH_UNITS else Holds.UNTIL_MORE
        return Measured(missing=f"none of {counted(units, 'unit')} has logged {rule.metric} as a number", holds=holds)
    harm, kept = (falls_log_e, rises_log_e) if rule.lower else (rises_log_e, falls_log_e)
    shown = kept(groups, rule.bound, rule.margin) >= log(1.0 / rollout.plan.alpha)
    further = "" if shown else more(rule, rollout, groups, found)
    return Measured(
        log_e=harm(groups, rule.bound, rule.margin),
        champion=found.champion,
        canary=found.canary,
        sentence=_sentence(rule, groups, found) + further,
        holds=asks(rollout),
        shown=shown,
    )


def asks(rollout: Rollout) -> Holds:
    """What a bound that is not shown to be kept asks for: nothing before the last step with a champion beside it."""
    if share_of(rollout) >= 1.0:
        return Holds.FOR_OPERATOR
    later = rollout.plan.steps[rollout.step + 1 :]
    return Holds.NO if any(step.traffic < 1.0 for step in later) else Holds.UNTIL_MORE


def _sentence(rule: Guardrail, groups: list[DealtUnits], found: Means) -> str:
    whole = all(value in (0.0, 1.0) for group in groups for value, _ in (*group.champion, *group.canary))
    canary, champion = (percent(one) if whole else f"{one:.4g}" for one in (found.canary or 0.0, found.champion or 0.0))
    units, others = counted(found.canary_units, "unit"), f"{found.champion_units:,}"
    return f"{rule.metric} {canary} over {units}, the champion's {champion} over {others}"


def more(rule: Guardrail, rollout: Rollout, groups: list[DealtUnits], found: Means) -> str:
    """How many units more are expected to show an equally good version to keep its bound; nothing where none would."""
    champion, share = found.champion or 0.0, share_of(rollout)
    slack = abs(champion * (1.0 - rule.bound) - rule.margin)
    needed = non_inferiority_units(deviation(groups), slack, rollout.plan.alpha, share=share)
    left = needed - found.champion_units - found.canary_units
    if not 0.0 < left < inf:
        return ""
    digits = 1 - floor(log10(left))  # two figures: it is a forecast
    return f", about {round(left, digits):,.0f} units more to show it at {percent(share)}"
