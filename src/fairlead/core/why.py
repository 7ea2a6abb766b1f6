"""Why a rollout stands where it stands, in one sentence."""

from __future__ import annotations

from fairlead.core.guard import amount, percent
from fairlead.core.listing import counted
from fairlead.core.metrics import metric
from fairlead.core.rollout import Call, Decision, Phase, Reading, Rollout


def why(decision: Decision, rollout: Rollout) -> str:
    """One sentence on a decision of a rollout, with the figures that carried it."""
    version = f"Version {rollout.version} of {rollout.model}"
    match decision.after:
        case Phase.ROLLED_BACK:
            return f"{version} was rolled back {_exposure(decision)}: {cause(decision)}."
        case Phase.PROMOTED:
            after = "at once" if rollout.champion is None else _exposure(decision)
            return f"{version} was promoted {after}: {_success(decision)}."
        case Phase.HELD:
            return f"{version} is held at {percent(decision.share)} of the traffic, for an operator: {decision.reason}."
        case Phase.SHADOW:
            return f"{version} answers unseen: {_wait(decision)}."
    if decision.before is Phase.SHADOW or decision.call is Call.SAFE:
        return f"{version} went on to {percent(decision.share)} of the traffic: {decision.reason}."
    return f"{version} has {percent(decision.share)} of the traffic: {_wait(decision)}."


def _exposure(decision: Decision) -> str:
    shown, unseen = decision.requests.get("canary", 0), decision.requests.get("shadow", 0)
    if shown or not unseen:
        return f"after {counted(shown, 'canary request')}"
    return f"after {counted(unseen, 'shadow request')}, before any caller met it"


def cause(decision: Decision) -> str:
    """Which guardrail was broken, with its evidence and figures; without one the decision's reason."""
    broken = next((reading for reading in decision.readings if reading.guardrail == decision.guardrail), None)
    if broken is None:
        return decision.reason
    evidence = f"evidence e^{broken.log_e_max:.1f} over e^{broken.threshold_log_e:.1f}"
    return f"{metric(broken.metric).broken} ({broken.guardrail} broken, {evidence}, {_figures(broken)})"


def _success(decision: Decision) -> str:
    measured = [f"{reading.guardrail} held with {_figures(reading)}" for reading in decision.readings if _safe(reading)]
    return decision.reason + (f" ({'; '.join(measured)})" if measured else "")


def _safe(reading: Reading) -> bool:
    return reading.call is Call.SAFE


def _figures(reading: Reading) -> str:
    """What was measured, on the new version and where known on the champion."""
    known = metric(reading.metric)
    told = percent if known.unit in ("share", "ms") else _index if known.unit == "index" else amount
    values = ((known.figure, reading.canary), ("the champion's", reading.champion))
    return ", ".join(f"{name} {told(value)}" for name, value in values if value is not None)


def _index(value: float) -> str:
    return f"{value:.2f}"


def _wait(decision: Decision) -> str:
    return decision.reason + (f"; {decision.forecast}" if decision.forecast else "")
