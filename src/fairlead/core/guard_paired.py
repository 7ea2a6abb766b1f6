"""What the shadow phase says of a bound: both versions answer the same requests, so their decisions are compared."""

from __future__ import annotations

from fairlead.core.guard import Holds, Measured, in_shadow, percent
from fairlead.core.listing import counted
from fairlead.core.rollout import Guardrail, Paired, Rollout
from fairlead.stats.intervals import rate_sequence
from fairlead.stats.sequential.rates import rate_log_e


def flip_rate(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether the version decides otherwise than the champion for more units than allowed, by their first request.

    Shown to be kept is what the confidence sequence of the rate holds below the bound.
    """
    plan = rollout.plan
    if plan.shadow is None:
        missing = "the plan has no shadow phase, in which both answer: write rollout.shadow: {for: 1h, at_least: 1000}"
        return Measured(missing=missing, holds=Holds.FOR_OPERATOR)
    found = everybody(rollout)
    if found.units <= 0:
        holds = Holds.UNTIL_MORE if in_shadow(rollout) else Holds.FOR_OPERATOR
        return Measured(missing="no request was answered by both yet", holds=holds)
    flips = max(0, min(found.flips, found.units))
    high = rate_sequence(flips, found.units, plan.alpha)[1]
    return Measured(
        log_e=rate_log_e(flips, found.units, rule.bound),
        canary=flips / found.units,
        sentence=f"decided otherwise for {percent(flips / found.units)} of {counted(found.units, 'unit')}",
        # Once it was left the shadow phase adds nothing: what was passed stays passed.
        holds=Holds.UNTIL_MORE if in_shadow(rollout) else Holds.NO,
        shown=high <= rule.bound,
    )


def everybody(rollout: Rollout) -> Paired:
    """The pairs of all segments together."""
    return next((one for one in rollout.seen.paired or () if not one.segment), Paired())
