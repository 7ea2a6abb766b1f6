"""Rollouts: start one, see it, ask why, replay it, and the operator's hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.advance import apply_operator
from fairlead.core.after import why_after
from fairlead.core.arms import Among, fault_of, stated_shares
from fairlead.core.asked_of import arms_for
from fairlead.core.contract import Contract, Task
from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    DeployAsked,
    DeployRefused,
    OperatorAsked,
    RolloutStarted,
    RouteApplied,
)
from fairlead.core.listing import first_of
from fairlead.core.replay import Replay, fold
from fairlead.core.replay import replay as replay_entries
from fairlead.core.rollout import Call, Decision, Phase, Plan, Rollout, Step
from fairlead.core.why import why as explain
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.environments import admit
from fairlead.operations.gates import passed_gate
from fairlead.operations.looking import check_plan_of
from fairlead.operations.models import resolve
from fairlead.operations.outlook import plan_of
from fairlead.operations.refused import refused_last
from fairlead.operations.selftest import allowed
from fairlead.operations.shadow_report import ShadowReport, shadow_report, worst_pairs
from fairlead.ports.registry import VersionInfo

Verb = Literal["promote", "pause", "resume", "abort", "rollback"]
VERBS: tuple[Verb, ...] = ("promote", "pause", "resume", "abort", "rollback")
_EVEN: Mapping[int, float] = MappingProxyType({})
_OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)
REPLAYED = (
    "rollout_started",
    "evidence_seen",
    "operator_asked",
    "rollout_decided",
    "promotion_seen",
    "promotion_decided",
)


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
    group: str = ""  # what the arms of one rollout have in common; the id where there is one
    shadow: ShadowReport | None = None  # where requests were answered by both
    refused: str = ""  # of the model's latest: the deploy that was refused since, and why


def _alone(_group: str) -> Sequence[AnyFact]:
    return ()


def deploy(
    context: Context,
    reference: str,
    strategy: str | None = None,
    reason: str = "",
    arms: Mapping[int, float] = _EVEN,
    beside: Callable[[str], Sequence[AnyFact]] = _alone,
) -> str:
    """Asks for a rollout of `name@version` and returns its id. Refused without a passed, unexpired gate of this bundle.

    The controller starts it as soon as no other rollout of the model runs. With the strategy ab `name@7,8` names
    several challengers, `arms` their shares (even ones where none is given), and the id is that of all of them.
    `beside` makes facts of the id that are written with it, or not at all.
    """
    plan, now = plan_of(context, reference.partition("@")[0], strategy), context.clock.now()
    infos = [_deployable(context, one, now) for one in _references(reference, plan.strategy)]
    model = infos[0].model
    environment = {info.version: admit(context, info) for info in infos}
    _refuse_second(context, model)
    for info in infos:
        contract = context.bundles.manifest(info.bundle).contract
        _refuse_unknown_feature(model, contract.names, plan.split.feature)
        check_plan_of(context, model, contract)
        _refuse_values(context, model, contract)
    plan, by_hand = allowed(context, model, plan)
    reason = "; ".join(filter(None, (reason, by_hand and f"a broken guardrail asks an operator, as {by_hand}")))
    number = sum(1 for _ in context.journal.read(model=model, kinds=["deploy_asked"])) + 1
    if plan.strategy == "ab":
        group, asked = _arms_asked(infos, plan, number, arms, reason)
        _refuse_without_champion(context, infos)
    elif arms:
        raise UsageError(f"shares of arms are for the strategy ab, not for {plan.strategy}: add --strategy ab")
    else:
        group = f"{model}-{infos[0].version}-{number}"
        asked = [DeployAsked(model, group, infos[0].version, infos[0].bundle, plan, reason)]
    facts = [replace(fact, environment=environment[fact.version]) for fact in asked]
    context.journal.append([*facts, *beside(group)], actor=context.actor, at=now)
    return group


def why_held(context: Context, model: str, strategy: str | None = None) -> str:
    """Why a broken guardrail would hold a rollout of the model that is deployed now, instead of rolling it back; empty
    where it rolls back, or where no champion answers beside it and nothing is judged."""
    why = allowed(context, model, plan_of(context, model, strategy))[1]
    return why if why and _champion(context, model) is not None else ""


def _refuse_values(context: Context, model: str, contract: Contract) -> None:
    """Of values no decision can be drawn: there is no other side of a threshold."""
    if contract.task is Task.REGRESSION and model in context.settings.loops.draws:
        raise Refused(
            f"loops.randomise names {model}, which answers with values: decisions are drawn among classes; take it out "
            "of loops.randomise.models"
        )


def _references(reference: str, strategy: str) -> list[str]:
    """The versions that are meant, each as `name@version`. Raises `UsageError` for several without the strategy ab."""
    name, at, which = reference.partition("@")
    several = [one.strip() for one in which.split(",")]
    if len(several) > 1 and strategy != "ab":
        raise UsageError(f"{reference} names {len(several)} versions: that is for --strategy ab, not for {strategy}")
    return [f"{name}{at}{one}" for one in several]


def _deployable(context: Context, reference: str, now: float) -> VersionInfo:
    info = resolve(context, reference)
    passed_gate(context, info, now)
    if "champion" in info.aliases:
        raise Refused(f"{info.model}@{info.version} is the champion already: there is nothing to roll out")
    return info


def _arms_asked(
    infos: Sequence[VersionInfo], plan: Plan, number: int, arms: Mapping[int, float], reason: str
) -> tuple[str, list[DeployAsked]]:
    """A rollout for each challenger, and the name of them all. Raises `UsageError` for shares that cannot be dealt."""
    model, versions = infos[0].model, [info.version for info in infos]
    strange = [version for version in arms if version not in versions]
    left_out = [version for version in versions if arms and version not in arms]
    if strange or left_out:
        raise UsageError(
            f"the arms' shares name {list(arms)}, and {versions} are deployed: give each of them one share"
        )
    among = Among(f"{model}-ab-{number}", stated_shares(versions, arms))
    if fault := fault_of(among):
        raise UsageError(f"{model} cannot be dealt to its arms: {fault}")
    asked = []
    for place, info in enumerate(infos):
        own = replace(plan, steps=(Step(among.share_of(info.version)),), among=among)
        rollout = f"{model}-{info.version}-{number + place}"
        asked.append(DeployAsked(model, rollout, info.version, info.bundle, own, reason))
    return among.group, asked


def _refuse_unknown_feature(model: str, names: Sequence[str], feature: str) -> None:
    """A split by what no request has would deal nothing. Raises `UsageError`."""
    if feature and feature not in names:
        near = get_close_matches(feature, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {first_of(names)}"
        raise UsageError(f"rollout.split names the feature {feature!r}, which {model} does not have: {hint}")


def _champion(context: Context, model: str) -> int | None:
    champion = None
    for entry in context.journal.read(model=model, kinds=["alias_moved"]):
        if isinstance(entry.fact, AliasMoved) and entry.fact.alias == "champion":
            champion = entry.fact.version
    return champion


def _refuse_without_champion(context: Context, infos: Sequence[VersionInfo]) -> None:
    """Arms are compared with the champion that the journal knows. Raises `Refused`."""
    model = infos[0].model
    if _champion(context, model) is None:
        raise Refused(
            f"{model} has no champion to compare its arms with: make one first, "
            f"`fairlead deploy {model}@{infos[0].version} --strategy canary`"
        )


def _refuse_second(context: Context, model: str) -> None:
    """One rollout at a time, and no queue behind it that would one day start by itself. Raises `Refused`."""
    kinds = ["deploy_asked", "deploy_refused", "rollout_started"]
    facts = [entry.fact for entry in context.journal.read(model=model, kinds=kinds)]
    answered = {fact.rollout for fact in facts if isinstance(fact, DeployRefused | RolloutStarted)}
    waiting = [fact.rollout for fact in facts if isinstance(fact, DeployAsked) and fact.rollout not in answered]
    if waiting:
        raise Refused(
            f"{waiting[0]} was asked for before and still waits for the controller: is `fairlead up` running?"
        )
    state = next((one for one in _latest(context, model) if one.phase not in _OVER), None)
    if state is not None:
        raise Refused(f"{state.id} is under way ({state.phase.value}): wait for it, or `fairlead abort {model}`")


def _latest(context: Context, model: str) -> list[Rollout]:
    """The model's last rollout as it stands; of one with several arms all of them."""
    kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided"]
    found = list(fold(context.journal.read(model=model, kinds=kinds), model).values())
    return [one for one in found if _group(one) == _group(found[-1])]


def _group(rollout: Rollout) -> str:
    among = rollout.plan.among
    return rollout.id if among is None else among.group


def operate(
    context: Context,
    model: str,
    verb: Verb,
    reason: str = "",
    *,
    actor: str = "",
    by: str = "",
    beside: Sequence[AnyFact] = (),
) -> None:
    """The operator's hand: promote, pause, resume, abort or rollback. The controller performs it.

    `model` may be `name@version` where several arms run: then that arm alone is meant. `by` says who asks where no
    operator does. `beside` is written with it, or not at all.
    """
    if verb not in VERBS:
        raise Refused(f"{verb!r} is not something to do to a rollout: use one of {', '.join(VERBS)}")
    model, _, version = model.partition("@")
    if not any(True for _ in context.journal.read(model=model, kinds=["rollout_started", "deploy_asked"])):
        raise NotFound(f"{model} has no rollout to {verb}: start one with `fairlead deploy {model}@VERSION`")
    latest, now = _latest(context, model), context.clock.now()
    meant = [one for one in latest if version in ("", str(one.version))]
    if not meant and version:
        there = ", ".join(f"{model}@{one.version}" for one in latest) or "none"
        raise NotFound(
            f"{model}@{version} has no rollout to {verb}: start one with `fairlead deploy {model}@{version}`; "
            f"in the latest there is {there}"
        )
    # What makes no sense is refused here and now, not in an hour.
    for one in arms_for(verb, meant) if meant else []:
        apply_operator(one, verb, now, reason, by)
    # What is meant is the rollout that was seen when asking: by the time it is performed another may run.
    seen = "" if not meant else meant[0].id if version else _group(meant[0])
    asked = OperatorAsked(model, verb, reason, seen=seen, by=by)
    context.journal.append([asked, *beside], actor=actor or context.actor, at=now)


def rollouts(context: Context, model: str | None = None) -> tuple[RolloutView, ...]:
    """Every rollout, oldest first."""
    kinds = [*REPLAYED, "route_applied"]
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
        pairs = worst_pairs(context.home, fact.rollout)
        shadow = shadow_report(replayed.final.seen, replayed.final.plan.alpha, pairs)
        view = _view(replayed.final, replayed.decisions, applied)
        views.append(replace(view, shadow=shadow, why=_since(view, replayed)))
    return tuple(views)


def _since(view: RolloutView, replayed: Replay) -> str:
    """Why it stands where it stands, with what the watch over its promotion has seen since, if there was one."""
    if not replayed.promotion or replayed.watched is None:
        return view.why
    last = replayed.promotion[-1]
    if last.call is Call.REGRESS:
        return why_after(last, replayed.watched)
    return f"{view.why.removesuffix('.')}; {last.reason}." if view.phase is Phase.PROMOTED else view.why


def rollout(context: Context, model: str) -> RolloutView:
    """The model's latest rollout; of one with several arms the last."""
    return arms(context, model)[-1]


def arms(context: Context, model: str) -> tuple[RolloutView, ...]:
    """The model's latest rollout: one, or each arm of it. Raises `NotFound`."""
    found = rollouts(context, model)
    if not found and (refused := refused_last(context, model)):
        raise NotFound(f"{model} has no rollout: {refused[-1].group} was refused: {refused[-1].reason}")
    if not found:
        raise NotFound(f"{model} has no rollout: start one with `fairlead deploy {model}@VERSION`")
    since = refused_last(context, model, found[-1].started_at)
    said = f"{since[-1].group} was refused: {since[-1].reason}" if since else ""
    return tuple(replace(view, refused=said) for view in found if view.group == found[-1].group)


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
    return replay_entries(context.journal.read(model=started[0].model, kinds=REPLAYED), rollout_id)


def replays(context: Context, rollout: str) -> dict[str, Replay]:
    """The same by rollout; of what several arms have in common, each of them. Raises `NotFound`."""
    ids = [
        fact.rollout
        for entry in context.journal.read(kinds=["rollout_started"])
        if isinstance(fact := entry.fact, RolloutStarted)
        and fact.plan.among is not None
        and fact.plan.among.group == rollout
    ]
    return {one: replay(context, one) for one in ids or [rollout]}


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
        group=_group(state),
    )
