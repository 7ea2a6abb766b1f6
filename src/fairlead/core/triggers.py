"""What asks for a challenger, as the settings state it, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fairlead.core.condition import Condition, evaluate
from fairlead.core.report import WindowReport
from fairlead.core.schedule import Schedule
from fairlead.core.verdict import Outcome
from fairlead.core.window_values import drift_values, realised_value


class Trigger(Struct, frozen=True):
    """One of: a schedule; a comparison that at least `features` features meet; a comparison of a realised metric; the
    growth of the labelled data, as a share of what the version was trained on."""

    schedule: Schedule | None = None
    drift: Condition | None = None
    features: int = 1
    performance: Condition | None = None
    volume: float | None = None


class Growth(Struct, frozen=True):
    """Labelled rows that no version was trained on yet, and how many rows this one was trained on (None: not known)."""

    labels: int
    trained: int | None = None


def met(triggers: Sequence[Trigger], report: WindowReport, growth: Growth) -> list[str]:
    """What a window gives reason to train for: a sentence with its figures for each trigger that is met. Schedules look
    at no window."""
    found = [sentence for trigger in triggers if (sentence := _met(trigger, report, growth))]
    return list(dict.fromkeys(found))


def looked(trigger: Trigger, report: WindowReport, growth: Growth) -> tuple[bool, str]:
    """Whether a trigger that is no schedule is met by a window, and what there is to say of it either way."""
    if trigger.volume is not None:
        return bool(_grown(trigger.volume, growth)), _grown(trigger.volume, growth) or _growing(trigger.volume, growth)
    if trigger.drift is not None:
        judged = evaluate(trigger.drift, drift_values(trigger.drift.metric, report), trigger.features)
    else:
        assert trigger.performance is not None, "a schedule looks at no window"
        judged = evaluate(trigger.performance, [realised_value(trigger.performance.metric, report)])
    return judged.outcome is Outcome.BREACHED, judged.reason


def _growing(volume: float, growth: Growth) -> str:
    if not growth.trained:
        return f"{growth.labels:,} labelled rows are new; how many it was trained on is not known"
    share = growth.labels / growth.trained
    return (
        f"{growth.labels:,} labelled rows are new, {share:.0%} of {growth.trained:,}, where {volume:.0%} is the bound"
    )


def _met(trigger: Trigger, report: WindowReport, growth: Growth) -> str:
    if trigger.volume is not None:
        return _grown(trigger.volume, growth)
    if trigger.drift is not None:
        judged = evaluate(trigger.drift, drift_values(trigger.drift.metric, report), trigger.features)
    elif trigger.performance is not None:
        judged = evaluate(trigger.performance, [realised_value(trigger.performance.metric, report)])
    else:
        return ""
    return judged.reason if judged.outcome is Outcome.BREACHED else ""


def _grown(volume: float, growth: Growth) -> str:
    if not growth.trained or growth.labels < volume * growth.trained:
        return ""
    return (
        f"{growth.labels:,} labelled rows are new, {growth.labels / growth.trained:.0%} of the {growth.trained:,} that "
        f"it was trained on, where {volume:.0%} is the bound"
    )
