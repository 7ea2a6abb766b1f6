"""What the facts tell of an incident: the numbers and sentences that a postmortem is filled in with."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fairlead.core import story_open as open_story
from fairlead.core.event import (
    Entry,
    EvidenceSeen,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
)
from fairlead.core.incident import Incident, around
from fairlead.core.listing import counted
from fairlead.core.reach import paid
from fairlead.core.report import WindowReport, reports
from fairlead.core.retrain import held_back
from fairlead.core.rollout import Decision, Evidence, Phase, Plan

DAY = 86_400.0


class Story(Struct, frozen=True):
    """The parts of a postmortem that differ from one kind of incident to the other; each line is a whole sentence."""

    impact: tuple[str, ...]
    detection: tuple[str, ...]
    causes: tuple[str, ...]
    well: tuple[str, ...]
    poorly: tuple[str, ...]
    actions: tuple[str, ...]


def story_of(incident: Incident, entries: Sequence[Entry]) -> Story:
    """The story of a rolled-back rollout, of harmful drift, or of what an alert or a person opened."""
    if incident.rollout is not None:
        return _rollout_story(incident, _rollout_facts(incident.rollout, entries))
    if incident.by_hand or (incident.alerts and not incident.window):
        return _open_story(incident, entries)
    return _drift_story(incident, around(incident, entries))


def first_failure_at(entries: Sequence[Entry], rollout: str) -> float | None:
    """When the evidence of a rollout first held a failed or slow canary request."""
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, EvidenceSeen) and fact.rollout == rollout:
            seen = msgspec.json.decode(fact.evidence, type=Evidence)
            if seen.errors.get("canary") or seen.slow.get("canary") or any(each.canary for each in seen.failures):
                return entry.at
    return None


# -- a bad rollout ---------------------------------------------------------------------------------------------------


class _Rollout(Struct):
    """What the journal holds of one rollout."""

    plan: Plan | None = None
    champion: int | None = None
    version: int = 0
    decision: Decision | None = None  # the one that rolled back
    requests: int = 0
    errors: int = 0
    champion_errors: int = 0
    units: int = 0
    share: float = 0.0
    applied: RouteApplied | None = None


def _rollout_facts(rollout: str, entries: Sequence[Entry]) -> _Rollout:
    found = _Rollout()
    for entry in entries:
        fact = entry.fact
        if getattr(fact, "rollout", None) != rollout:
            continue
        if isinstance(fact, RolloutStarted):
            found.plan, found.champion, found.version = fact.plan, fact.champion, fact.version
        elif isinstance(fact, EvidenceSeen):
            _add_evidence(found, msgspec.json.decode(fact.evidence, type=Evidence))
        elif isinstance(fact, RolloutDecided):
            _add_decision(found, msgspec.json.decode(fact.decision, type=Decision))
        elif isinstance(fact, RouteApplied) and found.decision is not None:
            found.applied = found.applied or fact
    return found


def _add_evidence(found: _Rollout, seen: Evidence) -> None:
    found.requests += seen.requests.get("canary", 0)
    found.errors += seen.errors.get("canary", 0)
    found.champion_errors += seen.errors.get("champion", 0)
    found.units += sum(each.canary for each in seen.failures if each.metric == "error_rate")


def _add_decision(found: _Rollout, decision: Decision) -> None:
    if decision.after is Phase.ROLLED_BACK:
        found.decision = found.decision or decision
    else:
        found.share = max(found.share, decision.share)


def _rollout_story(incident: Incident, facts: _Rollout) -> Story:
    back = f"version {facts.champion}" if facts.champion is not None else "no version"
    failed = f"{facts.errors:,} of them failed"
    if facts.units:
        failed += f", which {counted(facts.units, 'unit')} saw first"
    answered = f"{counted(facts.requests, 'request')} answered by version {facts.version}"
    return Story(
        impact=(
            f"Predictions affected: {answered}; {failed}.",
            f"The new version held at most {facts.share:.1%} of the traffic.",
            "Data loss: no. Every answered request is in the log.",
        ),
        detection=_gap(incident),
        causes=_rollout_causes(incident, facts),
        well=_rollout_well(facts, back),
        poorly=_rollout_poorly(facts),
        actions=(
            f"Find out why version {facts.version} broke its guardrail, and fix it",
            "Add a gate that would have stopped this version before it met a user",
            "Release the fix through shadow and canary, not as a hotfix",
        ),
    )


def _rollout_causes(incident: Incident, facts: _Rollout) -> tuple[str, ...]:
    lines = [f"Trigger: {incident.reason}"]
    if facts.decision is not None:
        lines += [f"Evidence: {reading.reason}" for reading in facts.decision.readings if reading.call == "regress"]
    return (*lines, f"The underlying cause in version {facts.version} is to be confirmed by the owner.")


def _rollout_well(facts: _Rollout, back: str) -> tuple[str, ...]:
    lines = []
    if facts.applied is not None:
        workers = f"{facts.applied.workers} worker{'s' * (facts.applied.workers != 1)}"
        lines.append(f"All traffic was back on {back} {facts.applied.seconds:.2f} s after the decision, on {workers}.")
    if facts.decision is not None:
        lines.append("The guardrail decided by evidence; nobody had to act.")
    if facts.champion_errors == 0:
        lines.append("No request to the champion failed.")
    if facts.errors == 0:
        lines.append("No request to the new version failed.")
    return tuple(lines)


def _rollout_poorly(facts: _Rollout) -> tuple[str, ...]:
    lines = []
    if facts.errors:
        lines.append(f"{counted(facts.errors, 'request')} failed before the evidence was strong enough.")
    if facts.plan is not None and facts.plan.shadow is None:
        lines.append("The version met users without a shadow phase, which would have shown the failure to nobody.")
    if facts.applied is None:
        lines.append("No worker has confirmed the route back yet.")
    lines.append("The gates had passed the version.")
    return tuple(lines)


# -- what an alert or a person opened --------------------------------------------------------------------------------


def _open_story(incident: Incident, entries: Sequence[Entry]) -> Story:
    return Story(
        impact=open_story.impact_of(incident, entries),
        detection=_gap(incident),
        causes=open_story.causes_of(incident, entries),
        well=open_story.well_of(incident),
        poorly=open_story.poorly_of(incident),
        actions=open_story.actions_of(incident),
    )


# -- harmful drift ---------------------------------------------------------------------------------------------------


def _drift_story(incident: Incident, entries: Sequence[Entry]) -> Story:
    latest = {report.window: report for _, report in reports(entries)}
    harmful = [report for report in latest.values() if report.harmful]
    return Story(
        impact=_drift_impact(harmful),
        detection=_gap(incident),
        causes=_drift_causes(harmful),
        well=_drift_well(harmful, entries),
        poorly=_drift_poorly(incident, harmful, entries),
        actions=(
            _asked(harmful),
            "Decide on the challenger: compare it with the champion on the latest labelled window",
            "Shorten the detection gap: smaller windows, or earlier labels for a sample",
        ),
    )


def _drift_impact(harmful: Sequence[WindowReport]) -> tuple[str, ...]:
    rows, units = sum(report.rows for report in harmful), sum(report.units for report in harmful)
    count = f"{len(harmful)} window{'s' * (len(harmful) != 1)}"
    lines = [f"Predictions affected: {rows:,} in {count}; users or units exposed: at most {units:,}."]
    extra = sum(filter(None, (_excess(report) for report in harmful)))
    if extra:
        lines.append(f"About {extra:,.0f} more wrong predictions than the held-out accuracy would have given.")
    return (*lines, paid(harmful), "Data loss: no. Every answered request is in the log.")


def _excess(report: WindowReport) -> float | None:
    """Wrong predictions beyond those that the held-out accuracy would have given."""
    performance = report.performance
    readings = () if performance is None else (performance, *performance.also)
    for reading in readings:
        if reading.metric == "accuracy" and reading.reference is not None and reading.realised is not None:
            return max(0.0, reading.reference - reading.realised) * report.rows
    return None


def _drift_causes(harmful: Sequence[WindowReport]) -> tuple[str, ...]:
    if not harmful:
        return ("No window is harmful any more; the cause is to be found by the owner.",)
    first = harmful[0]
    lines = [f"Quadrant: {first.quadrant}. {first.quadrant_reason[:1].upper()}{first.quadrant_reason[1:]}."]
    shifts = {shift.name: shift for shift in first.drift}
    for name in first.suspects[:5]:
        shift = shifts[name]
        lines.append(f"Suspect: {name} ({shift.reason}; importance {shift.importance or 0.0:.3f}).")
    how = "Suspects: first what broke or jumped since the last calm window, then by what their shift costs"
    if not first.suspects:
        how = "No column is suspected"
    return (*lines, f"{how}; the cause is to be confirmed by the owner.")


def _drift_well(harmful: Sequence[WindowReport], entries: Sequence[Entry]) -> tuple[str, ...]:
    lines = ["No request failed for it: the model kept answering."] if not any(r.failed for r in harmful) else []
    if harmful and harmful[0].performance is not None:
        share = harmful[0].performance.matured_share
        suspects = len(harmful[0].suspects)
        named = f", and named {counted(suspects, 'suspect')}" if suspects else ""
        lines.append(f"The verdict waited for {share:.0%} of the labels{named}.")
    for entry in entries:
        if isinstance(entry.fact, RetrainDecided) and entry.fact.triggered:
            lines.append(f"Retraining was triggered at once: {entry.fact.run}.")
        elif isinstance(entry.fact, RetrainFinished) and entry.fact.beats_champion:
            lines.append(f"The challenger, version {entry.fact.version}, beats the champion: {entry.fact.reason}.")
    return tuple(dict.fromkeys(lines))


def _drift_poorly(incident: Incident, harmful: Sequence[WindowReport], entries: Sequence[Entry]) -> tuple[str, ...]:
    lines = []
    for report in harmful[:1]:
        performance = report.performance
        if performance is not None and performance.estimated is not None and report.quadrant == "concept":
            lines.append(
                f"The estimate without labels ({performance.estimated:.3f}) did not foretell it: "
                "a changed relation to the truth shows only in labels."
            )
    held = [entry.fact for entry in entries if isinstance(entry.fact, RetrainDecided) and held_back(entry.fact)]
    if held:
        times = f" {len(held)} times, the last time" if len(held) > 1 else ""
        lines.append(f"Retraining was held back{times}: {held[-1].reason}.")
    lines += [
        f"The challenger did not beat the champion: {entry.fact.reason.rstrip('.')}."
        for entry in entries
        if isinstance(entry.fact, RetrainFinished) and not entry.fact.beats_champion
    ]
    if incident.acknowledged_at is None:
        lines.append("Nobody has acknowledged the incident yet.")
    return tuple(dict.fromkeys(lines))


def _asked(harmful: Sequence[WindowReport]) -> str:
    """Whom the review asks: who supplies what is suspected, and where nothing is, who knows the subject."""
    named = harmful[0].suspects[:3] if harmful else ()
    if harmful and not named:
        return "Ask those who know the subject, and who supplies the labels, what changed, and whether it stays"
    return f"Ask who supplies {', '.join(named) or 'the features'} what changed, and whether it stays"


def _gap(incident: Incident) -> tuple[str, ...]:
    if incident.began_at is None or incident.detected_at is None:
        return ("When it began is not known.",)
    gap = _lasted(max(0.0, incident.detected_at - incident.began_at))
    whose = "the beginning of the harm" if incident.harm_shown else "its beginning"
    return (f"Detection gap, from {whose} to the alert: {gap}.",)


def _lasted(seconds: float) -> str:
    """A span in the largest unit of which it is at least two.

    >>> _lasted(4.0), _lasted(300.0), _lasted(94_953.7), _lasted(33 * DAY)
    ('4.0 s', '5.0 min', '26.4 h', '33.0 days')
    """
    units = ((DAY, "days"), (3600.0, "h"), (60.0, "min"))
    size, unit = next((one for one in units if seconds >= 2 * one[0]), (1.0, "s"))
    return f"{seconds / size:,.1f} {unit}"
