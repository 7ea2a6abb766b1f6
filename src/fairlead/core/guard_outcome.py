"""What outcomes say of a bound: is the version right as often, and does it rank as well, as the champion beside it?

accuracy  units whose answer was the class that came true
brier     (probability - truth)^2 of models of two classes
mae       |prediction - truth| of models that predict a number
auroc     of pairs of two units of one arm, of which one came true: whether that one scored higher (a tie is a half)

A unit counts by its first answer at each share, once the outcome of that answer is known. Its arm was drawn with the
probability `share`, and its outcome knows nothing of that, so `stats.sequential.dealt_values` serves: exact at every
look for values in [0, 1], whatever a week does to both arms.

**Pairs** are formed without looking at the arms: in the order in which outcomes came, the k-th unit that came true with
the k-th that did not. Where both happen to be on one arm, that is the canary with the probability
share^2 / (share^2 + (1 - share)^2): a pair is dealt like a unit. The mean of a pair's value is the arm's AUROC. Pairs
across the arms say nothing, which makes it slow at a small share: at 5 % one pair in 400 is the canary's.

What breaks it is an outcome that is learnt of one arm more often than of the other (of loans that were granted, say):
the arms' parts of the labelled units are not the planned ones then. Two things guard against that. The evidence must
hold under the parts that were planned and under those that were found (it is the lesser of the two, so still an
e-value); and where the parts are surely not the planned ones nothing is compared, and an operator is asked.
"""

from __future__ import annotations

from math import log

from msgspec import structs

from fairlead.core.guard import Holds, Measured, amount, in_shadow, percent
from fairlead.core.guard_values import asks, more
from fairlead.core.listing import counted
from fairlead.core.metrics import metric
from fairlead.core.rollout import Guardrail, Rollout
from fairlead.stats.sequential.dealt_values import DealtUnits, Means, falls_log_e, means, rises_log_e
from fairlead.stats.sequential.sample_ratio import sample_ratio_log_e

PAIRS = "auroc"
OF_TWO_CLASSES = ("auroc", "brier")
LEAST_LABELLED = 30  # of the canary's units: with fewer nothing is passed
_PRIOR = 100.0  # labelled units that the planned parts count for, against others


def pair_share(share: float) -> float:
    """How probable the canary is for a pair of units of one arm.

    >>> pair_share(0.5), round(pair_share(0.1), 4)
    (0.5, 0.0122)
    """
    both, neither = share * share, (1.0 - share) * (1.0 - share)
    return round(both / (both + neither), 12)


def outcomes(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether the version's answers turn out worse than the bound on the champion's allows."""
    if in_shadow(rollout):
        return Measured(missing="no caller has met it yet, so no outcome is of its answers")
    if not any(step.traffic < 1.0 for step in rollout.plan.steps):
        return Measured(missing="no champion answers beside it to compare with", holds=Holds.FOR_OPERATOR)
    if rule.metric in OF_TWO_CLASSES and not rollout.baseline.positive:
        return Measured(missing=f"{rule.metric} is of models of two classes", holds=Holds.FOR_OPERATOR)
    groups = [
        DealtUnits(one.share, one.champion, one.canary)
        for one in rollout.seen.values or ()
        if one.metric == rule.metric
    ]
    found = means(groups)
    if found.champion is None or found.canary is None:
        return _early(rule, rollout, found)
    fault = _uneven(rule, rollout, groups)
    return Measured(missing=fault, holds=Holds.FOR_OPERATOR) if fault else _compared(rule, rollout, groups, found)


def _early(rule: Guardrail, rollout: Rollout, found: Means) -> Measured:
    """Nothing to compare yet. A pair of a small canary's is so rare that a small step does not wait for it."""
    asked = max(0, rollout.seen.requests.get("canary", 0))
    known = found.champion_units + found.canary_units
    what = "pair" if rule.metric == PAIRS else "unit"
    of_whom = f"{counted(known, f'labelled {what}')}, and none of {'the canary' if known else 'both arms'}"
    missing = f"not enough data yet: {of_whom}, whose answers to {counted(asked, 'request')} wait for their outcomes"
    rare = rule.metric == PAIRS and found.champion_units > 0
    return Measured(missing=missing, holds=asks(rollout) if rare else Holds.UNTIL_MORE)


def _uneven(rule: Guardrail, rollout: Rollout, groups: list[DealtUnits]) -> str:
    """Why the arms cannot be compared: outcomes come for one of them more often; nothing where they can."""
    log_e = 0.0
    for group in groups:
        one = means([group])
        counts = [max(0, one.champion_units), max(0, one.canary_units)]
        if 0.0 < group.share < 1.0 and any(counts):
            log_e += sample_ratio_log_e(counts, (1.0 - group.share, group.share), _PRIOR)
    if log_e < log(1.0 / rollout.plan.alpha):
        return ""
    found = means(groups)
    part = found.canary_units / (found.canary_units + found.champion_units)
    return (
        f"outcomes come for one arm more often than for the other ({percent(part)} of those known are the canary's, "
        f"evidence e^{log_e:.1f}), so {rule.metric} compares different units"
    )


def _compared(rule: Guardrail, rollout: Rollout, groups: list[DealtUnits], found: Means) -> Measured:
    harm, kept = (falls_log_e, rises_log_e) if rule.lower else (rises_log_e, falls_log_e)
    pairs = rule.metric == PAIRS
    few = not pairs and found.canary_units < LEAST_LABELLED
    ways = groups, [_as_found(group) for group in groups]
    proof, evidence = (min(of(way, rule.bound, rule.margin) for way in ways) for of in (kept, harm))
    shown = not few and proof >= log(1.0 / rollout.plan.alpha)
    sentence = _sentence(rule, found)
    if few:
        sentence = f"not enough data yet: {sentence}, and {LEAST_LABELLED} labelled units of the canary's are asked for"
    return Measured(
        log_e=evidence,
        champion=found.champion,
        canary=found.canary,
        sentence=sentence if shown or few or pairs else sentence + more(rule, rollout, groups, found),
        holds=Holds.UNTIL_MORE if few else asks(rollout),
        shown=shown,
    )


def _as_found(group: DealtUnits) -> DealtUnits:
    """The group with the part that the canary has of those whose outcomes are known."""
    one = means([group])
    champion, canary = max(0, one.champion_units), max(0, one.canary_units)
    return structs.replace(group, share=canary / (champion + canary)) if champion and canary else group


def _sentence(rule: Guardrail, found: Means) -> str:
    told = percent if metric(rule.metric).unit == "share" else amount
    canary, champion = told(found.canary or 0.0), told(found.champion or 0.0)
    what = counted(found.canary_units, "pair" if rule.metric == PAIRS else "labelled unit")
    return f"{rule.metric} {canary} over {what}, the champion's {champion} over {found.champion_units:,}"
