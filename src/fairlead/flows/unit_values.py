"""The log by unit: who was answered first when and by which arm, and what each unit showed afterwards.

Nothing depends on the order of reading. A unit counts once its window and the delay after it are over, and only by what
was told until then, so that its values never change once it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from fairlead.core.experiment_terms import Measure
from fairlead.core.inference import label_text
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.flows.shown import Shown, Told

_EVENTS = 5_000_000  # units whose events are remembered


class Sought(Struct, frozen=True):
    """Which answers are read and what is made of them.

    `rollout` is the salt of the route that dealt them, `arms` its arms; without a rollout all answers to callers are of
    the one arm "". Units that were first answered before `since` (seconds since 1970) or from `until` on are left out.
    `measures` are taken over the `window` seconds from the first answer on, `covariates` over the `before` seconds
    before `since`. `features` are read from the first answer.
    """

    model: str
    measures: tuple[Measure, ...]
    window: float
    delay: float
    since: float
    until: float = float("inf")
    rollout: str = ""
    arms: tuple[str, ...] = ("",)
    covariates: tuple[Measure, ...] = ()
    before: float = 0.0
    features: tuple[str, ...] = ()


class UnitRow(NamedTuple):
    """A unit in an arm. `values` and `covariates` are in the order of what was sought, nan where there is none;
    `features` are texts, None where there is none."""

    at: float
    unit: str
    arm: str
    values: tuple[float, ...]
    covariates: tuple[float, ...]
    features: tuple[str | None, ...]


class _Answer(NamedTuple):
    at: float
    request_id: str
    failed: bool
    latency_ms: float
    score: float | None


class _Exposed(Struct):
    """What is known of a unit in an arm: its first answer, and, where they are asked for, all of them."""

    at: float
    request_id: str
    features: Raw
    answers: list[_Answer]


class UnitValues:
    """Reads the log's records, in any order, and tells the units that count."""

    def __init__(self, sought: Sought) -> None:
        self.sought = sought
        self._keeps_answers = any(one.of_answers for one in sought.measures)
        self._wants_outcomes = any(one.name == "outcome" for one in sought.measures)
        self._names = {one.name for one in (*sought.measures, *sought.covariates) if not one.of_answers}
        self._units: dict[tuple[str, str], _Exposed] = {}
        self._shown = Shown(_EVENTS)
        self._outcomes: dict[str, OutcomeRecord] = {}
        self.without_unit = 0  # answers that nothing can be joined to: their caller named no unit
        self.event_names: set[str] = set()  # all that the model's callers logged

    def answers(self, records: Iterable[Prediction]) -> None:
        """Takes in answers that callers got, failed ones too: a unit is of its arm whatever came of it."""
        sought = self.sought
        for one in records:
            if one.model_name != sought.model or one.shadow_of is not None:
                continue
            if sought.rollout and one.rollout != sought.rollout:
                continue
            arm = one.arm if sought.rollout else ""
            if arm not in sought.arms or not sought.since <= one.received_at:
                continue
            if one.unit_id == one.request_id:
                self.without_unit += 1
                continue
            self._answer(one, arm)

    def _answer(self, one: Prediction, arm: str) -> None:
        key = one.unit_id, arm
        known = self._units.get(key)
        if known is None:
            known = self._units[key] = _Exposed(one.received_at, one.request_id, one.features, [])
        elif (one.received_at, one.request_id) < (known.at, known.request_id):
            known.at, known.request_id, known.features = one.received_at, one.request_id, one.features
        if self._keeps_answers:
            answer = _Answer(one.received_at, one.request_id, one.status >= 500, one.latency_ms, one.score)
            known.answers.append(answer)

    def outcomes(self, records: Iterable[OutcomeRecord]) -> None:
        """Takes in outcomes; the first telling of each counts."""
        if not self._wants_outcomes:
            return
        for one in records:
            before = self._outcomes.get(one.request_id)
            if before is None or one.received_at < before.received_at:
                self._outcomes[one.request_id] = one

    def events(self, records: Iterable[EventRecord]) -> None:
        """Takes in business events; those of other names and texts for values are passed over."""
        for one in records:
            if one.model_name != self.sought.model:
                continue
            self.event_names.add(one.name)
            if one.name in self._names and self._shown.takes(one):
                self._shown.add(one)

    def rows(self, now: float) -> list[UnitRow]:
        """The units whose window and delay are over, in the order in which they came."""
        sought = self.sought
        last = min(now - sought.window - sought.delay, sought.until)
        found = [
            self._row(unit, arm, exposed)
            for (unit, arm), exposed in self._units.items()
            if exposed.at <= last and exposed.at < sought.until
        ]
        return sorted(found, key=lambda row: (row.at, row.unit, row.arm))

    @property
    def units(self) -> int:
        """How many were answered, whether they count yet or not; in several arms, once in each."""
        return len(self._units)

    @property
    def first_at(self) -> float | None:
        """When the first of them was answered; None where none was."""
        return min((exposed.at for exposed in self._units.values()), default=None)

    def waiting(self, now: float) -> int:
        """Units that were answered and do not count yet."""
        sought = self.sought
        last = now - sought.window - sought.delay
        return sum(last < exposed.at < sought.until for exposed in self._units.values())

    def late(self) -> int:
        """Events within a unit's window that were told after its delay, and so were left out."""
        sought, names = self.sought, {one.name for one in self.sought.measures if not one.of_answers}
        return sum(
            told.received_at > exposed.at + sought.window + sought.delay
            for (unit, _), exposed in self._units.items()
            for name in names
            for told in self._shown.between(unit, name, exposed.at, exposed.at + sought.window)
        )

    def _row(self, unit: str, arm: str, exposed: _Exposed) -> UnitRow:
        sought, end = self.sought, exposed.at + self.sought.window
        closed = end + sought.delay
        values = []
        for one in sought.measures:
            if one.of_answers:
                values.append(self._of_answers(one.name, exposed, end))
                continue
            told = self._shown.between(unit, one.name, exposed.at, end)
            values.append(_together([event for event in told if event.received_at <= closed], one.how))
        since = sought.since
        covariates = [
            _together(self._shown.between(unit, one.name, since - sought.before, since), one.how)
            for one in sought.covariates
        ]
        features = _features(exposed.features, sought.features) if sought.features else ()
        return UnitRow(exposed.at, unit, arm, tuple(values), tuple(covariates), features)

    def _of_answers(self, name: str, exposed: _Exposed, end: float) -> float:
        mine = {one.request_id: one for one in exposed.answers if exposed.at <= one.at < end}.values()
        match name:
            case "requests":
                return float(len(mine))
            case "error_rate":
                return _mean([float(one.failed) for one in mine])
            case "latency_ms":
                return _mean([one.latency_ms for one in mine])
            case "score":
                return _mean([one.score for one in mine if one.score is not None])
            case _:
                told = (self._outcomes.get(one.request_id) for one in mine)
                kept = (one for one in told if one is not None and one.received_at <= end + self.sought.delay)
                numbers = (_number(one.outcome) for one in kept)
                return _mean([one for one in numbers if isfinite(one)])


def _together(told: Sequence[Told], how: str) -> float:
    values = [one.value for one in told]
    match how:
        case "count":
            return float(len(values))
        case "sum":
            return float(sum(values))
        case "mean":
            return _mean(values)
        case _:
            return values[0] if values else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan


def _number(outcome: float | int | str) -> float:
    """An outcome as a number, of text that spells one too; nan for any other text."""
    try:
        return float(outcome)
    except ValueError:
        return nan


def _features(raw: Raw, names: Sequence[str]) -> tuple[str | None, ...]:
    try:
        row: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        row = None
    if not isinstance(row, dict):
        return (None,) * len(names)
    return tuple(None if (value := row.get(name)) is None else label_text(value) for name in names)
