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

from msgspec import Struct

from fairlead.core.event import AlertQuieted, AlertRaised, Entry
from fairlead.core.verdict import Outcome, Verdict

# Seconds until someone must have answered.
RESPONSE_SECONDS = {"critical": 0.0, "high": 900.0, "medium": 3600.0, "low": 86_400.0}
_RANK = {"low": 0, "medium": 1, "high": 2, "critical": 3}


class AlertPolicy(Struct, frozen=True):
    """Whose the alerts are, where the runbooks lie, and how soon a standing alert is repeated."""

    owner: str = "unassigned"
    runbooks: str = "docs/runbooks"
    repeat_seconds: float = 7 * 86_400.0

    def runbook(self, name: str) -> str:
        """The link to a runbook."""
        return f"{self.runbooks.rstrip('/')}/{name}.md"


class Alarm(Struct, frozen=True):
    """One condition looked at once: breached, or not. `alert` is its key, and its runbook's name."""

    model: str
    alert: str
    severity: str
    title: str
    verdict: Verdict


class Standing(Struct, frozen=True):
    """An alert that was raised and has not recovered. Instants are the alarms' own (event time)."""

    severity: str
    raised_at: float


class AlertDecision(Struct, frozen=True):
    """Notice or quiet, and why. `recovered`: the condition that stood is over."""

    alarm: Alarm
    notify: bool
    reason: str
    recovered: bool = False


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
