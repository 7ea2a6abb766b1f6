"""An experiment from its start to its end: an A/B rollout with the terms that it is read by, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import msgspec
from msgspec import Raw, Struct, structs

from fairlead.core.arms import CHAMPION, Among, fault_of, stated_shares
from fairlead.core.event import AliasMoved, ExperimentStarted, ExperimentStopped, canonical
from fairlead.core.experiment import Action
from fairlead.core.experiment_terms import Terms, duration_fault, measures, unknown_event
from fairlead.core.listing import first_of
from fairlead.core.split import By
from fairlead.errors import Refused, UsageError
from fairlead.flows.unit_values import Sought, UnitValues
from fairlead.operations import rollouts
from fairlead.operations.context import Context
from fairlead.operations.experiment_facts import Trial, arms_of, packed, trial, trials
from fairlead.operations.experiment_log import follow, keep, needs, read_until
from fairlead.operations.experiment_sizing import Aim, Period, plan_for
from fairlead.operations.experiments import ArmComparison
from fairlead.operations.models import resolve

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EVEN: Mapping[int, float] = {}
_DAY = 86_400.0


class Seen(Struct, frozen=True):
    """What the log tells of a model before an experiment: answers with and without a unit, and the events' names."""

    units: int
    without_unit: int
    events: tuple[str, ...]


def start(
    context: Context,
    reference: str,
    terms: Terms,
    *,
    name: str = "",
    shares: Mapping[int, float] = _EVEN,
    aim: Aim | None = None,
) -> Trial:
    """Starts an experiment of `name@7` or `name@7,8` against the champion: an A/B rollout, and the terms it is read by.

    `terms` come without champion, arms and plan, which are filled in here; `shares` are those of the challengers; with
    an `aim` it is planned from the model's logged traffic. Raises
    `Refused` while another experiment or rollout runs, without passed gates, without a champion, and where no caller
    names a unit; `UsageError` for what cannot be read.
    """
    model, _, which = reference.partition("@")
    versions = [resolve(context, f"{model}@{one.strip()}").version for one in which.split(",")]
    _refuse_other(context, model, name)
    _refuse_split(context, model)
    champion = _champion(context, model, versions)
    among = Among("draft", stated_shares(versions, shares))
    if fault := fault_of(among):
        raise UsageError(f"{model} cannot be dealt to its arms: {fault}")
    terms = structs.replace(terms, champion=champion, arms=among.shares)
    check(context, model, terms)
    if aim is not None:
        period = Period(window=terms.window, delay=terms.delay, before=terms.before)
        made = plan_for(context, model, terms.metric, aim, among.shares, period, terms.covariate)
        terms = structs.replace(terms, planned=msgspec.to_builtins(made.plan))
    said = f"an experiment on {terms.metric}" + (f": {terms.reason}" if terms.reason else "")
    group = rollouts.deploy(context, reference, "ab", said, shares, beside=_beside(model, name, terms))
    return trial(context, name or group)


def check(context: Context, model: str, terms: Terms) -> None:
    """Refuses terms that no reading could be made by: `UsageError`, and `Refused` where no caller names a unit."""
    if not 0.0 < terms.alpha < 1.0:
        raise UsageError(f"alpha is {terms.alpha:g}: the chance of a false finding lies between 0 and 1, as in 5%")
    if fault := duration_fault(terms):
        raise UsageError(fault)
    sought = needs(terms)
    before = () if terms.covariate is None else measures(terms.covariate)
    if inner := next((one for one in before if one.of_answers), None):
        raise UsageError(f"the covariate is {inner.text!r}: it is of the units' events before the start")
    _refuse_features(context, model, terms)
    seen = seen_of(context, model)
    if not seen.units and (seen.without_unit or not _unit_named(context, model)):
        raise Refused(
            f"no caller of {model} names a unit, so nothing that happens later can be joined to an arm: send unit_id "
            "with each request"
        )
    events = [one.name for one in (*sought, *before) if not one.of_answers]
    missing = unknown_event(events, seen.events)
    near = [one for name in events if name not in seen.events for one in get_close_matches(name, seen.events, 1)]
    if missing and near:
        raise UsageError(f"{missing}; did you mean {near[0]}?")


def stop(context: Context, name: str, wish: str = "", reason: str = "") -> Trial:
    """Ends an experiment as its last reading says: the better version is promoted, or all go back to the champion.

    `wish` is empty, "abort", or a version to promote; one that the reading does not ask for needs a `reason`. Raises
    `Refused` where the reading asks to go on and nothing else is wished, and where the rollout has not begun yet.
    """
    one = trial(context, name)
    if not one.open:
        raise Refused(f"{one.id} was {one.state} already: `fairlead experiment read {one.id}` shows it")
    if one.state == "asked":
        raise Refused(f"{one.rollout} waits for the controller: is `fairlead up` running?")
    read = read_until(context, one, arms_of(context, one), context.clock.now())
    report = read.report
    end = _chosen(one, report, wish, reason)
    said = reason.strip() or report.verdict.reason
    fact = ExperimentStopped(one.model, one.id, report.decision.value, packed(report), said, read.at, read.units)
    if one.state == "ended":  # by its guardrails, or an operator's hand: there is nothing left to end
        context.journal.append([fact], actor=context.actor, at=context.clock.now())
    elif end == "abort":
        rollouts.operate(context, one.model, "abort", said, beside=[fact])
    else:
        rollouts.operate(context, f"{one.model}@{end}", "promote", said, beside=[fact])
    keep(context, one, report)
    return trial(context, one.id)


def _chosen(one: Trial, report: ArmComparison, wish: str, reason: str) -> str:
    """What is done: "abort", or a version to promote. Raises `Refused` and `UsageError` as `stop` does."""
    follows = _end(report)
    end = wish or follows
    if not end and one.state != "ended":
        raise Refused(
            f"the reading says {report.decision}: {report.verdict.reason}; to end it all the same give --abort or "
            "--promote V, with --reason"
        )
    if wish.isdigit() and int(wish) not in (arm.version for arm in one.terms.arms):
        there = ", ".join(str(arm.version) for arm in one.terms.arms)
        raise UsageError(f"version {wish} is no arm of {one.id}: --promote takes one of {there}")
    if wish.isdigit() and one.state == "ended":
        raise Refused(f"{one.rollout} has ended: `fairlead deploy {one.model}@{wish}` releases a version")
    if end != follows and not reason.strip():
        said = f"to promote {follows}" if follows.isdigit() else "to abort" if follows else "to go on"
        raise UsageError(f"the reading says {report.decision}, that is {said}: say why otherwise with --reason")
    return end


def _end(report: ArmComparison) -> str:
    """What a reading asks to be done: a version to promote, abort, or nothing yet."""
    if report.decision is Action.SHIP:
        shipped = next(one.treatment for one in report.primary if one.decision.action is Action.SHIP)
        return shipped.rpartition("-")[2]  # as `core.arms.label` names a challenger
    return "abort" if report.decision in (Action.STOP, Action.ITERATE, Action.FIX) else ""


def seen_of(context: Context, model: str) -> Seen:
    """What the log holds of a model."""
    found = UnitValues(Sought(model, (), 0.0, 0.0, float("-inf")))
    follow(context, found)
    return Seen(found.units, found.without_unit, tuple(sorted(found.event_names)))


def _beside(model: str, name: str, terms: Terms) -> Callable[[str], Sequence[ExperimentStarted]]:
    return lambda group: [ExperimentStarted(model, name or group, group, Raw(canonical(terms)))]


def _refuse_other(context: Context, model: str, name: str) -> None:
    known = trials(context)
    if name and not _ID.fullmatch(name):
        raise UsageError(f"{name!r} names no experiment: use letters, digits, dots, dashes and underscores, at most 64")
    if name and any(name in (one.id, one.model) for one in known):
        raise UsageError(f"{name!r} is an experiment or a model with one already: choose another name")
    running = next((one for one in known if one.model == model and one.open), None)
    if running is not None:
        raise Refused(
            f"{running.id} is under way: `fairlead experiment read {running.id}` shows it, `fairlead experiment stop "
            f"{running.id}` ends it"
        )


def _refuse_split(context: Context, model: str) -> None:
    split = context.settings.rollout.split.split
    if split.by is not By.UNIT or split.explore:
        how = f"by {split.by.value}{' and explores' * bool(split.explore)}"
        raise Refused(
            f"rollout.split deals {model} {how}, and an experiment is read by units that keep their arm: write by: "
            "unit, without explore"
        )


def _champion(context: Context, model: str, versions: Sequence[int]) -> int:
    champion = None
    for entry in context.journal.read(model=model, kinds=["alias_moved"]):
        if isinstance(entry.fact, AliasMoved) and entry.fact.alias == CHAMPION:
            champion = entry.fact.version
    if champion is None:
        raise Refused(
            f"{model} has no champion to compare with: make one first, `fairlead deploy {model}@{versions[0]} "
            "--strategy canary`"
        )
    return champion


def _refuse_features(context: Context, model: str, terms: Terms) -> None:
    if not terms.segments:
        return
    names = context.bundles.manifest(resolve(context, f"{model}@{terms.champion}").bundle).contract.names
    twice = next((name for name in terms.segments if name in {one.text for one in needs(terms)}), None)
    if twice is not None:
        raise UsageError(f"{twice!r} is a metric and a segment of this experiment: leave one of them out")
    missing = next((name for name in terms.segments if name not in names), None)
    if missing is not None:
        near = get_close_matches(missing, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {first_of(names)}"
        raise UsageError(f"the segment {missing!r} is no feature of {model}: {hint}")


def _unit_named(context: Context, model: str) -> bool:
    known = context.settings.models.get(model)
    return known is not None and known.unit is not None
