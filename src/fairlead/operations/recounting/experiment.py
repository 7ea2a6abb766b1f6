"""Stopped experiments: the last reading, read from the log again as far as it went then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from fairlead.core.event import Entry, ExperimentStarted, ExperimentStopped, SubjectErased
from fairlead.core.experiment_terms import Terms
from fairlead.core.outlook import lasting
from fairlead.core.recount import BEFORE, State, compared
from fairlead.core.replay import fold
from fairlead.core.rollout import Rollout
from fairlead.errors import FairleadError
from fairlead.operations.context import Context
from fairlead.operations.experiment_facts import Trial, packed
from fairlead.operations.experiment_log import Reading, read_until
from fairlead.operations.recounting.kind import Kind, Pending

_OTHERS = "the log does not hold the units that were read"
_ARMS = ("rollout_started", "evidence_seen", "operator_asked", "rollout_decided")


def find(context: Context, model: str | None) -> Iterator[Pending]:
    """The experiments that were stopped."""
    started: dict[str, Trial] = {}
    for entry in context.journal.read(model=model, kinds=["experiment_started", "experiment_stopped"]):
        fact = entry.fact
        if isinstance(fact, ExperimentStarted):
            terms = msgspec.json.decode(fact.plan, type=Terms)
            started[fact.experiment] = Trial(fact.experiment, fact.model, fact.rollout, terms, "running", entry.at)
        elif isinstance(fact, ExperimentStopped):
            decide = partial(_decide, context, entry, started.get(fact.experiment))
            yield Pending("experiment", fact.experiment, entry, decide)


def _decide(context: Context, entry: Entry, one: Trial | None) -> tuple[State, str]:
    fact = entry.fact
    assert isinstance(fact, ExperimentStopped)
    if one is None:
        return "different", "the journal does not hold its start, nor the terms that it is read by"
    if fact.read_at is None:
        return "unproven", BEFORE
    try:
        read = read_until(context, one, _arms(context, one, entry.seq), fact.read_at)
    except FairleadError as error:
        return "unproven", error.line
    except Exception as error:  # noqa: BLE001 - what the log holds now need not be readable as what it held then
        return "unproven", f"the log cannot be read as it was: {type(error).__name__}: {error}"
    if read.units != fact.units:
        why = _why_gone(context, one, entry)
        return ("unproven", f"{_OTHERS}: {why}") if why else ("different", _OTHERS)
    return _compared(fact, read)


def _compared(fact: ExperimentStopped, read: Reading) -> tuple[State, str]:
    state, said = compared(bytes(fact.report), bytes(packed(read.report)))
    if state == "same" and fact.decision != read.report.decision.value:
        return "different", f"the journal's decision was {fact.decision} and comes out as {read.report.decision.value}"
    return state, said


def _arms(context: Context, one: Trial, before: int) -> list[Rollout]:
    """The rollouts of its arms as they stood before an entry."""
    entries = (entry for entry in context.journal.read(model=one.model, kinds=_ARMS) if entry.seq < before)
    states = fold(entries, one.model).values()
    return [state for state in states if state.plan.among is not None and state.plan.among.group == one.rollout]


def _why_gone(context: Context, one: Trial, entry: Entry) -> str:
    """What may have taken units out of the log, as it is meant to; empty where nothing has."""
    erased = any(
        isinstance(later.fact, SubjectErased) for later in context.journal.read(entry.seq, kinds=["subject_erased"])
    )
    if erased:
        return "a subject was erased since"
    log, age = context.settings.log, context.clock.now() - one.started_at
    if log.retention is not None and age > float(log.retention):
        return f"it keeps {lasting(float(log.retention))}"
    if float(log.sampling.rest) < 1.0 and age > float(log.sampling.after):
        return f"it is thinned after {lasting(float(log.sampling.after))}"
    return ""


EXPERIMENTS = Kind("experiment", find)
