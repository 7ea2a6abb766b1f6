"""What an experiment is read by, written down when it starts: the metric, the arms, and which of a unit's facts count.

A unit counts from its first answer in the experiment. What it logs within `window` seconds of that is its value, and
what was told later than `delay` seconds after the window's end is left out: so a value that was once read never changes
again, and the units are a sequence in the order in which they came, however often one looks.

Measures, each one value a unit:

    conversion           the first value of an event of that name, 0 where none came: as rollouts take it
    sum(revenue)         the sum of its values, 0 where none came
    count(visit)         how many came
    mean(rating)         the mean of its values; a unit without any is left out
    requests, error_rate, latency_ms, score, outcome     of the unit's own answers
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from fairlead.core.arms import CHAMPION, ArmShare, label
from fairlead.core.listing import first_of
from fairlead.core.metrics import METRICS
from fairlead.errors import UsageError

How = Literal["first", "sum", "count", "mean"]
ANSWERS = ("requests", "error_rate", "latency_ms", "score", "outcome")
_CALL = re.compile(r"(first|sum|count|mean)\s*\(\s*([^()/\s][^()/]*?)\s*\)")
_NAME = re.compile(r"[^()/<>=*\s][^()/<>=*]*")
DAY = 86_400.0


class Measure(Struct, frozen=True):
    """One value a unit: an event's name and how its values are taken together, or something of the answers."""

    text: str  # as it was written
    name: str
    how: How = "first"

    @property
    def of_answers(self) -> bool:
        """Whether it is about the unit's answers, and no event."""
        return self.name in ANSWERS


class Terms(Struct, frozen=True):
    """What an experiment is read by. `arms` are the challengers with their shares; `champion` has the rest.

    `planned` is the plan as `sample_size` made it, None without one; `method` fixed (read once, at its units) or
    always-valid. `covariate` is a measure of the units' events in the `before` seconds before the start. All durations
    are in seconds.
    """

    metric: str
    champion: int
    arms: tuple[ArmShare, ...]
    guardrails: tuple[str, ...] = ()
    covariate: str | None = None
    segments: tuple[str, ...] = ()
    method: str = "always-valid"
    planned: dict[str, Any] | None = None
    alpha: float = 0.05
    higher_is_better: bool = True
    window: float = DAY
    delay: float = 3600.0
    before: float = 28 * DAY
    reason: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """The planned share of each arm by its name in the log, the champion first."""
        rest = round(1.0 - sum(arm.share for arm in self.arms), 12)
        return {CHAMPION: rest} | {label(arm.version): arm.share for arm in self.arms}


def measures(metric: str) -> tuple[Measure, ...]:
    """The measures of a metric: one, or the two of a ratio. Raises `UsageError` for what is none.

    >>> [(one.how, one.name) for one in measures("sum(revenue) / count(visit)")]
    [('sum', 'revenue'), ('count', 'visit')]
    """
    sides = [part.strip() for part in metric.split("/")]
    if len(sides) > 2:
        raise UsageError(f"{metric!r} is no metric: a ratio has two sides, as in sum(revenue) / count(visit)")
    return tuple(measure(side) for side in sides)


def measure(text: str) -> Measure:
    """One measure of a unit. Raises `UsageError` for what is none.

    >>> measure("sum( revenue )").name, measure("conversion").how
    ('revenue', 'first')
    """
    call = _CALL.fullmatch(text)
    if call is None and not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} is no metric of a unit: write an event's name such as conversion, sum(NAME), count(NAME), "
            f"mean(NAME), a ratio of two, or one of {', '.join(ANSWERS)}"
        )
    found = Measure(text, text) if call is None else Measure(text, call[2], call[1])  # type: ignore[arg-type]
    if call is not None and found.of_answers:
        raise UsageError(f"{text!r}: {found.name} is one value a unit already: write {found.name}")
    if found.name in METRICS and not found.of_answers:
        raise UsageError(
            f"{found.name!r} is a metric of rollouts, not of units: use an event, or one of {', '.join(ANSWERS)}"
        )
    return found


def duration_fault(terms: Terms) -> str:
    """What is wrong with the durations, as a sentence with the fix; nothing where units can be read."""
    if not terms.window > 0.0:
        return f"a window of {terms.window:g} s counts nothing: say how long after its answer a unit counts, as in 1d"
    if not terms.delay >= 0.0 or not terms.before >= 0.0:
        return "a duration before 0 is none: write 0s or more"
    return ""


def unknown_event(names: Sequence[str], known: Sequence[str]) -> str:
    """Which of the events was never logged, as a sentence with what was; nothing where all were.

    >>> unknown_event(["conversoin"], ["conversion"])
    "no event 'conversoin' has been logged yet: there is conversion"
    """
    missing = next((name for name in names if name not in known), None)
    if missing is None:
        return ""
    there = f"there is {first_of(sorted(known))}" if known else "there are no events at all"
    return f"no event {missing!r} has been logged yet: {there}"
