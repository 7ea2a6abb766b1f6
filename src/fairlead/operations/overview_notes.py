"""Facts as sentences: what happened, why, and whether it was good news."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead.core import event, facts_act
from fairlead.core.event import Entry
from fairlead.core.facts_act import LoopAudited, UpstreamChanged
from fairlead.core.listing import counted
from fairlead.core.route import SHADOWER
from fairlead.core.worth import Weighed, against, sentence
from fairlead.operations.overview_values import Note, Tone

_Words = tuple[str, str, Tone, str]  # title, reason, tone, subject

NO_RETRAINING = "No retraining"

_VERDICT_TONES: dict[str, Tone] = {"holds": "plain", "undecided": "plain", "unmeasured": "warning", "breached": "bad"}
_VERDICT_WORDS = {
    "holds": "all holds",
    "undecided": "undecided",
    "unmeasured": "could not be measured",
    "breached": "breached",
}


def percent(share: float) -> str:
    """A share as people write it.

    >>> percent(0.05), percent(0.125), percent(0.0068824), percent(1.0)
    ('5 %', '12.5 %', '0.688 %', '100 %')
    """
    return f"{share * 100:.3g} %"


def _registered(fact: event.VersionRegistered) -> _Words:
    reason = fact.reason or f"trained on {fact.dataset}"
    return f"v{fact.version} registered", f"{reason} (bundle {fact.bundle[:12]})", "plain", ""


def _status(fact: event.StatusChanged) -> _Words:
    return f"v{fact.version} is now {fact.status}", fact.reason, "plain", ""


def _alias(fact: event.AliasMoved) -> _Words:
    if fact.version is None:
        return f"No version is {fact.alias} any more", fact.reason, "plain", ""
    before = f" (was v{fact.previous})" if fact.previous is not None else ""
    tone: Tone = "good" if fact.alias == "champion" else "plain"
    return f"v{fact.version} is now {fact.alias}{before}", fact.reason, tone, ""


def _gate(fact: event.GateMeasured) -> _Words:
    where = "" if fact.environment == "production" else f" of {fact.environment}"
    if fact.passed:
        return f"v{fact.version} passed the gates{where}", "every readiness check that is asked for holds", "good", ""
    return f"v{fact.version} failed the gates{where}", f"did not hold: {', '.join(fact.failed)}", "bad", ""


def _deploy(fact: event.DeployAsked) -> _Words:
    return f"Asked to deploy v{fact.version} ({fact.plan.strategy})", fact.reason, "plain", fact.rollout


def _refused(fact: event.DeployRefused) -> _Words:
    return f"Could not deploy v{fact.version}", fact.reason, "bad", fact.rollout


def _rollout(fact: event.RolloutStarted) -> _Words:
    steps = " → ".join(percent(step.traffic) for step in fact.plan.steps)
    against = f"against v{fact.champion}" if fact.champion is not None else "as the first champion"
    reason = f"{against}: {steps}" if steps else against
    return f"Rollout of v{fact.version} began ({fact.plan.strategy})", reason, "plain", fact.rollout


def _asked(fact: event.OperatorAsked) -> _Words:
    """An operator's wish is written when it is asked, and again, naming the rollout, when it was done or refused."""
    verb = fact.verb.replace("_", " ")
    if fact.rollout is None:
        return f"Asked to {verb}", fact.reason, "warning", ""
    if not fact.rollout:
        return f"Could not {verb}", fact.reason, "bad", ""
    return f"Did {verb} as asked", fact.reason, "plain", fact.rollout


def _route(fact: event.RouteChanged) -> _Words:
    champion = f"champion v{fact.champion} {percent(1 - fact.share)}"
    arms = f"canary v{fact.canary} {percent(fact.share)}, {champion}" if fact.canary is not None else champion
    return f"Route {fact.generation}: {arms}", fact.reason, "plain", fact.rollout or ""


def _applied(fact: event.RouteApplied) -> _Words:
    workers = "1 worker" if fact.workers == 1 else f"all {fact.workers} workers"
    reason = f"{fact.seconds:.3g} s after the decision"
    return f"Route {fact.generation} is live on {workers}", reason, "plain", fact.rollout or ""


def _worker(fact: event.WorkerChanged) -> _Words:
    tone: Tone = "bad" if fact.state == "failed" else "plain"
    who = "Who answers unseen" if fact.worker == SHADOWER else f"Worker {fact.worker}"
    return f"{who} {fact.state}", fact.detail, tone, ""


def _erased(fact: event.SubjectErased) -> _Words:
    title = f"A subject was erased: {counted(fact.predictions, 'prediction')}, {counted(fact.outcomes, 'outcome')}"
    return title, fact.reason, "plain", ""


def _window(fact: event.WindowJudged) -> _Words:
    title = f"Window {fact.window}: {_VERDICT_WORDS.get(fact.verdict, fact.verdict)}"
    return title, f"{counted(fact.rows, 'row')}", _VERDICT_TONES.get(fact.verdict, "warning"), ""


def _alert(fact: event.AlertRaised) -> _Words:
    tone: Tone = "bad" if fact.severity in ("critical", "high") else "warning"
    return f"Alert ({fact.severity}): {fact.title}", fact.reason, tone, fact.alert


def _quieted(fact: event.AlertQuieted) -> _Words:
    return f"Alert held back: {fact.alert}", fact.reason, "plain", fact.alert


def _opened(fact: event.IncidentOpened) -> _Words:
    return f"Incident opened ({fact.severity}): {fact.title}", fact.reason, "bad", fact.incident


def _noted(fact: event.IncidentNoted) -> _Words:
    if not fact.state:
        return "Note", fact.note, "plain", fact.incident
    tone: Tone = "good" if fact.state in ("mitigated", "resolved") else "plain"
    return f"Incident {fact.state}", fact.note, tone, fact.incident


def _postmortem(fact: event.PostmortemWritten) -> _Words:
    return "Postmortem written", fact.path, "plain", fact.incident


def _looked(fact: facts_act.TriageDone) -> _Words:
    return f"Triage: {fact.action.replace('_', ' ')}", fact.reason, "plain", fact.incident


def _took(fact: facts_act.ActionTaken) -> _Words:
    done = fact.action.replace("_", " ")
    if fact.failed:
        return f"Tried in vain: {done}", fact.reason, "warning", fact.incident
    return f"Action{' by itself' if fact.automatic else ''}: {done}", fact.reason, "good", fact.incident


def _retrain(fact: event.RetrainDecided) -> _Words:
    return ("Retraining triggered" if fact.triggered else NO_RETRAINING), fact.reason, "plain", fact.run


def _retrained(fact: event.RetrainFinished) -> _Words:
    if fact.version is None:
        return "Retraining gave no version", fact.reason, "bad", fact.run
    verdict = "beats the champion" if fact.beats_champion else "does not beat the champion"
    return f"Retrained v{fact.version} {verdict}", fact.reason, "good" if fact.beats_champion else "warning", fact.run


def _submitted(fact: facts_act.RunSubmitted) -> _Words:
    return f"Training at {fact.trainer}", f"{fact.run} is its run {fact.external}", "plain", fact.run


def _weighed(fact: facts_act.ChallengerWeighed) -> _Words:
    weighed = msgspec.json.decode(fact.report, type=Weighed)
    objections = against(weighed)
    said = "; ".join(objections) or sentence(weighed)
    return f"v{fact.version} weighed", said, "warning" if objections else "plain", ""


def _labels(fact: facts_act.LabelsAsked) -> _Words:
    return f"{counted(fact.rows, 'answer')} to be labelled", f"{fact.batch}: {fact.why}", "plain", fact.batch


def _upstream(fact: UpstreamChanged) -> _Words:
    return f"{fact.source} changed", fact.what, "warning", ""


def _loops(fact: LoopAudited) -> _Words:
    words, tone = _VERDICT_WORDS.get(fact.verdict, fact.verdict), _VERDICT_TONES.get(fact.verdict, "warning")
    return f"Feedback loops: {words}", fact.reason, tone, ""


def _filled(fact: facts_act.SlotsFilled) -> _Words:
    late = f", {counted(fact.late, 'row')} of them later than the judgement" if fact.late else ""
    said = f"{counted(fact.rows, 'row')} in {counted(fact.slots, 'slot')}{late}" + (
        f": {fact.reason}" if fact.reason else ""
    )
    return f"v{fact.version} counted again from the log", said, "plain", ""


_WORDS: dict[type, Callable[[Any], _Words]] = {
    event.VersionRegistered: _registered,
    event.StatusChanged: _status,
    event.AliasMoved: _alias,
    event.GateMeasured: _gate,
    event.DeployAsked: _deploy,
    event.DeployRefused: _refused,
    event.RolloutStarted: _rollout,
    event.OperatorAsked: _asked,
    event.RouteChanged: _route,
    event.RouteApplied: _applied,
    event.WorkerChanged: _worker,
    event.SubjectErased: _erased,
    event.WindowJudged: _window,
    event.AlertRaised: _alert,
    event.AlertQuieted: _quieted,
    event.IncidentOpened: _opened,
    event.IncidentNoted: _noted,
    event.PostmortemWritten: _postmortem,
    event.RetrainDecided: _retrain,
    event.RetrainFinished: _retrained,
    facts_act.RunSubmitted: _submitted,
    facts_act.ChallengerWeighed: _weighed,
    facts_act.LabelsAsked: _labels,
    facts_act.TriageDone: _looked,
    facts_act.ActionTaken: _took,
    facts_act.SlotsFilled: _filled,
    LoopAudited: _loops,
    UpstreamChanged: _upstream,
}


def note_of(entry: Entry) -> Note | None:
    """The sentence for an entry; None for evidence and decisions, of which only turns are worth one (`RolloutFold`)."""
    words = _WORDS.get(type(entry.fact))
    if words is None:
        return None
    title, reason, tone, subject = words(entry.fact)
    kind = str(type(entry.fact).__struct_config__.tag)
    return Note(entry.seq, entry.at, entry.actor, kind, title, reason, tone, subject, entry.fact.model)
