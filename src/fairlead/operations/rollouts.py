"""Rollouts: start one, see it, ask why, replay it, and the operator's hand."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal

from msgspec import Struct

from fairlead.core.advance import apply_operator
from fairlead.core.event import DeployAsked, DeployRefused, OperatorAsked, RolloutStarted, RouteApplied
from fairlead.core.listing import first_of
from fairlead.core.replay import Replay, fold
from fairlead.core.replay import replay as replay_entries
from fairlead.core.rollout import Decision, Phase, Rollout
from fairlead.core.why import why as explain
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.gates import passed_gate
from fairlead.operations.models import resolve
from fairlead.ports.registry import VersionInfo

Verb = Literal["promote", "pause", "resume", "abort", "rollback"]
VERBS: tuple[Verb, ...] = ("promote", "pause", "resume", "abort", "rollback")
_OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)


class RolloutView(Struct, frozen=True):
    """A rollout as a person asks for it. `seconds_to_swap` is None until a worker confirmed the route."""

    id: str
    model: str
    version: int
    champion: int | None
    strategy: str
    phase: Phase
    step: int
    share: float
    started_at: float
    decision: Decision | None
    why: str
    requests_exposed: int
    seconds_to_decision: float | None
    seconds_to_swap: float | None


def deploy(context: Context, reference: str, strategy: str | None = None, reason: str = "") -> str:
    """Asks for a rollout of `name@version` and returns its id. Refused without a passed, unexpired gate of this bundle.

    The controller starts it as soon as no other rollout of the model runs.
    """
    info = resolve(context, reference)
    now = context.clock.now()
    passed_gate(context, info, now)
    if "champion" in info.aliases:
        raise Refused(f"{info.model}@{info.version} is the champion already: there is nothing to roll out")
    _refuse_second(context, info.model)
    plan = context.settings.rollout.plan(strategy)
    _refuse_unknown_feature(context, info, plan.split.feature)
    number = sum(1 for _ in context.journal.read(model=info.model, kinds=["deploy_asked"])) + 1
    rollout = f"{info.model}-{info.version}-{number}"
    asked = DeployAsked(info.model, rollout, info.version, info.bundle, plan, reason)
    context.journal.append([asked], actor=context.actor, at=now)
    return rollout


def _refuse_unknown_feature(context: Context, info: VersionInfo, feature: str) -> None:
    """A split by what no request has would deal nothing. Raises `UsageError`."""
    names = context.bundles.manifest(info.bundle).contract.names
    if feature and feature not in names:
        near = get_close_matches(feature, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {first_of(names)}"
        raise UsageError(f"rollout.split names the feature {feature!r}, which {info.model} does not have: {hint}")


def _refuse_second(context: Context, model: str) -> None:
    """One rollout at a time, and no queue behind it that would one day start by itself. Raises `Refused`."""
    kinds = ["deploy_asked", "deploy_refused", "rollout_started"]
    facts = [entry.fact for entry in context.journal.read(model=model, kinds=kinds)]
    answered = {fact.rollout for fact in facts if isinstance(fact, DeployRefused | RolloutStarted)}
    waiting = [fact.rollout for fact in facts if isinstance(fact, DeployAsked) and fact.rollout not in answered]
    if waiting:
        raise Refused(f"{waiting[0]} was asked for and waits for the controller: is `fairlead up` running?")
    state = _latest(context, model)
    if state is not None and state.phase not in _OVER:
        raise Refused(f"{state.id} is under way ({state.phase.value}): wait for it, or `fairlead abort {model}`")


def _latest(context: Context, model: str) -> Rollout | None:
    """The model's last rollout as it stands."""
    kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided"]
    return next(reversed(fold(context.journal.read(model=model, kinds=kinds), model).values()), None)


def operate(context: Context, model: str, verb: Verb, reason: str = "", *, actor: str = "") -> None:
    """The operator's hand: promote, pause, resume, abort or rollback. The controller performs it."""
    if verb not in VERBS:
        raise Refused(f"{verb!r} is not something to do to a rollout: use one of {', '.join(VERBS)}")
    if not any(True for _ in context.journal.read(model=model, kinds=["rollout_started", "deploy_asked"])):
        raise NotFound(f"{model} has no rollout to {verb}: start one with `fairlead deploy {model}@VERSION`")
    state, now = _latest(context, model), context.clock.now()
    if state is not None:
        apply_operator(state, verb, now, reason)  # what makes no sense is refused here and now, not in an hour
    # What is meant is the rollout that was seen when asking: by the time it is performed another may run.
    asked = OperatorAsked(model, verb, reason, seen=state.id if state is not None else "")
    context.journal.append([asked], actor=actor or context.actor, at=now)


def rollouts(context: Context, model: str | None = None) -> tuple[RolloutView, ...]:
    """Every rollout, oldest first."""
    kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided", "route_applied"]
    entries = list(context.journal.read(model=model, kinds=kinds))
    started = [entry.fact for entry in entries if isinstance(entry.fact, RolloutStarted)]
    views = []
    for fact in started:
        replayed = replay_entries((entry for entry in entries if entry.fact.model == fact.model), fact.rollout)
        applied = [
            entry.fact.seconds
            for entry in entries
            if isinstance(entry.fact, RouteApplied) and entry.fact.rollout == fact.rollout
        ]
        views.append(_view(replayed.final, replayed.decisions, applied))
    return tuple(views)


def rollout(context: Context, model: str) -> RolloutView:
    """The model's latest rollout."""
    found = rollouts(context, model)
    if not found:
        raise NotFound(f"{model} has no rollout: start one with `fairlead deploy {model}@VERSION`")
    return found[-1]


def replay(context: Context, rollout_id: str) -> Replay:
    """Recomputes every decision of a rollout from its journalled evidence, and compares byte for byte."""
    context.journal.verify()
    started = [
        entry.fact
        for entry in context.journal.read(kinds=["rollout_started"])
        if isinstance(entry.fact, RolloutStarted) and entry.fact.rollout == rollout_id
    ]
    if not started:
        raise NotFound(f"there is no rollout {rollout_id!r}: `fairlead rollout` lists them")
    kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided"]
    return replay_entries(context.journal.read(model=started[0].model, kinds=kinds), rollout_id)


def _view(state: Rollout, decisions: tuple[Decision, ...], applied: list[float]) -> RolloutView:
    last = decisions[-1] if decisions else None
    over = state.phase in _OVER and last is not None
    return RolloutView(
        id=state.id,
        model=state.model,
        version=state.version,
        champion=state.champion,
        strategy=state.plan.strategy,
        phase=state.phase,
        step=state.step,
        share=last.share if last else 0.0,
        started_at=state.started_at,
        decision=last,
        why=explain(last, state) if last else "nothing was decided yet",
        requests_exposed=state.seen.requests.get("canary", 0),
        seconds_to_decision=last.at - state.started_at if over and last else None,
        seconds_to_swap=applied[-1] if applied and over else None,
    )
