"""Why, in one sentence, of each entry of the journal that is a decision; from the fact alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from fairlead.core import event
from fairlead.core.after import PromotionDecision
from fairlead.core.event import Entry
from fairlead.core.fact import Fact
from fairlead.core.listing import counted, first_of
from fairlead.core.rollout import Decision

# Fields by which the decision in a fact may be asked for.
_NAMES = ("rollout", "report", "window", "alert", "incident", "experiment", "run", "item", "notice", "silence", "group")
_MOST = 4  # checks that a sentence names
_LOOKS = ("evidence_seen", "promotion_seen", "route_applied", "worker_changed")
# The journal's kinds that may hold a decision: all but what was only seen, of which there are thousands.
KINDS: tuple[str, ...] = tuple(
    tag for one in get_args(event.AnyFact) if (tag := str(one.__struct_config__.tag)) not in _LOOKS
)


class Why(msgspec.Struct, frozen=True):
    """One decision: its entry, when, by whom, what kind of fact it is, and the sentence."""

    entry: int
    at: float
    actor: str
    kind: str
    model: str
    why: str


def why_of(entry: Entry) -> Why | None:
    """Why an entry was written; None where nobody decided anything, or where a look changed nothing."""
    fact = entry.fact
    told = _TOLD.get(type(fact), _by_its_reason)(fact, entry.actor)
    if not told:
        return None
    kind = str(type(fact).__struct_config__.tag)
    own = (entry.actor, fact.model, getattr(fact, "owner", ""))  # names are written as they are
    first = told[:1] if any(name and told.startswith(f"{name} ") for name in own) else told[:1].upper()
    sentence = first + told[1:].rstrip(".") + "."
    return Why(entry.seq, entry.at, entry.actor, kind, fact.model, sentence)


def names_of(fact: Fact) -> tuple[str, ...]:
    """What a fact may be asked for by."""
    found = [value for name in _NAMES if isinstance(value := getattr(fact, name, None), str) and value]
    version = getattr(fact, "version", None)
    return (*found, f"{fact.model}@{version}") if version is not None else tuple(found)


def _name(fact: Any) -> str:
    return f"version {fact.version} of {fact.model}"


def _day(at: float | None) -> str:
    return "for good" if at is None else f"until {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _gate(fact: event.GateMeasured, _: str) -> str:
    gate = f"its {fact.environment} gate"
    if fact.passed:
        return f"{_name(fact)} passed {gate}: every check that it requires holds or is waived"
    failed = f"{counted(len(fact.failed), 'check')} failed, {first_of(fact.failed, _MOST)}"
    return f"{_name(fact)} did not pass {gate}: {failed}"


def _waived(fact: event.GateWaived, actor: str) -> str:
    return f"{actor} answers for {fact.check} of {_name(fact)} in {fact.environment} {_day(fact.until)}: {fact.reason}"


def _attested(fact: event.ItemAttested, actor: str) -> str:
    of = "every version" if fact.version is None else f"version {fact.version}"
    link = f" ({fact.link})" if fact.link else ""
    who = f"{fact.owner} attests" if fact.owner == actor else f"{fact.owner} attests, by {actor},"
    return f"{who} {fact.item} for {of} of {fact.model} {_day(fact.until)}: {fact.answer}{link}"


def _entered(fact: event.EnvironmentEntered, actor: str) -> str:
    return f"{actor} let {_name(fact)} into {fact.environment}, whose gate it passed{_because(fact.reason)}"


def _self_tested(fact: event.SelfTested, _: str) -> str:
    return (
        f"of {counted(fact.runs, 'rollout')} of a version of {fact.model} against itself {fact.rolled_back} went back, "
        f"at most {100 * fact.upper:.2g}% where {100 * fact.alpha:.2g}% are allowed{_because(fact.reason)}"
    )


def _step(fact: event.PipelineStep, _: str) -> str:
    if fact.state == "started":
        return ""
    return f"step {fact.step} of stage {fact.stage} in run {fact.run} {_STEPS.get(fact.state, fact.state)}" + _because(
        fact.reason
    )


_STEPS = {"passed": "passed", "failed": "failed", "skipped": "was passed over"}


def _window(fact: event.WindowJudged, _: str) -> str:
    reason = ""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        reason = msgspec.json.decode(fact.report, type=_Reason).reason
    return f"window {fact.window} of {fact.model} is {fact.verdict}{_because(reason)}"


class _Reason(msgspec.Struct):
    reason: str = ""


def _raised(fact: event.AlertRaised, _: str) -> str:
    return f"alert {fact.alert} of {fact.model} went to {fact.owner} as {fact.severity}: {fact.reason}"


def _quieted(fact: event.AlertQuieted, _: str) -> str:
    what = "is over" if fact.recovered else "was held back"
    return f"alert {fact.alert} of {fact.model} {what}: {fact.reason}"


def _decided(fact: event.RolloutDecided, _: str) -> str:
    decision = _read(fact.decision, Decision)
    if decision is None or decision.before is decision.after:
        return ""
    before, after = (phase.value.replace("_", " ") for phase in (decision.before, decision.after))
    return f"rollout {fact.rollout} went from {before} to {after}: {decision.reason}"


def _watched(fact: event.PromotionDecided, _: str) -> str:
    decision = _read(fact.decision, PromotionDecision)
    if decision is None or not decision.over:
        return ""
    return f"the watch after the promotion of {fact.rollout} ended with {decision.call.value}: {decision.reason}"


def _read(raw: msgspec.Raw, kind: Any) -> Any:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode(raw, type=kind)
    return None


def _asked(fact: event.OperatorAsked, actor: str) -> str:
    return f"{actor} asked to {fact.verb} {fact.rollout or fact.seen or fact.model}{_because(fact.reason)}"


def _deploy(fact: event.DeployAsked, actor: str) -> str:
    return f"{actor} asked to deploy {_name(fact)} as {fact.plan.strategy}{_because(fact.reason)}"


def _refused(fact: event.DeployRefused, _: str) -> str:
    return f"the deploy of {_name(fact)} was refused: {fact.reason}"


def _began(fact: event.ExperimentStarted, actor: str) -> str:
    return f"{actor} started experiment {fact.experiment} of {fact.model} on rollout {fact.rollout}"


def _ended(fact: event.ExperimentStopped, actor: str) -> str:
    return f"{actor} stopped experiment {fact.experiment} of {fact.model}, which said {fact.decision}: {fact.reason}"


def _alias(fact: event.AliasMoved, _: str) -> str:
    to = "no version" if fact.version is None else f"version {fact.version}"
    was = "" if fact.previous is None else f", from version {fact.previous}"
    return f"{fact.alias} of {fact.model} is {to}{was}{_because(fact.reason)}"


def _status(fact: event.StatusChanged, _: str) -> str:
    return f"{_name(fact)} became {fact.status}{_because(fact.reason)}"


def _golden(fact: event.GoldenTested, _: str) -> str:
    what = "answers" if fact.holds else "does not answer"
    return f"{_name(fact)} {what} its golden rows as it should on worker {fact.worker}{_because(fact.reason)}"


def _opened(fact: event.IncidentOpened, _: str) -> str:
    return f"incident {fact.incident} was opened as {fact.severity}, {fact.title}: {fact.reason}"


def _noted(fact: event.IncidentNoted, _: str) -> str:
    return f"incident {fact.incident} is {fact.state}: {fact.note}" if fact.state else ""


def _retrain(fact: event.RetrainDecided, _: str) -> str:
    what = "is trained again" if fact.triggered else "is not trained again"
    return f"{fact.model} {what} (run {fact.run}): {fact.reason}"


def _retrained(fact: event.RetrainFinished, _: str) -> str:
    got = "no version" if fact.version is None else f"version {fact.version}"
    return f"run {fact.run} for {fact.model} ended with {got}: {fact.reason}"


def _removed(fact: event.BundleRemoved, actor: str) -> str:
    return f"{actor} removed the bundle of {_name(fact)}{_because(fact.reason)}"


def _by_its_reason(fact: Any, _: str) -> str:
    """Of any other fact that says why: its kind in words, what it is of, and the reason."""
    reason = getattr(fact, "reason", "")
    if not reason:
        return ""
    named = next(iter(names_of(fact)), fact.model)
    return f"{str(type(fact).__struct_config__.tag).replace('_', ' ')} {named}".rstrip() + f": {reason}"


_TOLD: dict[type[Any], Callable[[Any, str], str]] = {
    event.GateMeasured: _gate,
    event.GateWaived: _waived,
    event.ItemAttested: _attested,
    event.EnvironmentEntered: _entered,
    event.SelfTested: _self_tested,
    event.PipelineStep: _step,
    event.WindowJudged: _window,
    event.AlertRaised: _raised,
    event.AlertQuieted: _quieted,
    event.RolloutDecided: _decided,
    event.PromotionDecided: _watched,
    event.OperatorAsked: _asked,
    event.DeployAsked: _deploy,
    event.DeployRefused: _refused,
    event.ExperimentStarted: _began,
    event.ExperimentStopped: _ended,
    event.AliasMoved: _alias,
    event.StatusChanged: _status,
    event.GoldenTested: _golden,
    event.IncidentOpened: _opened,
    event.IncidentNoted: _noted,
    event.RetrainDecided: _retrain,
    event.RetrainFinished: _retrained,
    event.BundleRemoved: _removed,
}
