"""An alert's fact decided again: its alarm from what it was seen from, and whether it was told, held back or over."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from fairlead.core.alert_evidence import (
    EDITION,
    EDITIONS,
    AlertEvidence,
    alarm_again,
    decided_again,
    of_alert,
    read_evidence,
)
from fairlead.core.event import Entry, canonical
from fairlead.core.plain import kept
from fairlead.core.recount import BEFORE, State, compared, compared_fields
from fairlead.flows.notify import Alerts


def recount_alert(entry: Entry, known: Sequence[Entry]) -> tuple[State, str]:
    """Decides again what an entry says of an alert. `known` are the model's facts, of which those before it count."""
    fact = of_alert(entry)
    assert fact is not None, "only an alert is decided again here"
    if fact.seen is UNSET:
        return "unproven", BEFORE
    try:
        evidence = read_evidence(fact.seen)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return "unproven", f"its evidence cannot be read by this fairlead: {error}"
    if evidence.edition not in EDITIONS:
        return "unproven", f"decided by edition {evidence.edition} of alerts; this fairlead has {EDITION}"
    return _again(entry, evidence, [one for one in known if one.seq < entry.seq])


def _again(entry: Entry, evidence: AlertEvidence, before: Sequence[Entry]) -> tuple[State, str]:
    fact = of_alert(entry)
    assert fact is not None
    alarm = alarm_again(evidence, fact.model, before)
    if isinstance(alarm, str):
        return "different", alarm
    state, said = compared(canonical(evidence.alarm), canonical(alarm), "its alarm's ")
    if state != "same":
        return state, said
    at = entry.at if fact.event_at is None else fact.event_at
    basis = None if evidence.basis is None else kept(evidence.basis)
    choice = decided_again(evidence, msgspec.structs.replace(alarm, basis=basis), at, before)
    facts = Alerts(fact.model, {}, evidence.policy, evidence.edition).facts(choice, at)
    if not facts:
        return "different", f"it comes out that there is nothing to tell: {choice.reason}"
    if type(facts[0]) is not type(fact):
        told = "told" if choice.notify else "not told"
        return "different", f"it comes out as {told}: {choice.reason}"
    return compared_fields(fact, facts[0])
