"""What each trigger of a retraining says now, and what speaks against a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from fairlead.core.event import Entry, RetrainDecided, VersionRegistered
from fairlead.core.report import Stage, WindowReport, reports
from fairlead.core.retrain import RetrainPolicy, against, against_schedule, calm, labels_since, usual_triggers
from fairlead.core.triggers import Growth, Trigger, looked


class TriggerNow(Struct, frozen=True):
    """One trigger. `met` is None where there is nothing to judge it by; `by` is the window, or the instant, that it was
    judged by. `against` holds what keeps a run from being asked for, met or not."""

    trigger: str
    met: bool | None
    reason: str
    by: str = ""
    against: tuple[str, ...] = ()


def triggers_now(
    policy: RetrainPolicy, facts: Sequence[Entry], model: str, now: float, trained_rows: int | None = None
) -> tuple[TriggerNow, ...]:
    """Every stated trigger, or the usual one where none is stated, by the journal as it stands. `facts` are the
    model's; `now` is of the wall clock. Drift is judged by the last window, performance by the last with labels."""
    known = [report for _, report in reports(facts) if report.model == model and report.rows]
    last = known[-1] if known else None
    matured = next((each for each in reversed(known) if each.stage is Stage.MATURED), last)
    if not policy.triggers:
        return (_usual(policy, facts, last),)
    growth = Growth(0 if last is None else labels_since(facts, last), trained_rows)
    return tuple(
        _scheduled(policy, facts, model, now, trigger)
        if trigger.schedule is not None
        else _by_window(policy, facts, trigger, matured if trigger.performance is not None else last, growth)
        for trigger in policy.triggers
    )


def name_of(trigger: Trigger) -> str:
    """As the settings state it.

    >>> name_of(Trigger(volume=0.2))
    'volume 20%'
    """
    if trigger.schedule is not None:
        return f"schedule {trigger.schedule.text}"
    if trigger.drift is not None:
        return f"{trigger.drift.text} on {trigger.features} or more" if trigger.features > 1 else trigger.drift.text
    return trigger.performance.text if trigger.performance is not None else f"volume {trigger.volume or 0.0:.0%}"


def _usual(policy: RetrainPolicy, facts: Sequence[Entry], last: WindowReport | None) -> TriggerNow:
    name = "harm, or drift that foretells it"
    if last is None:
        return TriggerNow(name, None, "no window with answers has been judged yet")
    found = usual_triggers(policy, last)
    said = "; ".join(found) if found else calm(last)
    return TriggerNow(name, bool(found), said, last.window, tuple(against(policy, facts, last, last.judged_at)))


def _by_window(
    policy: RetrainPolicy, facts: Sequence[Entry], trigger: Trigger, report: WindowReport | None, growth: Growth
) -> TriggerNow:
    if report is None:
        return TriggerNow(name_of(trigger), None, "no window with answers has been judged yet")
    met, said = looked(trigger, report, growth)
    objections = tuple(against(policy, facts, report, report.judged_at))
    return TriggerNow(name_of(trigger), met, said, report.window, objections)


def _scheduled(policy: RetrainPolicy, facts: Sequence[Entry], model: str, now: float, trigger: Trigger) -> TriggerNow:
    assert trigger.schedule is not None
    at = trigger.schedule.last(now)
    since = [entry.at for entry in facts if isinstance(entry.fact, VersionRegistered)]
    name = name_of(trigger)
    if at is None or not since:
        return TriggerNow(name, None, "it has never been due" if since else "no version is registered")
    instant = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    objections = tuple(against_schedule(policy, facts, model, now))
    if at <= since[0]:
        return TriggerNow(name, False, "it was last due before the first version", instant, objections)
    run = f"retrain-{model}-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M}"
    done = any(isinstance(one.fact, RetrainDecided) and one.fact.triggered and one.fact.run == run for one in facts)
    said = f"{run} was asked for" if done else "it is due"
    return TriggerNow(name, not done, said, instant, objections)
