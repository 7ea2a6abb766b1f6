"""What two arms' answers beside each other say of a bound: how long they take, and how they score.

Both take units as they were dealt, by their first answer at each share, so whatever hits both arms blames nobody.
"""

from __future__ import annotations

from fairlead.core.guard import Holds, Measured, has_company, in_shadow, percent
from fairlead.core.listing import counted
from fairlead.core.metrics import LATENCIES
from fairlead.core.rollout import Dealt, Guardrail, Plan, Rollout, latency_rule, slow_bound_ms
from fairlead.stats.sequential.scaled_latency import Timed, scaled_log_e
from fairlead.stats.sequential.score_shift import DealtCells, Shift, shift_log_e, shift_of

SHIFT = "score_shift"
_ENOUGH_ANSWERS = 100  # of which none has a score: then the model gives none
_UNMET = "no caller has met it yet, so nothing was dealt by chance"


def follows(plan: Plan) -> Guardrail | None:
    """The bound on latency whose threshold follows the champion beside the version, if the plan has one."""
    rule = latency_rule(plan)
    later = plan.edition > 2 and any(step.traffic < 1.0 for step in plan.steps)
    return rule if rule is not None and rule.relative and rule.bound > 0.0 and later else None


def followed_latency(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether it takes more than `bound` times what the champion takes, where the champion's slowest begin."""
    if in_shadow(rollout):
        return Measured(missing="a shadow answers after the caller has gone, so its latency is nobody's")
    allowed, factor = LATENCIES[rule.metric], rule.bound
    at_start = slow_bound_ms(rollout.plan, rollout.baseline)
    rows = [Timed(one.block, one.share, one.champion, one.canary) for one in _dealt(rollout, rule.metric)]
    found = scaled_log_e(rows, allowed, None if at_start is None else at_start / factor)
    (slow, units), (others_slow, others) = found.canary, found.champion
    if found.limit_ms is None:
        missing = f"the champion has not answered often enough yet to know its {rule.metric.partition('_')[0]}"
        return Measured(missing=missing, holds=Holds.UNTIL_MORE)
    if not (units and others):
        return Measured(missing=f"no {'champion' if units else 'canary'} request yet", holds=Holds.UNTIL_MORE)
    limit = f"{found.limit_ms:.4g} ms"
    sentence = (
        f"{percent(slow / units)} of the first answers to {counted(units, 'unit')} took over {factor:g} times, and of "
        f"the champion's {others:,} {percent(others_slow / others)} over what its slowest {percent(allowed)} took "
        f"just before (now {limit})"
    )
    return Measured(log_e=found.log_e, champion=others_slow / others, canary=slow / units, sentence=sentence)


def score_shift(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether its scores are further from the champion's at the same time than the bound, somewhere in their range."""
    if in_shadow(rollout):
        return Measured(missing=_UNMET)
    if not has_company(rollout.plan):
        return Measured(missing="no champion answers beside it to compare with", holds=Holds.FOR_OPERATOR)
    expected, edges = rollout.baseline.canary_cells, rollout.baseline.canary_edges
    if len(expected) < 2 or len(edges) != len(expected) - 1:
        return Measured(missing="the version has no scores of its own validation", holds=Holds.FOR_OPERATOR)
    cells = len(expected)
    groups = [
        DealtCells(one.share, _dense(one.champion, cells), _dense(one.canary, cells)) for one in _dealt(rollout, SHIFT)
    ]
    units, others = sum(sum(one.canary) for one in groups), sum(sum(one.champion) for one in groups)
    if units <= 0 or others <= 0:
        return _without_scores(rollout, "champion" if units > 0 else "canary")
    found = shift_of(groups)
    return Measured(
        log_e=shift_log_e(groups, expected, rule.bound),
        canary=abs(found.difference),
        sentence=_apart(found, edges[found.edge], units, others),
    )


def _without_scores(rollout: Rollout, arm: str) -> Measured:
    answered = max(0, rollout.seen.requests.get(arm, 0) - rollout.seen.errors.get(arm, 0))
    holds = Holds.FOR_OPERATOR if answered >= _ENOUGH_ANSWERS else Holds.UNTIL_MORE
    return Measured(missing=f"no score in {counted(answered, f'{arm} answer')}", holds=holds)


def _apart(found: Shift, edge: float, units: int, others: int) -> str:
    more = "more" if found.difference >= 0.0 else "less"
    return (
        f"{percent(abs(found.difference))} {more} of its units than of the champion's score above {edge:.3g}, over "
        f"{counted(units, 'unit')} and {others:,}"
    )


def _dealt(rollout: Rollout, metric: str) -> list[Dealt]:
    return [one for one in rollout.seen.dealt or () if one.metric == metric]


def _dense(counts: tuple[tuple[int, int], ...], cells: int) -> tuple[int, ...]:
    found = [0] * cells
    for cell, count in counts:
        if 0 <= cell < cells:
            found[cell] = max(0, count)
    return tuple(found)
