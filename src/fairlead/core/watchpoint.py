"""A condition that somebody wants to be told of, and the alarm that comes of a look at it."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core import alarm
from fairlead.core.alert import Alarm
from fairlead.core.condition import Condition, Judgement, shown
from fairlead.core.verdict import Outcome, Verdict

UNMEASURED = "unmeasured"  # the alert of a condition that nobody can measure; its key goes on with the condition's
_FEATURES = 5


class Watchpoint(Struct, frozen=True):
    """`key` is the alert's name. `message` may hold {model}, {feature}, {value}, {metric} and {version}; without one
    the condition speaks for itself. `at_least` features must meet it."""

    key: str
    condition: Condition
    severity: str = "medium"
    message: str = ""
    owner: str = ""
    runbook: str = ""
    at_least: int = 1


def alarm_of(point: Watchpoint, model: str, judgement: Judgement, version: int | None = None) -> Alarm:
    """The alarm of a look. What is unmeasured leaves a standing alert as it is: silence is no recovery."""
    outcome = Outcome.UNDECIDED if judgement.outcome is Outcome.UNMEASURED else judgement.outcome
    return Alarm(
        model=model,
        alert=point.key,
        severity=point.severity,
        title=title_of(point, model, judgement, version),
        verdict=Verdict(outcome, judgement.reason),
        owner=point.owner,
        runbook=point.runbook,
    )


def alarm_of_silence(point: Watchpoint, model: str, judgement: Judgement, *, long: bool) -> Alarm:
    """Whether a condition has gone unmeasured for long: somebody relies on it. A measured one ends the alert."""
    outcome = Outcome.HOLDS if judgement.outcome is not Outcome.UNMEASURED else Outcome.UNDECIDED
    return Alarm(
        model=model,
        alert=f"{UNMEASURED}:{point.key}",
        severity="low",
        title=f"{point.key} of {model} cannot be measured",
        verdict=Verdict(Outcome.BREACHED if long and outcome is Outcome.UNDECIDED else outcome, judgement.reason),
        owner=point.owner,
        runbook=alarm.UNMEASURED,
    )


def title_of(point: Watchpoint, model: str, judgement: Judgement, version: int | None = None) -> str:
    """The message, with what it speaks of filled in.

    >>> from fairlead.core.condition import Condition
    >>> drift = Condition("drift_p_value < 0.05", "drift_p_value", "<", 0.05)
    >>> point = Watchpoint("drift", drift, message="Data drift detected in {feature}")
    >>> title_of(point, "churn", Judgement(Outcome.BREACHED, "", ("price", "age"), 0.001))
    'Data drift detected in price, age'
    """
    condition = point.condition
    features = ", ".join(judgement.features[:_FEATURES]) or "no feature"
    if len(judgement.features) > _FEATURES:
        features += f" and {len(judgement.features) - _FEATURES} more"
    value = "an unknown value" if judgement.value is None else shown(condition, judgement.value)
    text = point.message or f"{condition.text} in {{model}}"
    return text.format(
        model=model,
        feature=features,
        value=value,
        metric=condition.metric,
        version="unknown" if version is None else version,
    )
