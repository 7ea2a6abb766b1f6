"""The whole decision of a rollout: pass on, wait, hold, or roll back.

    regress                            rolled back, at once, from any phase; held where the plan is not automatic
    traffic changed                    held for an operator, at once
    time or requests not reached       waits; at the deadline the plan says what happens
    reached, evidence building         waits
    reached, something unmeasured      held for an operator: what was not measured did not pass
    reached, all else                  the next step, or promoted after the last

Every look may be the last: the evidence is valid at all of them together (`stats.sequential`).
"""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct, structs

from fairlead.core.event import canonical
from fairlead.core.evidence import merge
from fairlead.core.forecast import demands, forecast
from fairlead.core.guard import Holds, in_shadow, percent
from fairlead.core.guardrail import Finding, champion_key, judge
from fairlead.core.listing import counted
from fairlead.core.rollout import (
    Call,
    Decision,
    Evidence,
    Phase,
    Rollout,
    share_of,
)
from fairlead.errors import Refused

OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)
CONTROLLER = "the controller"  # who asks where no operator does
_PERSON = (Holds.FOR_OPERATOR, Holds.AT_ONCE)


class _Move(Struct, frozen=True):
    """Where a rollout goes, and why."""

    phase: Phase
    call: Call
    reason: str
    step: int
    guardrail: str | None = None


def advance(rollout: Rollout, evidence: Evidence, now: float) -> tuple[Rollout, Decision]:
    """The rollout after some more evidence, and what was decided. Pure; a rollout that is over stays as it is.

    `evidence` is what was added since the last look, `now` seconds since 1970 UTC. The readings depend only on the
    sum of all evidence, so it does not matter how the looks cut it up; only that each cut is a chance to act.
    """
    if rollout.phase in OVER:
        call = Call.SAFE if rollout.phase is Phase.PROMOTED else Call.REGRESS
        over = f"version {rollout.version} is already {rollout.phase.value.replace('_', ' ')}"
        settled = _decision(rollout, rollout, (), now, _Move(rollout.phase, call, over, rollout.step))
        return rollout, structs.replace(settled, evidence=_digest(evidence))
    state = _absorb(rollout, evidence)
    findings = judge(state)
    state = structs.replace(state, peaks=_peaks(state, findings))
    move = _move(state, findings, now)
    after = _apply(state, move, now)
    return after, structs.replace(_decision(state, after, findings, now, move), evidence=_digest(evidence))


def apply_operator(rollout: Rollout, verb: str, now: float, reason: str = "", by: str = "") -> tuple[Rollout, Decision]:
    """The rollout after an operator's promote, pause, resume, abort or rollback, and the decision that records it.

    `by` says who asked where no operator did, such as `CONTROLLER`. Raises `Refused` for what makes no sense where the
    rollout stands, naming what would.
    """
    move = _asked(rollout, verb, f"{by or 'an operator'} asked to {verb}" + (f": {reason}" if reason else ""))
    findings = () if rollout.phase in OVER else judge(rollout)
    if verb == "resume":
        rollout = structs.replace(rollout, waived=_waived(rollout, findings))
        findings = judge(rollout)
    move = structs.replace(move, call=_overall(findings))
    after = _apply(rollout, move, now)
    return after, _decision(rollout, after, findings, now, move)


def _waived(rollout: Rollout, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """The guardrails that no longer hold: all that ask for a person, if one of them is why the rollout was held."""
    asking = {finding.reading.guardrail for finding in findings if finding.holds in _PERSON}
    if rollout.held.startswith(f"{by_hand(rollout)}: "):
        return tuple(sorted({*rollout.waived, by_hand(rollout)}))
    named = any(rollout.held.startswith(f"{guardrail}: ") for guardrail in asking)
    return tuple(sorted({*rollout.waived, *asking})) if named else rollout.waived


def _absorb(rollout: Rollout, evidence: Evidence) -> Rollout:
    added = evidence.shadow.pairs if in_shadow(rollout) else evidence.requests.get("canary", 0)
    requests = max(0, rollout.step_requests + added)
    return structs.replace(rollout, seen=merge(rollout.seen, evidence), step_requests=requests)


def _peaks(rollout: Rollout, findings: tuple[Finding, ...]) -> dict[str, float]:
    peaks = dict(rollout.peaks)
    for finding in findings:
        peaks[finding.reading.guardrail] = finding.reading.log_e_max
        if finding.champion_peak is not None:
            peaks[champion_key(finding.reading.guardrail)] = finding.champion_peak
    return peaks


def _move(rollout: Rollout, findings: tuple[Finding, ...], now: float) -> _Move:
    stay = _Move(rollout.phase, Call.NOT_YET, rollout.held, rollout.step)
    urgent = _urgent(rollout, findings, stay)
    if urgent is not None:
        return urgent
    if rollout.plan.among is not None:
        return structs.replace(stay, reason=_standing(rollout, findings))
    lacking = _lacking(rollout, now)
    unmeasured = _first(findings, Holds.FOR_OPERATOR)
    if not lacking and unmeasured:
        return structs.replace(stay, phase=Phase.HELD, reason=unmeasured)
    waits = lacking or _first(findings, Holds.UNTIL_MORE)
    if not waits:
        return _onward(rollout, now)
    return _at_deadline(rollout, stay, waits) if _overdue(rollout, now) else structs.replace(stay, reason=waits)


def _standing(rollout: Rollout, findings: tuple[Finding, ...]) -> str:
    """An arm of an A/B rollout keeps its share until a person decides, whatever is not known."""
    kept = f"the arm keeps {percent(share_of(rollout))} until an operator promotes or aborts it"
    unknown = _first(findings, Holds.FOR_OPERATOR) or _first(findings, Holds.UNTIL_MORE)
    if unknown:
        return f"{kept}; {unknown}"
    seen = counted(rollout.seen.requests.get("canary", 0), "request")
    judged = "nothing is judged" if rollout.plan.split.clusters else "no guardrail was broken"
    return f"{kept}; {seen} so far, and {judged}"


def _urgent(rollout: Rollout, findings: tuple[Finding, ...], stay: _Move) -> _Move | None:
    """What needs no time and no number of requests, if any of it is the case."""
    if rollout.champion is None:
        reason = "it is the first version, so there is no champion to compare it with"
        return structs.replace(stay, phase=Phase.PROMOTED, call=Call.SAFE, reason=reason)
    broken = [finding.reading for finding in findings if finding.reading.call is Call.REGRESS]
    if broken:
        first = max(broken, key=lambda reading: reading.log_e_max)
        reason = f"{first.guardrail} is {first.reason}"
        if not rollout.plan.automatic:
            reason = f"{reason}; this plan does not roll back by itself: promote or abort it"
            return _Move(Phase.HELD, Call.REGRESS, reason, rollout.step, first.guardrail)
        return _Move(Phase.ROLLED_BACK, Call.REGRESS, reason, rollout.step, first.guardrail)
    if rollout.phase is Phase.HELD:
        return stay
    changed = _first(findings, Holds.AT_ONCE)
    return structs.replace(stay, phase=Phase.HELD, reason=changed) if changed else None


def by_hand(rollout: Rollout) -> str:
    """What a rollout is held for at a step that a person must let it leave; `Rollout.waived` keeps that one did."""
    return f"step {rollout.step + 1} is left by hand"


def _first(findings: tuple[Finding, ...], holds: Holds) -> str:
    held = (finding.reading for finding in findings if finding.holds is holds)
    return next((f"{reading.guardrail}: {reading.reason}" for reading in held), "")


def _lacking(rollout: Rollout, now: float) -> str:
    """What the present phase or step still asks for; nothing when it has had its time and its requests."""
    seconds, requests = demands(rollout)
    elapsed = now - rollout.phase_at
    if not in_shadow(rollout) and by_hand(rollout) in rollout.waived:
        return ""  # it had them before a person let it go on
    if elapsed >= seconds and rollout.step_requests >= requests:
        return ""
    had = f"{rollout.step_requests} of {requests} {'paired' if in_shadow(rollout) else 'canary'} requests"
    return f"{_place(rollout)}: {had}, {max(0.0, min(elapsed, seconds)):.0f} of {seconds:.0f} s"


def _place(rollout: Rollout) -> str:
    if in_shadow(rollout):
        return "in shadow"
    return f"step {rollout.step + 1} of {len(rollout.plan.steps)} at {percent(share_of(rollout))}"


def _overdue(rollout: Rollout, now: float) -> bool:
    deadline = rollout.plan.deadline_seconds
    return deadline is not None and now - rollout.phase_at >= max(deadline, demands(rollout)[0])


def _at_deadline(rollout: Rollout, stay: _Move, waits: str) -> _Move:
    reason = f"undecided at the deadline of {rollout.plan.deadline_seconds:.0f} s ({waits})"
    if rollout.plan.undecided == "roll_back":
        return structs.replace(stay, phase=Phase.ROLLED_BACK, reason=f"{reason}: the plan says roll back")
    if rollout.plan.undecided != "promote":
        return structs.replace(stay, phase=Phase.HELD, reason=f"{reason}: the plan says hold")
    if rollout.step_requests == 0:
        reason = f"{reason}: the plan says promote, but it answered no request, and time alone is no success"
        return structs.replace(stay, phase=Phase.HELD, reason=reason)
    # A version that no caller has met goes to the first step; only a canary can be promoted.
    after = Phase.CANARY if in_shadow(rollout) else Phase.PROMOTED
    return structs.replace(stay, phase=after, reason=f"{reason}: the plan says promote")


def _onward(rollout: Rollout, now: float) -> _Move:
    """To the next step, or promoted. A last step with all traffic that asks for nothing is the promotion itself."""
    held = (
        f"{_place(rollout)} passed with {counted(rollout.step_requests, 'request')} in {now - rollout.phase_at:.0f} s"
    )
    reason = f"{held}, and no guardrail was broken"
    steps = rollout.plan.steps
    if in_shadow(rollout):
        return _Move(Phase.CANARY, Call.SAFE, reason, 0)
    if steps[rollout.step].manual and by_hand(rollout) not in rollout.waived:
        asks = f"{by_hand(rollout)}: {held}; resume lets the rollout go on"
        return _Move(Phase.HELD, Call.NOT_YET, asks, rollout.step)
    following = rollout.step + 1
    if following == len(steps):
        return _Move(Phase.PROMOTED, Call.SAFE, reason, rollout.step)
    last = steps[following]
    if following + 1 == len(steps) and last.traffic == 1.0 and not last.hold_seconds and not last.at_least:
        return _Move(Phase.PROMOTED, Call.SAFE, reason, following)
    return _Move(Phase.CANARY, Call.SAFE, reason, following)


def _asked(rollout: Rollout, verb: str, reason: str) -> _Move:
    phase, version = rollout.phase, f"version {rollout.version} of {rollout.model}"
    stay = _Move(phase, Call.NOT_YET, reason, rollout.step)
    match verb:
        case "promote" if phase not in OVER:
            return structs.replace(stay, phase=Phase.PROMOTED)
        case "pause" if phase in (Phase.SHADOW, Phase.CANARY):
            return structs.replace(stay, phase=Phase.HELD)
        case "resume" if phase is Phase.HELD and rollout.held_in is not None:
            return structs.replace(stay, phase=rollout.held_in)
        case "abort" if phase not in OVER:
            return structs.replace(stay, phase=Phase.ROLLED_BACK)
        case "rollback" if phase is not Phase.ROLLED_BACK and rollout.champion is not None:
            return structs.replace(stay, phase=Phase.ROLLED_BACK)
        case "rollback" if phase is not Phase.ROLLED_BACK:
            raise Refused(f"{version} cannot be rolled back: it is the first, there is no version before it")
        case "promote" | "pause" | "resume" | "abort" | "rollback":
            raise Refused(f"{version} is {phase.value.replace('_', ' ')}: it cannot {verb} now, only {_sense(rollout)}")
    raise Refused(f"{verb!r} is not something to do to a rollout: use promote, pause, resume, abort or rollback")


def _sense(rollout: Rollout) -> str:
    if rollout.phase is Phase.ROLLED_BACK:
        return "be deployed again"
    if rollout.phase is Phase.PROMOTED:
        return "rollback"
    return "promote, resume, abort or rollback" if rollout.phase is Phase.HELD else "promote, pause, abort or rollback"


def _apply(rollout: Rollout, move: _Move, now: float) -> Rollout:
    if move.phase is rollout.phase and move.step == rollout.step:
        return rollout
    if move.phase is Phase.HELD:
        return structs.replace(rollout, phase=Phase.HELD, held=move.reason, held_in=rollout.phase)
    return structs.replace(
        rollout,
        phase=move.phase,
        step=move.step,
        phase_at=now,
        step_requests=0,
        held="",
        held_in=None,
    )


def _overall(findings: tuple[Finding, ...]) -> Call:
    calls = {finding.reading.call for finding in findings}
    if Call.REGRESS in calls:
        return Call.REGRESS
    return Call.SAFE if calls == {Call.SAFE} else Call.NOT_YET


def _decision(before: Rollout, after: Rollout, findings: tuple[Finding, ...], now: float, move: _Move) -> Decision:
    seconds, sentence = forecast(after, now)
    return Decision(
        rollout=after.id,
        at=now,
        call=move.call,
        before=before.phase,
        after=after.phase,
        step=after.step,
        share=share_of(after),
        readings=tuple(finding.reading for finding in findings),
        forecast_seconds=None if seconds is None else round(seconds, 3),
        forecast=sentence,
        reason=move.reason,
        guardrail=move.guardrail,
        requests=after.seen.requests,
    )


def _digest(evidence: Evidence) -> str:
    return sha256(canonical(evidence)).hexdigest()
