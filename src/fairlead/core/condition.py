"""A comparison over named metrics, as the settings state it, and whether measurements meet it.

A condition is met (`breached`) only by significance and effect together: the value has crossed the stated bound, and
its interval excludes the other side. For `auroc < champion - 5%` the other side is the champion itself, so that the
bound is the effect; for `error_rate > 5%` it is the bound. A condition that was met is over (`holds`) only once the
value is back by a tenth of the way (the recovery level); between the two it is `undecided`, and what stands goes on
standing. What cannot be measured is `unmeasured`, never quietly false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.core.watched import event_of

Operator = Literal["<", "<=", ">", ">="]
_MEETS: Mapping[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
SEEN = "{} seen"  # beside what a value is compared with: what it is, where it counts as something else
RECOVERY = 0.1  # of the distance from what is normal to the bound
_NAMED = 5  # features that a sentence lists


class Condition(Struct, frozen=True):
    """`metric operator factor * of + offset`, where `of` is another metric (champion: the same of the champion), or
    empty: then the right side is `factor` itself.

    `unit` is the unit that was written (%, ms, s, or none): values are shares, milliseconds or plain numbers. `text` is
    the condition as the user wrote it. `over` is where a condition that was met is over; None: a tenth of the way back.
    """

    text: str
    metric: str
    operator: Operator
    factor: float
    of: str = ""
    offset: float = 0.0
    unit: str = ""
    over: float | None = None

    @property
    def above(self) -> bool:
        """Whether large values meet it."""
        return self.operator in (">", ">=")


class Measured(Struct, frozen=True):
    """One value of a metric, of `feature` if it is one's, from `rows` observations, with its interval where one is
    known. `others` holds what it may be compared with (champion, budget); where that is counted as more or less than it
    is, what it is stands beside it (`SEEN`).

    `sure` says where a test of its own has decided that the value is no chance (a drift test's significance and
    effect); None where the interval decides. Without a value `missing` says why; `void`: there is nothing now that
    could meet any condition, such as a version beside the champion. `note` is what else people should read.
    """

    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    feature: str = ""
    others: Mapping[str, float] = {}
    sure: bool | None = None
    missing: str = ""
    void: bool = False
    note: str | UnsetType = UNSET


class Judgement(Struct, frozen=True):
    """What became of a condition: the sentence with its figures, the features that meet it, and the value that meets it
    most clearly (else the first)."""

    outcome: Outcome
    reason: str
    features: tuple[str, ...] = ()
    value: float | None = None


class _Look(Struct, frozen=True):
    """One measurement held against the condition. `beyond`: how far past the bound, in the condition's direction."""

    measured: Measured
    outcome: Outcome
    reason: str
    beyond: float = 0.0


def evaluate(condition: Condition, measured: Sequence[Measured], at_least: int = 1) -> Judgement:
    """Whether at least `at_least` of the measurements (features) meet the condition. None at all is unmeasured.

    >>> errors = Condition("error_rate > 5%", "error_rate", ">", 0.05)
    >>> evaluate(errors, [Measured("error_rate", 0.12, 0.09, 0.16, rows=400)]).reason
    'error_rate is 12% (9% to 16%, of 400), where 5% is the bound'
    >>> evaluate(errors, []).outcome.value
    'unmeasured'
    """
    looks = [_look(condition, one) for one in measured]
    met = sorted((look for look in looks if look.outcome is Outcome.BREACHED), key=lambda look: -look.beyond)
    if met and len(met) >= at_least:
        return _judgement(Outcome.BREACHED, met)
    open_ = [look for look in looks if look.outcome is Outcome.UNDECIDED]
    if open_ and len(met) + len(open_) >= at_least:
        return _judgement(Outcome.UNDECIDED, [*met, *open_])
    calm = [look for look in looks if look.outcome is Outcome.HOLDS] + open_ + met
    if not calm:
        reasons = [look.reason for look in looks] or [f"{condition.metric} is not measured"]
        return Judgement(Outcome.UNMEASURED, reasons[0])
    return Judgement(Outcome.HOLDS, _calm(calm, at_least), value=calm[0].measured.value)


def bound_of(condition: Condition, measured: Measured) -> float | None:
    """The right side of the comparison; None where what it refers to is not known.

    >>> slower = Condition("p99_latency > 2 * champion", "p99_latency", ">", 2.0, "champion")
    >>> bound_of(slower, Measured("p99_latency", 90.0, others={"champion": 40.0}))
    80.0
    """
    if not condition.of:
        return condition.factor
    other = measured.others.get(condition.of)
    return None if other is None else condition.factor * other + condition.offset


def shown(condition: Condition, value: float) -> str:
    """A value as people read it, in the condition's unit.

    >>> shown(Condition("p99_latency > 2s", "p99_latency", ">", 2000.0, unit="s"), 2345.6)
    '2346 ms'
    """
    if condition.metric.endswith(("_rate", "_share")) or (condition.unit == "%" and event_of(condition.metric)):
        return f"{100 * value:.3g}%"
    if condition.unit in ("ms", "s") or condition.metric.endswith("latency") or "_latency_" in condition.metric:
        return f"{value:.0f} ms"
    return f"{value:.4g}"


def _look(condition: Condition, measured: Measured) -> _Look:
    if measured.void:
        return _Look(measured, Outcome.HOLDS, measured.missing)
    named = f"{condition.metric}{f' of {measured.feature}' if measured.feature else ''}"
    bound = bound_of(condition, measured)
    if measured.value is None or bound is None:
        missing = f"no {condition.of} to compare with is known" if measured.value is not None else measured.missing
        return _Look(measured, Outcome.UNMEASURED, f"{named} is not measured: {missing or 'there is no value'}")
    said = _said(condition, measured, named, bound)
    beyond = (measured.value - bound) * (1.0 if condition.above else -1.0)
    if _MEETS[condition.operator](measured.value, bound):
        return _crossed(condition, measured, bound, (said, beyond))
    if beyond > -_margin(condition, measured, bound):
        over = shown(condition, _over(condition, measured, bound))
        return _Look(measured, Outcome.UNDECIDED, f"{said}; it is over at {over}")
    return _Look(measured, Outcome.HOLDS, said)


def _crossed(condition: Condition, measured: Measured, bound: float, told: tuple[str, float]) -> _Look:
    """What a value that has crossed the bound says, `told` being the sentence and how far it is beyond."""
    said, beyond = told
    if measured.sure is False:
        return _Look(measured, Outcome.HOLDS, f"{said}; yet it is within chance, or too small to count")
    if not _beyond_chance(condition, measured, bound):
        return _Look(measured, Outcome.UNDECIDED, f"{said}; that may still be chance")
    return _Look(measured, Outcome.BREACHED, said, beyond)


def _beyond_chance(condition: Condition, measured: Measured, bound: float) -> bool:
    """Whether the interval excludes what is normal: the compared value if the bound lies beyond it, else the bound."""
    if measured.sure is not None:
        return measured.sure
    other = measured.others.get(condition.of, bound)
    if condition.above:
        return measured.low is None or measured.low > min(other, bound)
    return measured.high is None or measured.high < max(other, bound)


def _margin(condition: Condition, measured: Measured, bound: float) -> float:
    if condition.over is not None:
        return abs(bound - condition.over)
    other = measured.others.get(condition.of, 0.0) if condition.of else 0.0
    return RECOVERY * abs(bound - other)


def _over(condition: Condition, measured: Measured, bound: float) -> float:
    margin = _margin(condition, measured, bound)
    return bound - margin if condition.above else bound + margin


def _said(condition: Condition, measured: Measured, named: str, bound: float) -> str:
    assert measured.value is not None, "only what has a value is told"
    parts = []
    if measured.low is not None and measured.high is not None:
        parts.append(f"{shown(condition, measured.low)} to {shown(condition, measured.high)}")
    if measured.rows:
        parts.append(f"of {measured.rows:,}")
    note = f" ({', '.join(parts)})" if parts else ""
    against = ""
    if condition.of:
        against = f" ({_compared(condition, measured)})"
    said = f"{named} is {shown(condition, measured.value)}{note}, where {shown(condition, bound)}{against} is the bound"
    return f"{said}: {measured.note}" if measured.note else said


def _compared(condition: Condition, measured: Measured) -> str:
    """What a value is compared with, and what that counts as where it is something else."""
    counts = shown(condition, measured.others[condition.of])
    seen = measured.others.get(SEEN.format(condition.of))
    if seen is None or seen == measured.others[condition.of]:
        return f"{condition.of} {counts}"
    plain = f"{seen:.2g} ms" if counts.endswith(" ms") and abs(seen) < 10.0 else shown(condition, seen)
    return f"{condition.of} {plain}, counted as {counts}"


def _judgement(outcome: Outcome, looks: Sequence[_Look]) -> Judgement:
    features = tuple(look.measured.feature for look in looks if look.measured.feature)
    reasons = [look.reason for look in looks[:_NAMED]]
    more = len(looks) - len(reasons)
    if more > 0:
        reasons.append(f"and {counted(more, 'other')}")
    return Judgement(outcome, "; ".join(reasons), features, looks[0].measured.value)


def _calm(looks: Sequence[_Look], at_least: int) -> str:
    met = sum(look.outcome is Outcome.BREACHED for look in looks)
    if met:
        return f"{counted(met, 'feature')} of the {at_least} that it takes: {looks[-1].reason}"
    return looks[0].reason if len(looks) == 1 else f"none of {len(looks)} is beyond: {looks[0].reason}"
