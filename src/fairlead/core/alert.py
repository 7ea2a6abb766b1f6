"""Whether anyone is told: alarms in, notices or silence out, with the reason. Numbers never alert; verdicts do.

| severity | answer within | example |
|---|---|---|
| critical | at once | the primary metric fell by more than a tenth |
| high | 15 minutes | a canary was rolled back; the live loss exceeds its bound |
| medium | an hour | a column is broken; a window cannot be measured |
| low | the next working day | the metric slipped by 5 to 10 % |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.event import AlertQuieted, AlertRaised, Entry
from fairlead.core.verdict import Outcome, Verdict

# Seconds until someone must have answered.
RESPONSE_SECONDS = {"critical": 0.0, "high": 900.0, "medium": 3600.0, "low": 86_400.0}
PAGING = ("critical", "high")
_RANK = {"low": 0, "medium": 1, "high": 2, "critical": 3}


class AlertPolicy(Struct, frozen=True):
    """Whose the alerts are, where the runbooks lie, and how soon a standing alert is repeated. `pages` are for what the
    first two editions of alerts decided: the budget of pages is one of notices since (`core.pages_made`)."""

    owner: str = "unassigned"
    runbooks: str = "docs/runbooks"
    repeat_seconds: float = 7 * 86_400.0
    pages: int | None = None
    pages_seconds: float = 30 * 86_400.0

    def runbook(self, name: str) -> str:
        """The link to a runbook; an address stays as it is."""
        return name if "://" in name else f"{self.runbooks.rstrip('/')}/{name}.md"


class Alarm(Struct, frozen=True):
    """One condition looked at once: breached, or not. `alert` is its key, and its runbook's name unless one is given;
    without an `owner` it is the policy's. `channels` names those that are told; empty: all that take the severity."""

    model: str
    alert: str
    severity: str
    title: str
    verdict: Verdict
    owner: str = ""
    runbook: str = ""
    channels: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    dashboard: str = ""
    benign: bool = False  # drift that harms nobody: on record, and told to nobody
    basis: dict[str, Any] | None = None  # what it was seen from, as core.alert_evidence keeps it


class Standing(Struct, frozen=True):
    """An alert that was raised and has not recovered. Instants are the alarms' own (event time)."""

    severity: str
    raised_at: float


class AlertDecision(Struct, frozen=True):
    """Notice or quiet, and why. `recovered`: the condition that stood is over. `over_budget`: the notice pages nobody,
    and says so; empty where it may."""

    alarm: Alarm
    notify: bool
    reason: str
    recovered: bool = False
    over_budget: str = ""
    standing: Standing | None = None  # what stood when it was taken
    spent: int = 0  # pages, where there is a budget of them
    now: float = 0.0  # on the journal's clock


def standing(entries: Iterable[Entry], model: str) -> dict[str, Standing]:
    """A model's standing alerts by key: raised, and not recovered since."""
    known: dict[str, Standing] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, AlertRaised) and fact.model == model:
            known[fact.alert] = Standing(fact.severity, entry.at if fact.event_at is None else fact.event_at)
        elif isinstance(fact, AlertQuieted) and fact.model == model and fact.recovered:
            known.pop(fact.alert, None)
    return known


def pages_spent(entries: Iterable[Entry], since: float) -> int:
    """How many raised alerts would each have paged a person since an instant of the journal's clock: what the first two
    editions counted."""
    return sum(
        isinstance(entry.fact, AlertRaised) and entry.fact.severity in PAGING and entry.fact.paged and entry.at > since
        for entry in entries
    )


def budgeted(choice: AlertDecision, spent: int, policy: AlertPolicy) -> AlertDecision:
    """The decision under the budget of the first two editions: beyond it only what is critical still pages."""
    if policy.pages is None or not choice.notify or choice.alarm.severity != "high" or spent < policy.pages:
        return choice
    days = f"{policy.pages_seconds / 86_400:g} days"
    return replace(choice, over_budget=f"told as medium: {spent} of {policy.pages} pages in {days} are spent")


def decide(history: Mapping[str, Standing], alarm: Alarm, now: float, policy: AlertPolicy) -> AlertDecision:
    """Notice or quiet. A breach is told once, again when its severity rises or `repeat_seconds` have passed; a verdict
    that holds ends a standing alert; one that is undecided leaves it as it is."""
    known = history.get(alarm.alert)
    outcome = alarm.verdict.outcome
    if outcome is Outcome.HOLDS:
        return AlertDecision(alarm, notify=False, recovered=known is not None, reason=alarm.verdict.reason)
    if outcome is Outcome.UNDECIDED:
        return AlertDecision(alarm, notify=False, reason=f"not decided yet: {alarm.verdict.reason}")
    if known is None:
        return AlertDecision(alarm, notify=True, reason="it is new")
    if _RANK[alarm.severity] > _RANK[known.severity]:
        return AlertDecision(alarm, notify=True, reason=f"it rose from {known.severity} to {alarm.severity}")
    passed = now - known.raised_at
    if passed >= policy.repeat_seconds:
        return AlertDecision(alarm, notify=True, reason=f"it still stands after {passed / 86_400:.1f} days")
    return AlertDecision(
        alarm, notify=False, reason=f"told {passed / 3600:.1f} h ago at {known.severity}; it is repeated after "
        f"{policy.repeat_seconds / 3600:.1f} h"
    )  # fmt: skip
