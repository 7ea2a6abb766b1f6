"""What a rollout's own requests say of a bound: failures, latency, and the distribution of scores."""

from __future__ import annotations

from fairlead.core.guard import NOBODY, Holds, Measured, candidate, failure_groups, has_company, in_shadow, percent
from fairlead.core.listing import counted
from fairlead.core.metrics import LATENCIES
from fairlead.core.rollout import Guardrail, Rollout, Units, latency_rule, slow_bound_ms
from fairlead.stats.sequential.divergence import divergence_log_e, psi_from_counts
from fairlead.stats.sequential.divergence_tilts import tilted_log_e
from fairlead.stats.sequential.failures import failure_log_e
from fairlead.stats.sequential.latency import latency_log_e
from fairlead.stats.sequential.rates import rate_log_e

# A champion without a known error rate is taken to fail this often where a plan leaves nothing to compare with, and
# one that never failed this often at least: a single error must not end a rollout.
_ASSUMED_ERROR_RATE = 0.01
_LEAST_ERROR_RATE = 0.001

# With fewer scores than the first the champion's own index says nothing, with fewer than the second it is noisy: both
# ask for more of them before anyone is blamed.
_FEW_SCORES, _ENOUGH_SCORES = 10, 200


def errors(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether it fails more often than allowed, by the first failures of units or by the first answers to them."""
    if rule.relative and rule.bound <= 0:
        return Measured(missing=f"{rule.bound:g} times the champion leaves nothing to test", holds=Holds.FOR_OPERATOR)
    if not (rule.relative and has_company(rollout.plan)):
        units = rollout.seen.units.get("version", NOBODY)
        log_e = rate_log_e(units.failed, units.asked, _error_limit(rule, rollout))
        rates = (units.failed, units.asked), _champion(rollout).failed
        return _of_units(rollout, log_e, rates, f"failed, allowed {_allowed(rule, rollout)}")
    lacking = _lacking(rollout, ("champion", candidate(rollout)))
    if lacking:
        return lacking
    log_e = failure_log_e(failure_groups(rollout, rule.metric), rule.bound - 1.0)
    return _of_requests(rollout, log_e)


def latency(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether it is slower than the bound more often than the quantile's share of requests may be."""
    first, allowed = latency_rule(rollout.plan), LATENCIES[rule.metric]
    if first is not None and rule != first:
        return Measured(missing=f"a rollout counts slow requests once, for {first.text}", holds=Holds.FOR_OPERATOR)
    bound = slow_bound_ms(rollout.plan, rollout.baseline)
    if bound is None:
        return Measured(
            missing=f"the champion's {rule.metric.partition('_')[0]} is not known", holds=Holds.FOR_OPERATOR
        )
    if in_shadow(rollout):
        return Measured(missing="a shadow answers after the caller has gone, so its latency is nobody's")
    units = rollout.seen.units.get("canary", NOBODY)
    if rule.relative and has_company(rollout.plan):
        lacking = _lacking(rollout, ("champion", "canary"))
        if lacking:
            return lacking
        log_e = latency_log_e(failure_groups(rollout, rule.metric), units.slow, units.asked, allowed)
    else:
        log_e = rate_log_e(units.slow, units.asked, allowed)
    rates = (units.slow, units.asked), _champion(rollout).slow
    return _of_units(rollout, log_e, rates, f"took over {bound:.4g} ms, allowed {percent(allowed)}")


def scores(rule: Guardrail, rollout: Rollout) -> Measured:
    """Whether its scores left the distribution that was validated, and the champion's did not."""
    base, seen = rollout.baseline, rollout.seen.scores
    counts = _sum(seen.get("shadow", ()), seen.get("canary", ()))
    cells = len(base.canary_cells)
    if rule.relative or rule.bound <= 0:
        return Measured(missing="scores are compared to a number above 0", holds=Holds.FOR_OPERATOR)
    if cells < 2 or (counts and len(counts) != cells):
        return Measured(
            missing=f"{counted(len(counts), 'score cell')} for {cells} expected ones", holds=Holds.FOR_OPERATOR
        )
    if not sum(counts):
        answered = rollout.seen.requests.get(candidate(rollout), 0) - rollout.seen.errors.get(candidate(rollout), 0)
        holds = Holds.FOR_OPERATOR if answered > 0 else Holds.UNTIL_MORE
        return Measured(missing=f"no score in {counted(max(0, answered), 'answer')}", holds=holds)
    champion = seen.get("champion", ())
    known = has_company(rollout.plan) and len(base.champion_cells) >= 2
    own = known and len(champion) == len(base.champion_cells)
    live = psi_from_counts(champion, base.champion_cells) if own else None
    psi = psi_from_counts(counts, base.canary_cells)
    beside = "" if live is None else f", the champion's {live:.2f}"
    left = divergence_log_e if rollout.plan.edition < 3 else tilted_log_e
    return Measured(
        log_e=left(counts, base.canary_cells, rule.bound),
        champion=live,
        canary=psi,
        sentence=f"score psi {psi:.2f} over {counted(sum(counts), 'score')}{beside}",
        champion_log_e=left(champion, base.champion_cells, rule.bound) if own else None,
        champion_moved=_moved(live, sum(champion), rule.bound) if known else Holds.NO,
    )


def _moved(psi: float | None, scores: int, bound: float) -> Holds:
    if psi is None or scores < _FEW_SCORES:
        return Holds.UNTIL_MORE
    if psi <= bound:
        return Holds.NO
    return Holds.AT_ONCE if scores >= _ENOUGH_SCORES else Holds.UNTIL_MORE


def _error_limit(rule: Guardrail, rollout: Rollout) -> float:
    if not rule.relative:
        return rule.bound
    known = rollout.baseline.champion_error_rate
    return rule.bound * (_ASSUMED_ERROR_RATE if known is None else max(known, _LEAST_ERROR_RATE))


def _allowed(rule: Guardrail, rollout: Rollout) -> str:
    allowed = percent(_error_limit(rule, rollout))
    unknown = rule.relative and rollout.baseline.champion_error_rate is None
    return f"{allowed} (the champion's rate is not known and taken as 1 %)" if unknown else allowed


def _lacking(rollout: Rollout, arms: tuple[str, ...]) -> Measured | None:
    empty = [arm for arm in arms if not rollout.seen.requests.get(arm)]
    return Measured(missing=f"no {empty[0]} request yet", holds=Holds.UNTIL_MORE) if empty else None


def _champion(rollout: Rollout) -> Units:
    return rollout.seen.units.get("champion", NOBODY)


def _of_requests(rollout: Rollout, log_e: float) -> Measured:
    asked, failed, arm = rollout.seen.requests, rollout.seen.errors, candidate(rollout)
    champion, canary = failed.get("champion", 0) / asked["champion"], failed.get(arm, 0) / asked[arm]
    beside = f"of the champion's {asked['champion']:,} {percent(champion)}"
    sentence = f"{percent(canary)} of {counted(asked[arm], f'{arm} request')} failed; {beside}"
    return Measured(log_e=log_e, champion=champion, canary=canary, sentence=sentence)


def _of_units(rollout: Rollout, log_e: float, rates: tuple[tuple[int, int], int], what: str) -> Measured:
    """`rates` are (events, units) of the new version, and the champion's events."""
    (events, units), others = rates
    if not units:
        return Measured(missing=f"no {candidate(rollout)} request yet", holds=Holds.UNTIL_MORE)
    asked = _champion(rollout).asked
    champion = others / asked if asked else None
    beside = "" if champion is None else f"; of the champion's {asked:,} {percent(champion)}"
    sentence = f"{percent(events / units)} of the first answers to {counted(units, 'unit')} {what}{beside}"
    return Measured(log_e=log_e, champion=champion, canary=events / units, sentence=sentence)


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if len(a) == len(b) else a or b
