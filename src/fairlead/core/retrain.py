"""Whether a challenger is trained: by what the window showed, unless something speaks against it; with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from fairlead.core.broken import broken_by
from fairlead.core.compared import Slide
from fairlead.core.event import (
    Entry,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RolloutStarted,
    VersionRegistered,
)
from fairlead.core.listing import counted
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import SCORE, Stage, WindowReport, reports
from fairlead.core.rollout import Decision, Phase
from fairlead.core.schedule import Schedule
from fairlead.core.triggers import Growth, Trigger, met

DAY = 86_400.0
NO_TRIGGER = "no trigger: "


class RetrainPolicy(Struct, frozen=True):
    """When a challenger is trained. Durations are of event time; `psi` and `drop` are the bounds where no `triggers`
    are stated. `schedule_every_seconds` keeps scheduled runs apart, too; None: the schedule does."""

    at_least_labels: int = 1_000
    at_most_every_seconds: float = 30 * DAY
    psi: float = 0.25
    features: int = 2  # that many must exceed `psi`
    drop: float = 0.10  # of the primary metric, as a share of the reference; smaller ones are looked into
    triggers: tuple[Trigger, ...] = ()
    schedule_every_seconds: float | None = None


def decide(
    policy: RetrainPolicy,
    facts: Sequence[Entry],
    report: WindowReport,
    now_event_at: float,
    trained_rows: int | None = None,
) -> RetrainDecided:
    """The decision for one window. Idempotent: a window that has triggered its run keeps that very decision.
    `trained_rows` is how many rows the judged version was trained on, where that is known."""
    run = f"retrain-{report.model}-{report.window.replace(':', '')}"  # a key has no colon; a short window's name does
    for entry in facts:
        if isinstance(entry.fact, RetrainDecided) and entry.fact.run == run and entry.fact.triggered:
            return entry.fact
    if policy.triggers:
        triggers = met(policy.triggers, report, Growth(labels_since(facts, report), trained_rows))
    else:
        triggers = usual_triggers(policy, report)
    if not triggers:
        why = "no stated trigger is met" if policy.triggers else calm(report)
        return _decided(report, run, triggered=False, reason=NO_TRIGGER + why)
    objections = against(policy, facts, report, now_event_at)
    if objections:
        reason = f"{'; '.join(triggers)}; but {'; '.join(objections)}"
        return _decided(report, run, triggered=False, reason=reason)
    return _decided(report, run, triggered=True, reason="; ".join(triggers))


def decide_by_schedule(policy: RetrainPolicy, facts: Sequence[Entry], model: str, now: float) -> RetrainDecided | None:
    """The decision of a schedule at an instant of the wall clock; None where none is due, or nothing is new about it.

    The run's key is the schedule's instant: it is trained for once, whoever asks how often. What speaks against it is
    a decision too, and it is due until it was trained, or the next instant comes.
    """
    registered = [entry.at for entry in facts if isinstance(entry.fact, VersionRegistered)]
    due = [(at, one.text) for one in _schedules(policy) if (at := one.last(now)) is not None]
    if not due or not registered:
        return None
    at, text = max(due)
    if at <= registered[0]:
        return None
    run = f"retrain-{model}-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M}"
    before = [entry.fact for entry in facts if isinstance(entry.fact, RetrainDecided) and entry.fact.run == run]
    if any(fact.triggered for fact in before):
        return None
    objections = against_schedule(policy, facts, model, now)
    reason = f"the schedule {text} is due" + (f"; but {'; '.join(objections)}" if objections else "")
    if before and before[-1].reason == reason:
        return None
    return RetrainDecided(model=model, run=run, triggered=not objections, reason=reason)


def held_back(fact: RetrainDecided) -> bool:
    """Whether something spoke against a run that had a trigger."""
    return not fact.triggered and not fact.reason.startswith(NO_TRIGGER)


def labels_known(facts: Sequence[Entry], report: WindowReport) -> int:
    """Matured labels in all windows judged so far, this report's included; of each window the last report counts."""
    return sum(_labels(facts, report.model, report).values())


def labels_since(facts: Sequence[Entry], report: WindowReport) -> int:
    """Matured labels that the last training run, or the registration of the judged version, did not know of."""
    start = 0
    for place, entry in enumerate(facts):
        fact = entry.fact
        trained = isinstance(fact, RetrainDecided) and fact.triggered
        if trained or (isinstance(fact, VersionRegistered) and fact.version == report.version):
            start = place
    before = _labels(facts[:start], report.model)
    return sum(_labels(facts, report.model, report).values()) - sum(before.values())


def _labels(facts: Sequence[Entry], model: str, report: WindowReport | None = None) -> dict[str, int]:
    """The labels of each window, as its last report counts them; of one that slides the new ones, and none of one whose
    data are broken: nothing is learned from them."""
    known = {each.window: each for _, each in reports(facts) if each.model == model}
    if report is not None:
        known[report.window] = report
    return {
        name: each.slide.labels if isinstance(each.slide, Slide) else each.performance.labels
        for name, each in known.items()
        if each.performance is not None and not each.broken
    }


def _schedules(policy: RetrainPolicy) -> list[Schedule]:
    return [trigger.schedule for trigger in policy.triggers if trigger.schedule is not None]


def against_schedule(policy: RetrainPolicy, facts: Sequence[Entry], model: str, now: float) -> list[str]:
    """What speaks against a run that a schedule has made due, at an instant of the wall clock; one line each."""
    found = _broken(facts, model)
    labels = sum(_labels(facts, model).values())
    if labels < policy.at_least_labels:
        found.append(f"not enough matured labels ({labels:,} of {policy.at_least_labels:,})")
    runs = [entry.at for entry in facts if isinstance(entry.fact, RetrainDecided) and entry.fact.triggered]
    every = policy.schedule_every_seconds
    if every is not None and runs and now - runs[-1] < every:
        found.append(f"retrained less than {every / DAY:g} days ago")
    return found + _under_way(policy, facts, model)


def usual_triggers(policy: RetrainPolicy, report: WindowReport) -> list[str]:
    """What a window gives reason to train for where no triggers are stated."""
    found = []
    if report.harmful:
        found.append(f"window {report.window} is harmful: {report.harm.reason}")
    elif report.harm.level != "none" and (report.harm.drop or 0.0) > policy.drop:  # sure, as its interval is
        found.append(f"the primary metric is {report.harm.drop:.1%} worse than the reference")
    moved = [
        shift.name
        for shift in report.drift
        if shift.level == "critical" and (shift.psi or 0.0) > policy.psi and shift.name != SCORE
    ]
    # Once labels have shown what the shift does, they decide, not the shift.
    foretold = report.stage is Stage.CLOSED and report.quadrant is Quadrant.COVARIATE
    if len(moved) >= policy.features and (report.harmful or foretold):
        found.append(f"PSI exceeds {policy.psi:g} on {counted(len(moved), 'feature')} ({', '.join(moved[:5])})")
    return found


def calm(report: WindowReport) -> str:
    """Why it gives none."""
    if report.moved and report.quadrant is Quadrant.BENIGN:
        return f"{counted(len(report.moved), 'feature')} moved, and performance holds"
    return "neither performance nor enough features moved"


def against(policy: RetrainPolicy, facts: Sequence[Entry], report: WindowReport, now_event_at: float) -> list[str]:
    """What speaks against a run for a window, at an instant of event time; one line each."""
    found = _broken(facts, report.model, report)
    labels = labels_known(facts, report)
    if labels < policy.at_least_labels:
        found.append(f"not enough matured labels ({labels:,} of {policy.at_least_labels:,})")
    last = _last_run_at(facts, report)
    if last is not None and now_event_at - last < policy.at_most_every_seconds:
        found.append(f"retrained less than {policy.at_most_every_seconds / DAY:g} days ago")
    return found + _under_way(policy, facts, report.model)


def _broken(facts: Sequence[Entry], model: str, report: WindowReport | None = None) -> list[str]:
    """That the data are broken. Once the columns hold again nothing of it is left: triggers are looked at anew."""
    broken = broken_by(facts, model, report)
    return [] if broken is None else [broken.sentence]


def _under_way(policy: RetrainPolicy, facts: Sequence[Entry], model: str) -> list[str]:
    found = []
    training = _unfinished(policy, facts, model)
    if training:
        found.append(f"{training} is still in training")
    rollout = active_rollout(facts, model)
    if rollout:
        found.append(f"rollout {rollout} is in progress")
    return found


def _last_run_at(facts: Sequence[Entry], report: WindowReport) -> float | None:
    """Event time of the last triggered run: its window's last judgement."""
    judged = {each.window: each.judged_at for _, each in reports(facts) if each.model == report.model}
    runs = [
        judged[entry.fact.window]
        for entry in facts
        if isinstance(entry.fact, RetrainDecided) and entry.fact.triggered and entry.fact.window in judged
        and entry.fact.model == report.model
    ]  # fmt: skip
    return max(runs, default=None)


def _unfinished(policy: RetrainPolicy, facts: Sequence[Entry], model: str) -> str | None:
    """The run that has not come back. One that was asked for too long ago, by the journal's clock, is lost."""
    running: Entry | None = None
    for entry in facts:
        fact = entry.fact
        if isinstance(fact, RetrainDecided) and fact.model == model and fact.triggered:
            running = entry
        elif isinstance(fact, RetrainFinished) and fact.model == model:
            running = None
    if running is None or facts[-1].at - running.at >= policy.at_most_every_seconds:
        return None
    return running.fact.run if isinstance(running.fact, RetrainDecided) else None


def active_rollout(facts: Sequence[Entry], model: str) -> str | None:
    """The rollout of a model that has neither been promoted nor rolled back."""
    running: str | None = None
    for entry in facts:
        fact = entry.fact
        if fact.model != model:
            continue
        if isinstance(fact, RolloutStarted):
            running = fact.rollout
        elif isinstance(fact, RolloutDecided) and fact.rollout == running:
            after = msgspec.json.decode(fact.decision, type=Decision).after
            running = None if after in (Phase.PROMOTED, Phase.ROLLED_BACK) else running
    return running


def _decided(report: WindowReport, run: str, *, triggered: bool, reason: str) -> RetrainDecided:
    return RetrainDecided(model=report.model, run=run, triggered=triggered, reason=reason, window=report.window)
