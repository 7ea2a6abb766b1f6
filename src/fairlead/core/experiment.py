"""What to do about an experiment: the decision table.

| sample ratio | primary metric | guardrails | decision | outcome |
|---|---|---|---|---|
| broken | - | - | fix | breached |
| holds | no figures | - | fix | unmeasured |
| holds | not to be read before its planned units | - | extend | undecided |
| holds | better | all held | ship | holds |
| holds | better | one degraded | investigate | breached |
| holds | better | one not yet known | extend | undecided |
| holds | flat | one degraded | stop | breached |
| holds | flat, planned units reached or the planned effect excluded | - | iterate | undecided |
| holds | flat, else | - | extend | undecided |
| holds | worse | any | stop | breached |

Better, worse: the interval lies above or below 0. A guardrail is held when its interval excludes a loss as large as its
margin, and degraded when it excludes anything less: promotion asks each to be shown not inferior, which needs no
correction for their number (Schultzberg, Ankargren, Frånberg, 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from fairlead.core.route import place
from fairlead.core.verdict import Outcome, Verdict


class Action(StrEnum):
    """What an experiment asks for."""

    SHIP = "ship"
    INVESTIGATE = "investigate"
    EXTEND = "extend"
    ITERATE = "iterate"
    STOP = "stop"
    FIX = "fix"


class Health(StrEnum):
    """Whether a guardrail stood."""

    HELD = "held"
    OPEN = "not yet known"
    DEGRADED = "degraded"


class Benefit(Struct, frozen=True):
    """A difference with its interval, turned so that higher is better."""

    value: float
    low: float
    high: float


class Evidence(Struct, frozen=True):
    """What is known of one treatment. `benefit` is None where nothing could be measured, with the reason in `missing`.

    `complete`: its planned units have come, or looks are free. `planned_reached` is None without a plan. `worthwhile`
    is the effect that the plan was made for. `tolerance` is the margin of a test of non-inferiority on the metric.
    """

    treatment: str
    metric: str
    benefit: Benefit | None
    told: str = ""
    missing: str = ""
    complete: bool = True
    planned_reached: bool | None = None
    worthwhile: float | None = None
    detectable: str = ""
    tolerance: float = 0.0
    guardrails: tuple[tuple[str, Health], ...] = ()


class Decision(Struct, frozen=True):
    """What to do about one treatment, and why."""

    treatment: str
    action: Action
    verdict: Verdict


def called(arm: str) -> str:
    """An arm's name in a sentence: one that begins with a digit is told as an arm.

    >>> called("1"), called("new ranking")
    ('arm 1', 'new ranking')
    """
    return f"arm {arm}" if arm[:1].isdigit() else arm


def guard(benefit: Benefit, margin: float) -> Health:
    """Whether a guardrail stood, with what it may lose at most.

    >>> guard(Benefit(-0.001, -0.004, 0.002), margin=0.01).value
    'held'
    >>> guard(Benefit(-0.03, -0.04, -0.02), margin=0.01).value
    'degraded'
    """
    if benefit.low > -margin:
        return Health.HELD
    return Health.DEGRADED if benefit.high < -margin else Health.OPEN


def mismatch(reason: str) -> Decision:
    """The decision where the arms did not get the units that the split says: nothing else is read."""
    return Decision("", Action.FIX, Verdict(Outcome.BREACHED, reason))


def decide(evidence: Evidence) -> Decision:
    """The decision on one treatment, by the table above.

    >>> found = decide(Evidence("b", "conversion", Benefit(0.02, 0.01, 0.03), told="+2 points"))
    >>> found.action.value, found.verdict.reason
    ('ship', 'conversion is better with b: +2 points; no guardrail was set')
    """
    action, outcome, reason = _decide(evidence)
    return Decision(evidence.treatment, action, Verdict(outcome, reason))


def overall(decisions: Sequence[Decision]) -> Decision:
    """Of several treatments: the first that ships, else the one that asks for most.

    Raises `ValueError` without a decision.

    >>> stop = Decision("b", Action.STOP, Verdict(Outcome.BREACHED, "worse"))
    >>> ship = Decision("c", Action.SHIP, Verdict(Outcome.HOLDS, "better"))
    >>> overall([stop, ship]).treatment
    'c'
    """
    if not decisions:
        raise ValueError("no treatment was judged: an experiment has at least one")
    order = (Action.FIX, Action.SHIP, Action.INVESTIGATE, Action.EXTEND, Action.ITERATE, Action.STOP)
    return min(decisions, key=lambda one: order.index(one.action))


def places(salt: str, units: Sequence[str]) -> list[float]:
    """Where each unit stands on [0, 1), as the route table places it; `splits.by_place` gives it its arm.

    >>> places("r1", ["guest-7"]) == [place("r1", "guest-7")]
    True
    """
    return [place(salt, unit) for unit in units]


def _decide(evidence: Evidence) -> tuple[Action, Outcome, str]:
    metric, name = evidence.metric, called(evidence.treatment)
    if evidence.benefit is None:
        return Action.FIX, Outcome.UNMEASURED, evidence.missing
    if not evidence.complete:
        return Action.EXTEND, Outcome.UNDECIDED, evidence.missing
    if evidence.benefit.low > -evidence.tolerance:
        what = "better" if evidence.benefit.low > 0.0 else "not inferior"
        return _positive(evidence, f"{metric} is {what} with {name}: {evidence.told}")
    if evidence.benefit.high < -evidence.tolerance:
        return Action.STOP, Outcome.BREACHED, f"{metric} is worse with {name}: {evidence.told}"
    return _flat(evidence, f"no difference in {metric} was found with {name}: {evidence.told}")


def _positive(evidence: Evidence, said: str) -> tuple[Action, Outcome, str]:
    degraded, unknown = _named(evidence, Health.DEGRADED), _named(evidence, Health.OPEN)
    if degraded:
        return Action.INVESTIGATE, Outcome.BREACHED, f"{said}; but {degraded} degraded"
    if unknown:
        return Action.EXTEND, Outcome.UNDECIDED, f"{said}; but whether {unknown} held is not yet known"
    held = _named(evidence, Health.HELD)
    return Action.SHIP, Outcome.HOLDS, f"{said}; {held} held" if held else f"{said}; no guardrail was set"


def _flat(evidence: Evidence, said: str) -> tuple[Action, Outcome, str]:
    assert evidence.benefit is not None
    degraded = _named(evidence, Health.DEGRADED)
    if degraded:
        return Action.STOP, Outcome.BREACHED, f"{said}; and {degraded} degraded"
    if evidence.worthwhile is not None and evidence.benefit.high < evidence.worthwhile:
        return Action.ITERATE, Outcome.UNDECIDED, f"{said}; the effect that was planned for is excluded"
    if evidence.planned_reached:
        return Action.ITERATE, Outcome.UNDECIDED, f"{said}; the planned units have come{evidence.detectable}"
    return Action.EXTEND, Outcome.UNDECIDED, f"{said}; more units may tell{evidence.detectable}"


def _named(evidence: Evidence, health: Health) -> str:
    return " and ".join(name for name, found in evidence.guardrails if found is health)
