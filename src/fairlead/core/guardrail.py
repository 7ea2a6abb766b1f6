"""Guardrails: what the evidence of a rollout says of each bound, with the figures.

Five answers keep a reading from being safe: it is broken; it is half-way to broken, so exposure does not grow; it
cannot be measured; it is broken on the champion too, so the traffic changed and not the version; or, for what must be
shown to be kept, it is not shown yet.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

from msgspec import Struct

from fairlead.core.arms import Among
from fairlead.core.guard import NOBODY, Holds, Measured, percent, threshold
from fairlead.core.guard_dealt import followed_latency, follows, score_shift
from fairlead.core.guard_outcome import outcomes
from fairlead.core.guard_paired import flip_rate
from fairlead.core.guard_service import errors, latency, scores
from fairlead.core.guard_values import values
from fairlead.core.listing import counted
from fairlead.core.metrics import OUTCOMES, is_event
from fairlead.core.rollout import Call, Guardrail, Reading, Rollout
from fairlead.core.split import By
from fairlead.stats.sequential.sample_ratio import sample_ratio_log_e

RATIO = "units as the split says"

TRAFFIC_CHANGED = "the champion's scores moved too: the traffic changed, not the version"


class Finding(Struct, frozen=True):
    """A reading, whether it holds the rollout, and the champion's own largest ln E where it has one."""

    reading: Reading
    holds: Holds = Holds.NO
    champion_peak: float | None = None


def judge(rollout: Rollout) -> tuple[Finding, ...]:
    """A finding for every guardrail of the plan, from all that was seen since the rollout began."""
    if rollout.plan.split.clusters:
        return tuple(_clustered(rule, rollout) for rule in rollout.plan.guardrails)
    found = tuple(_finding(rule, rollout) for rule in rollout.plan.guardrails)
    return found if rollout.plan.among is None else (*found, *_ratio(rollout, rollout.plan.among))


def champion_key(guardrail: str) -> str:
    """Where `Rollout.peaks` keeps the champion's own largest ln E of a guardrail."""
    return f"{guardrail} (champion)"


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
    counts = [rollout.seen.units.get(arm, NOBODY).asked for arm in ("champion", "canary")]
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
    measured = _measure(rule, rollout)
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


def _call(measured: Measured, evidence: tuple[float, float, float], limit: float) -> tuple[Call, Holds, str]:
    log_e, peak, champion_peak = evidence
    if measured.missing:
        return Call.NOT_YET, measured.holds, f"unmeasured: {measured.missing}"
    if peak >= limit:
        return _over(measured, peak, champion_peak, limit)
    reason = f"{measured.sentence}; evidence e^{log_e:.1f} of e^{limit:.1f}"
    if log_e >= limit / 2:
        return Call.NOT_YET, Holds.UNTIL_MORE, f"evidence is building: {reason}"
    if not measured.shown:
        return Call.NOT_YET, measured.holds, f"not shown yet to be kept: {reason}"
    return Call.SAFE, Holds.NO, reason


def _over(measured: Measured, peak: float, champion_peak: float, limit: float) -> tuple[Call, Holds, str]:
    """The evidence has crossed its threshold: the version's doing, or the traffic's."""
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


_MEASURES: dict[str, Callable[[Guardrail, Rollout], Measured]] = {
    "error_rate": errors,
    "p99_latency": latency,
    "prediction_psi": scores,
}
# What later plans measure beside these; any other name is that of a business event.
_LATER: dict[str, Callable[[Guardrail, Rollout], Measured]] = {
    "flip_rate": flip_rate,
    "p50_latency": latency,
    "p95_latency": latency,
    "score_shift": score_shift,
    **dict.fromkeys(OUTCOMES, outcomes),
}


def _measure(rule: Guardrail, rollout: Rollout) -> Measured:
    if rule == follows(rollout.plan):
        return followed_latency(rule, rollout)
    measure, edition = _MEASURES.get(rule.metric), rollout.plan.edition
    if measure is None and edition >= 2:
        measure = values if is_event(rule.metric, edition) else _LATER.get(rule.metric)
    if measure is None:
        return Measured(missing=f"a rollout does not measure {rule.metric}", holds=Holds.FOR_OPERATOR)
    return measure(rule, rollout)
