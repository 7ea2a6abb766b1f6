"""What an alert was told, held back or ended from: the values that met its condition, or the window that showed it,
what stood before, and the policy. From it the same fact comes again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType
from msgspec.structs import replace

from fairlead.core.alarm import alarms_of
from fairlead.core.alert import Alarm, AlertDecision, AlertPolicy, Standing, budgeted, decide, pages_spent, standing
from fairlead.core.condition import Measured, evaluate
from fairlead.core.event import AlertQuieted, AlertRaised, Entry, WindowJudged, canonical
from fairlead.core.plain import kept, taken
from fairlead.core.report import report_of
from fairlead.core.watchpoint import Watchpoint, alarm_of, alarm_of_silence

EDITION = 3  # of how alerts are decided and told: that of alarms
EDITIONS = (1, 2, EDITION)
NOTICES = 3  # since the third, the budget of pages is one of notices, and no alert knows it


class ConditionSeen(Struct, frozen=True, tag="condition"):
    """A condition of the settings, and the values that it was held against. `silent` is None, or, where the alarm is of
    its silence, whether that has lasted for long."""

    point: Watchpoint
    measured: tuple[Measured, ...]
    version: int | None = None
    silent: bool | None = None


class WindowSeen(Struct, frozen=True, tag="window"):
    """The judgement of a window that the alarm is of."""

    window: str
    stage: str
    judged_at: float


class AlertEvidence(Struct, frozen=True):
    """All that a fact of an alert follows from. `basis` is None where the alarm is as its own watch gave it."""

    edition: int
    alarm: Alarm
    now: float  # on the journal's clock
    policy: AlertPolicy
    standing: Standing | None
    spent: int  # pages, as far as there is a budget of them
    basis: ConditionSeen | WindowSeen | None = None


def evidence_of(choice: AlertDecision, policy: AlertPolicy, edition: int = EDITION) -> Raw:
    """What a decision was taken from, as its fact keeps it."""
    alarm = choice.alarm
    basis = None if alarm.basis is None else taken(alarm.basis, ConditionSeen | WindowSeen)
    bare = replace(alarm, basis=None)
    told = AlertEvidence(edition, bare, choice.now, policy, choice.standing, choice.spent, basis)
    return Raw(canonical(kept(told)))


def read_evidence(text: Raw) -> AlertEvidence:
    """The evidence of a fact. Raises `msgspec.MsgspecError`."""
    plain: Any = msgspec.json.decode(text)
    found: AlertEvidence = taken(plain, AlertEvidence)
    return found


def with_condition(
    alarm: Alarm, point: Watchpoint, measured: Sequence[Measured], version: int | None, silent: bool | None = None
) -> Alarm:
    """An alarm that says what it was seen from."""
    return replace(alarm, basis=kept(ConditionSeen(point, tuple(measured), version, silent)))


def alarm_again(evidence: AlertEvidence, model: str, known: Iterable[Entry]) -> Alarm | str:
    """The alarm as it comes out of its basis; or why it does not. `known` are the model's facts before."""
    basis = evidence.basis
    if basis is None:
        return evidence.alarm
    if isinstance(basis, ConditionSeen):
        judgement = evaluate(basis.point.condition, basis.measured, basis.point.at_least)
        if basis.silent is not None:
            alarm = alarm_of_silence(basis.point, model, judgement, long=basis.silent)
        else:
            alarm = alarm_of(basis.point, model, judgement, basis.version)
        return replace(alarm, channels=evidence.alarm.channels)
    for entry in known:
        fact = entry.fact
        if isinstance(fact, WindowJudged) and fact.window == basis.window:
            report = report_of(fact)
            if (report.stage.value, report.judged_at) == (basis.stage, basis.judged_at):
                return next(
                    replace(one, basis=None)
                    for one in alarms_of(report, evidence.edition)
                    if one.alert == evidence.alarm.alert
                )
    return f"the journal holds no judgement of window {basis.window} ({basis.stage}) before it"


def decided_again(evidence: AlertEvidence, alarm: Alarm, at: float, known: Sequence[Entry]) -> AlertDecision:
    """The decision on an alarm, with what stood and was spent before it, as the journal has it."""
    policy = evidence.policy
    stands = standing(known, alarm.model)
    choice = decide(stands, alarm, at, policy)
    if evidence.edition >= NOTICES:
        return replace(choice, standing=stands.get(alarm.alert), now=evidence.now)
    spent = pages_spent(known, evidence.now - policy.pages_seconds) if policy.pages is not None else 0
    choice = budgeted(choice, spent, policy)
    return replace(choice, standing=stands.get(alarm.alert), spent=spent, now=evidence.now)


def of_condition(fact: AlertRaised) -> bool | None:
    """Whether a condition of the settings raised an alert; None where no evidence of it was kept that can be read."""
    if isinstance(fact.seen, UnsetType):
        return None
    try:
        return isinstance(read_evidence(fact.seen).basis, ConditionSeen)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def window_of(fact: AlertRaised) -> str:
    """The window that an alert is of: that of its evidence, else the one that its title ends with; empty where it is of
    no window, as one of a condition is.

    >>> window_of(AlertRaised("shop", "unusual-impact", "medium", "Callers see it in window 2026-10-14", "", "", ""))
    '2026-10-14'
    """
    if not isinstance(fact.seen, UnsetType):
        try:
            basis = read_evidence(fact.seen).basis
        except (msgspec.MsgspecError, UnicodeDecodeError):
            basis = None
        if basis is not None:
            return basis.window if isinstance(basis, WindowSeen) else ""
    _, said, name = fact.title.rpartition(" window ")
    return name if said and " " not in name else ""


def of_alert(entry: Entry) -> AlertRaised | AlertQuieted | None:
    """The fact of an alert in an entry."""
    return entry.fact if isinstance(entry.fact, AlertRaised | AlertQuieted) else None
