"""Guardrails: what the evidence of a rollout says of each bound, with the figures.

Four answers keep a reading from being safe: it is broken; it is half-way to broken, so exposure does not grow; it
cannot be measured; or it is broken on the champion too, so the traffic changed and not the version.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import log

from msgspec import Struct

from fairlead.core.arms import Among
from fairlead.core.listing import counted
from fairlead.core.rollout import Call, Guardrail, Phase, Plan, Reading, Rollout, Units, slow_bound_ms
from fairlead.core.split import By
from fairlead.stats.sequential.divergence import divergence_log_e, psi_from_counts
from fairlead.stats.sequential.failures import failure_log_e
from fairlead.stats.sequential.latency import SLOW_SHARE, latency_log_e
from fairlead.stats.sequential.rates import rate_log_e
from fairlead.stats.sequential.sample_ratio import sample_ratio_log_e

# A champion without a known error rate is taken to fail this often where a plan leaves nothing to compare with, and
# one that never failed this often at least: a single error must not end a rollout.
_ASSUMED_ERROR_RATE = 0.01
_LEAST_ERROR_RATE = 0.001

# With fewer scores than the first the champion's own index says nothing, with fewer than the second it is noisy: both
# ask for more of them before anyone is blamed.
_FEW_SCORES, _ENOUGH_SCORES = 10, 200

_NOBODY = Units()

RATIO = "units as the split says"

TRAFFIC_CHANGED = "the champion's scores moved too: the traffic changed, not the version"


class Holds(Enum):
    """Whether a reading keeps a rollout where it is."""

    NO = 0
    UNTIL_MORE = 1  # more evidence will tell
    FOR_OPERATOR = 2  # more evidence will not tell: once the step has had its time, a person must
    AT_ONCE = 3  # as FOR_OPERATOR, without waiting for the step's time


class Finding(Struct, frozen=True):
    """A reading, whether it holds the rollout, and the champion's own largest ln E where it has one."""

    reading: Reading
    holds: Holds = Holds.NO
    champion_peak: float | None = None


class _Measured(Struct, frozen=True):
    """What a metric's measure found. `missing` says why there is no evidence; `sentence` gives the figures."""

    log_e: float = 0.0
    champion: float | None = None
    canary: float | None = None
    sentence: str = ""
    missing: str = ""
    holds: Holds = Holds.NO
    champion_log_e: float | None = None
    champion_moved: Holds = Holds.NO  # what the champion's own figure asks for, should the version break


def threshold(plan: Plan) -> float:
    """ln(guardrails / alpha): each guardrail spends its part of the budget of false rollbacks."""
    return log(max(1, len(plan.guardrails)) / plan.alpha)


def judge(rollout: Rollout) -> tuple[Finding, ...]:
    """A finding for every guardrail of the plan, from all that was seen since the rollout began."""
    if rollout.plan.split.clusters:
        return tuple(_clustered(rule, rollout) for rule in rollout.plan.guardrails)
    found = tuple(_finding(rule, rollout) for rule in rollout.plan.guardrails)
    return found if rollout.plan.among is None else (*found, *_ratio(rollout, rollout.plan.among))


def champion_key(guardrail: str) -> str:
    """Where `Rollout.peaks` keeps the champion's own largest ln E of a guardrail."""
    return f"{guardrail} (champion)"


def in_shadow(rollout: Rollout) -> bool:
    """Whether the version answers unseen, or is held while it does."""
    return Phase.SHADOW in (rollout.phase, rollout.held_in)


def has_company(plan: Plan) -> bool:
    """Whether the champion answers beside the new version at some point of the plan."""
    return plan.shadow is not None or any(step.traffic < 1.0 for step in plan.steps)


def candidate(rollout: Rollout) -> str:
    """The arm under which the new version answers now."""
    return "shadow" if in_shadow(rollout) else "canary"


def failure_groups(rollout: Rollout, metric: str) -> list[tuple[float, int, int]]:
    """Units by their first failure as (share, champion, canary), those of the shadow phase included.

    In the shadow phase both versions answer a unit's requests, so where one alone fails first it is the shadow with
    probability 1/2 under equal rates. The champion's side also holds requests that it failed and of which no shadow was
    asked, which only lowers the evidence.
    """
    found = [(group.share, group.champion, group.canary) for group in rollout.seen.failures if group.metric == metric]
    shadow = rollout.seen.shadow
    if metric == "error_rate" and (shadow.served_failed or shadow.shadow_failed):
        found.append((0.5, shadow.served_failed, shadow.shadow_failed))
    return found


def percent(value: float) -> str:
    """A share for a sentence, with three figures.

    >>> percent(0.0123), percent(0.5), percent(0.0)
    ('1.23 %', '50 %', '0 %')
    """
    return f"{100 * value:.3g} %"


def _clustered(rule: Guardrail, rollout: Rollout) -> Finding:
    """No verdict: the tests take units as dealt one by one, and would be sure of what is one cluster's luck."""
    by = rollout.plan.split.by.value
    reason = f"unmeasured: the split is by cluster ({by}), and this test takes units as dealt one by one"
    limit = round(threshold(rollout.plan), 6)
    return Finding(Reading(rule.text, rule.metric, Call.NOT_YET, 0.0, 0.0, limit, None, None, reason))


def _ratio(rollout: Rollout, among: Among) -> tuple[Finding, ...]:
    """Whether the arm and the champion got the units that the split says. A mismatch is nobody's harm, but what is
    compared then is not what was planned: a person must look. Left out where a unit can meet both."""
    split = rollout.plan.split
    if split.by is not By.UNIT or split.explore:
        return ()
    odds = among.odds(rollout.version)
    counts = [rollout.seen.units.get(arm, _NOBODY).asked for arm in ("champion", "canary")]
    log_e = round(sample_ratio_log_e([max(0, count) for count in counts], (1.0 - odds, odds)), 6)
    peak, limit = max(log_e, rollout.peaks.get(RATIO, 0.0)), log(1.0 / rollout.plan.alpha)
    units = sum(counts)
    got = counts[1] / units if units else None
    said = "no unit yet" if got is None else f"{percent(got)} of {counted(units, 'unit')}, planned {percent(odds)}"
    reason, holds, call = f"{said}; evidence e^{log_e:.1f} of e^{limit:.1f}", Holds.NO, Call.SAFE
    if peak >= limit:
        reason, holds, call = f"mismatch: {said}; evidence e^{peak:.1f} over e^{limit:.1f}", Holds.AT_ONCE, Call.NOT_YET
        if RATIO in rollout.waived:
            reason, holds = f"{reason}; an operator went on without it", Holds.NO
    reading = Reading(RATIO, "sample_ratio", call, log_e, peak, round(limit, 6), None, got, reason)
    return (Finding(reading, holds),)


def _finding(rule: Guardrail, rollout: Rollout) -> Finding:
    measured = _MEASURES.get(rule.metric, _unknown)(rule, rollout)
    limit = threshold(rollout.plan)
    # Six decimals: more would tie a journal's replay to one machine's last bits of exp and log.
    log_e = round(measured.log_e, 6)
    peak = max(log_e, rollout.peaks.get(rule.text, 0.0))
    champion_peak = None
    if measured.champion_log_e is not None:
        champion_peak = max(round(measured.champion_log_e, 6), rollout.peaks.get(champion_key(rule.text), 0.0))
    call, holds, reason = _call(measured, (log_e, peak, champion_peak or 0.0), limit)
    if holds in (Holds.FOR_OPERATOR, Holds.AT_ONCE) and rule.text in rollout.waived:
        holds, reason = Holds.NO, f"{reason}; an operator went on without it"
    reading = Reading(
        guardrail=rule.text,
        metric=rule.metric,
        call=call,
        log_e=log_e,
        log_e_max=peak,
        threshold_log_e=round(limit, 6),
        champion=measured.champion,
        canary=measured.canary,
        reason=reason,
    )
    return Finding(reading, holds, champion_peak)


def _call(measured: _Measured, evidence: tuple[float, float, float], limit: float) -> tuple[Call, Holds, str]:
    log_e, peak, champion_peak = evidence
    if measured.missing:
        return Call.NOT_YET, measured.holds, f"unmeasured: {measured.missing}"
    if peak >= limit:
        reason = f"{measured.sentence}; evidence e^{peak:.1f} over e^{limit:.1f}"
        # The champion needs less to count as moved: blaming a version for its traffic is the error to avoid.
        if champion_peak >= limit / 2 or measured.champion_moved is Holds.AT_ONCE:
            reason = f"{TRAFFIC_CHANGED} ({reason}, the champion's own e^{champion_peak:.1f})"
            return Call.NOT_YET, Holds.AT_ONCE, reason
        if measured.champion_moved is Holds.UNTIL_MORE:
            return (
                Call.NOT_YET,
                Holds.UNTIL_MORE,
                f"the champion's scores may have moved too: {reason}",
            )
        return Call.REGRESS, Holds.NO, f"broken: {reason}"
    reason = f"{measured.sentence}; evidence e^{log_e:.1f} of e^{limit:.1f}"
    if log_e >= limit / 2:
        return Call.NOT_YET, Holds.UNTIL_MORE, f"evidence is building: {reason}"
    return Call.SAFE, Holds.NO, reason


def _unknown(rule: Guardrail, _: Rollout) -> _Measured:
    return _Measured(missing=f"a rollout does not measure {rule.metric}", holds=Holds.FOR_OPERATOR)


def _errors(rule: Guardrail, rollout: Rollout) -> _Measured:
    if rule.relative and rule.bound <= 0:
        return _Measured(missing=f"{rule.bound:g} times the champion leaves nothing to test", holds=Holds.FOR_OPERATOR)
    if not (rule.relative and has_company(rollout.plan)):
        units = rollout.seen.units.get("version", _NOBODY)
        log_e = rate_log_e(units.failed, units.asked, _error_limit(rule, rollout))
        rates = (units.failed, units.asked), _champion(rollout).failed
        return _of_units(rollout, log_e, rates, f"failed, allowed {_allowed(rule, rollout)}")
    lacking = _lacking(rollout, ("champion", candidate(rollout)))
    if lacking:
        return lacking
    log_e = failure_log_e(failure_groups(rollout, rule.metric), rule.bound - 1.0)
    return _of_requests(rollout, log_e)


def _latency(rule: Guardrail, rollout: Rollout) -> _Measured:
    first = next(other for other in rollout.plan.guardrails if other.metric == rule.metric)
    if rule != first:
        return _Measured(missing=f"a rollout counts slow requests once, for {first.text}", holds=Holds.FOR_OPERATOR)
    bound = slow_bound_ms(rollout.plan, rollout.baseline)
    if bound is None:
        return _Measured(missing="the champion's p99 is not known", holds=Holds.FOR_OPERATOR)
    if in_shadow(rollout):
        return _Measured(missing="a shadow answers after the caller has gone, so its latency is nobody's")
    units = rollout.seen.units.get("canary", _NOBODY)
    if rule.relative and has_company(rollout.plan):
        lacking = _lacking(rollout, ("champion", "canary"))
        if lacking:
            return lacking
        log_e = latency_log_e(failure_groups(rollout, rule.metric), units.slow, units.asked)
    else:
        log_e = rate_log_e(units.slow, units.asked, SLOW_SHARE)
    rates = (units.slow, units.asked), _champion(rollout).slow
    return _of_units(rollout, log_e, rates, f"took over {bound:.4g} ms, allowed 1 %")


def _scores(rule: Guardrail, rollout: Rollout) -> _Measured:
    base, seen = rollout.baseline, rollout.seen.scores
    counts = _sum(seen.get("shadow", ()), seen.get("canary", ()))
    cells = len(base.canary_cells)
    if rule.relative or rule.bound <= 0:
        return _Measured(missing="scores are compared to a number above 0", holds=Holds.FOR_OPERATOR)
    if cells < 2 or (counts and len(counts) != cells):
        return _Measured(
            missing=f"{counted(len(counts), 'score cell')} for {cells} expected ones", holds=Holds.FOR_OPERATOR
        )
    if not sum(counts):
        answered = rollout.seen.requests.get(candidate(rollout), 0) - rollout.seen.errors.get(candidate(rollout), 0)
        holds = Holds.FOR_OPERATOR if answered > 0 else Holds.UNTIL_MORE
        return _Measured(missing=f"no score in {counted(max(0, answered), 'answer')}", holds=holds)
    champion = seen.get("champion", ())
    known = has_company(rollout.plan) and len(base.champion_cells) >= 2
    own = known and len(champion) == len(base.champion_cells)
    live = psi_from_counts(champion, base.champion_cells) if own else None
    psi = psi_from_counts(counts, base.canary_cells)
    beside = "" if live is None else f", the champion's {live:.2f}"
    return _Measured(
        log_e=divergence_log_e(counts, base.canary_cells, rule.bound),
        champion=live,
        canary=psi,
        sentence=f"score psi {psi:.2f} over {counted(sum(counts), 'score')}{beside}",
        champion_log_e=divergence_log_e(champion, base.champion_cells, rule.bound) if own else None,
        champion_moved=_moved(live, sum(champion), rule.bound) if known else Holds.NO,
    )


def _moved(psi: float | None, scores: int, bound: float) -> Holds:
    if psi is None or scores < _FEW_SCORES:
        return Holds.UNTIL_MORE
    if psi <= bound:
        return Holds.NO
    return Holds.AT_ONCE if scores >= _ENOUGH_SCORES else Holds.UNTIL_MORE


_MEASURES: dict[str, Callable[[Guardrail, Rollout], _Measured]] = {
    "error_rate": _errors,
    "p99_latency": _latency,
    "prediction_psi": _scores,
}


def _error_limit(rule: Guardrail, rollout: Rollout) -> float:
    if not rule.relative:
        return rule.bound
    known = rollout.baseline.champion_error_rate
    return rule.bound * (_ASSUMED_ERROR_RATE if known is None else max(known, _LEAST_ERROR_RATE))


def _allowed(rule: Guardrail, rollout: Rollout) -> str:
    allowed = percent(_error_limit(rule, rollout))
    unknown = rule.relative and rollout.baseline.champion_error_rate is None
    return f"{allowed} (the champion's rate is not known and taken as 1 %)" if unknown else allowed


def _lacking(rollout: Rollout, arms: tuple[str, ...]) -> _Measured | None:
    empty = [arm for arm in arms if not rollout.seen.requests.get(arm)]
    return _Measured(missing=f"no {empty[0]} request yet", holds=Holds.UNTIL_MORE) if empty else None


def _champion(rollout: Rollout) -> Units:
    return rollout.seen.units.get("champion", _NOBODY)


def _of_requests(rollout: Rollout, log_e: float) -> _Measured:
    asked, failed, arm = rollout.seen.requests, rollout.seen.errors, candidate(rollout)
    champion, canary = failed.get("champion", 0) / asked["champion"], failed.get(arm, 0) / asked[arm]
    beside = f"of the champion's {asked['champion']:,} {percent(champion)}"
    sentence = f"{percent(canary)} of {counted(asked[arm], f'{arm} request')} failed; {beside}"
    return _Measured(log_e=log_e, champion=champion, canary=canary, sentence=sentence)


def _of_units(rollout: Rollout, log_e: float, rates: tuple[tuple[int, int], int], what: str) -> _Measured:
    """`rates` are (events, units) of the new version, and the champion's events."""
    (events, units), others = rates
    if not units:
        return _Measured(missing=f"no {candidate(rollout)} request yet", holds=Holds.UNTIL_MORE)
    asked = _champion(rollout).asked
    champion = others / asked if asked else None
    beside = "" if champion is None else f"; of the champion's {asked:,} {percent(champion)}"
    sentence = f"{percent(events / units)} of the first answers to {counted(units, 'unit')} {what}{beside}"
    return _Measured(log_e=log_e, champion=champion, canary=events / units, sentence=sentence)


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True)) if len(a) == len(b) else a or b
