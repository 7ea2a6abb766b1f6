"""Experiments as the journal tells them: which there are, how each stands, and its report once it was stopped."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, structs

from fairlead.core.arms import ArmShare
from fairlead.core.event import DeployAsked, DeployRefused, ExperimentStarted, ExperimentStopped, canonical
from fairlead.core.experiment_terms import Terms
from fairlead.core.listing import first_of
from fairlead.core.replay import fold
from fairlead.core.rollout import Phase, Rollout
from fairlead.errors import NotFound
from fairlead.operations.context import Context
from fairlead.operations.experiments import ArmComparison

State = Literal["asked", "running", "refused", "ended", "stopped"]
OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)


class Trial(Struct, frozen=True):
    """An experiment as it stands. `state`: asked (the controller has not started it), running, refused, ended (no arm
    of it runs any more) or stopped. `decision`, `reason` and `report` are those that it was stopped with."""

    id: str
    model: str
    rollout: str
    terms: Terms
    state: State
    started_at: float
    stopped_at: float | None = None
    decision: str = ""
    reason: str = ""
    report: ArmComparison | None = None

    @property
    def open(self) -> bool:
        """Whether it is still to be read and stopped."""
        return self.state not in ("refused", "stopped")


def trials(context: Context, model: str | None = None) -> tuple[Trial, ...]:
    """Every experiment, oldest first."""
    found: dict[str, Trial] = {}
    for entry in context.journal.read(model=model, kinds=["experiment_started", "experiment_stopped"]):
        fact = entry.fact
        if isinstance(fact, ExperimentStarted):
            terms = msgspec.json.decode(fact.plan, type=Terms)
            found[fact.experiment] = Trial(fact.experiment, fact.model, fact.rollout, terms, "asked", entry.at)
        elif isinstance(fact, ExperimentStopped) and fact.experiment in found:
            found[fact.experiment] = structs.replace(
                found[fact.experiment],
                state="stopped",
                stopped_at=entry.at,
                decision=fact.decision,
                reason=fact.reason,
                report=unpacked(fact.report),
            )
    return tuple(_stated(context, one) for one in found.values())


def trial(context: Context, name: str) -> Trial:
    """The experiment of an id, or the latest of a model. Raises `NotFound`."""
    found = trials(context)
    named = [one for one in found if one.id == name] or [one for one in found if one.model == name]
    if not named:
        there = f"there is {first_of([one.id for one in found])}" if found else "none was started yet"
        raise NotFound(
            f"there is no experiment {name!r} in this home: {there}; `fairlead experiment start NAME@V --metric …` "
            "starts one"
        )
    return named[-1]


class Summary(Struct, frozen=True):
    """An experiment in a list."""

    experiment: str
    model: str
    metric: str
    state: State
    started_at: float
    stopped_at: float | None
    champion: int
    arms: tuple[ArmShare, ...]
    decision: str
    reason: str


def summary(one: Trial) -> Summary:
    """What a list says of an experiment."""
    terms = one.terms
    named = one.id, one.model, terms.metric, one.state, one.started_at, one.stopped_at
    return Summary(*named, terms.champion, terms.arms, one.decision, one.reason)


def arms_of(context: Context, one: Trial) -> list[Rollout]:
    """The rollouts of an experiment's challengers as they stand; empty before the controller started them."""
    kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided"]
    states = fold(context.journal.read(model=one.model, kinds=kinds), one.model).values()
    return [state for state in states if state.plan.among is not None and state.plan.among.group == one.rollout]


def packed(report: ArmComparison) -> Raw:
    """A report as it stands in a fact: an end that is infinite is text, as JSON has no number for it."""
    return Raw(canonical(_spelt(msgspec.to_builtins(report))))


def unpacked(report: Raw) -> ArmComparison:
    """The report of a fact, as it was."""
    return msgspec.convert(msgspec.json.decode(report), ArmComparison, strict=False)


def _spelt(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelt(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(one) for one in value]
    return repr(value) if isinstance(value, float) and not isfinite(value) else value


def _stated(context: Context, one: Trial) -> Trial:
    if one.state == "stopped":
        return one
    arms = arms_of(context, one)
    if arms:
        return structs.replace(one, state="ended" if all(arm.phase in OVER for arm in arms) else "running")
    asked, refused = set(), set()
    for entry in context.journal.read(model=one.model, kinds=["deploy_asked", "deploy_refused"]):
        fact = entry.fact
        if isinstance(fact, DeployAsked) and fact.plan.among is not None and fact.plan.among.group == one.rollout:
            asked.add(fact.rollout)
        elif isinstance(fact, DeployRefused):
            refused.add(fact.rollout)
    return structs.replace(one, state="refused") if asked and asked <= refused else one


class LastReading(Struct, frozen=True):
    """An experiment with the last reading that was made of it; None before the first. `terms`: what it is read by."""

    experiment: Summary
    terms: Terms
    report: dict[str, Any] | None = None


def listed(context: Context, model: str | None = None) -> tuple[Summary, ...]:
    """The experiments that were started, oldest first; of one model, if named."""
    return tuple(summary(one) for one in trials(context, model))


def last_reading(context: Context, name: str) -> LastReading:
    """The last reading of an experiment, or of a model's latest, as it was kept; nothing is read anew. Raises
    `NotFound`."""
    one = trial(context, name)
    report = None if one.report is None else one.report.to_dict()
    if report is None:
        with suppress(OSError, msgspec.DecodeError):
            kept = (context.home / "experiments" / f"{one.id}.json").read_bytes()
            report = msgspec.json.decode(kept, type=dict[str, Any])
    return LastReading(summary(one), one.terms, report)
