"""Alerts that stand and that nobody looks at any more: their condition has left the settings. They are over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead.core.alert import Alarm, standing
from fairlead.core.alert_evidence import of_condition
from fairlead.core.event import AlertRaised, Entry
from fairlead.core.verdict import Outcome, Verdict


def alarms_of_unstated(
    entries: Sequence[Entry], model: str, why: Callable[[str], str], own: Callable[[str], bool]
) -> tuple[Alarm, ...]:
    """The alarms that end a model's alerts, by its facts of alerts. `why` says why an alert is looked at no more, and
    nothing where it is; `own` whether one is of the settings though its fact does not tell."""
    stands = standing(entries, model)
    facts = [entry.fact for entry in entries if isinstance(entry.fact, AlertRaised) and entry.fact.model == model]
    last = {fact.alert: fact for fact in facts if fact.alert in stands}
    looked_at = {key: why(key) if of_condition(fact) or own(key) else "" for key, fact in last.items()}
    return tuple(_over(fact, looked_at[key]) for key, fact in last.items() if looked_at[key])


def _over(fact: AlertRaised, reason: str) -> Alarm:
    return Alarm(
        model=fact.model,
        alert=fact.alert,
        severity=fact.severity,
        title=fact.title,
        verdict=Verdict(Outcome.HOLDS, reason),
        owner=fact.owner,
        runbook=fact.runbook if "://" in fact.runbook else "",  # a fact holds the link, an alarm a page's name
        channels=fact.channels,
    )
