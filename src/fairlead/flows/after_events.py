"""What callers log after a promoted version's answers, by trial: an answer to a unit, and what follows in its time.

A unit is tried again when the time of its last trial is over, and an hour has passed. A trial's value is the first
number that the unit logs under the name within that time, and that was told within it: so what is known when a trial
ends is all that there is. The champion's trials, of the rollout and until the promotion, go to the journal once, when
the last of them has ended.

Where there are more trials than are remembered only every second unit is followed, then every fourth, ... by a hash of
its name, on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isfinite
from typing import NamedTuple
from zlib import crc32

from fairlead.core.after import BLOCK_SECONDS, block_of
from fairlead.core.after_events import EventTally, event_rules
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.rollout import Rollout
from fairlead.flows.evidence_values import grain

LEAST_SECONDS = 3600.0  # from one trial of a unit to the next
_TRIALS = 100_000  # that are remembered
_DIGITS = 3  # of a design effect
_TIDY = 30  # blocks, from one look for what nobody can ask for any more to the next

_Key = tuple[str, bool]  # a unit, and whether the promoted version answered it


class _Told(NamedTuple):
    """A number that was logged."""

    at: float
    event_id: str
    value: float
    received_at: float


class _Trial(NamedTuple):
    """A unit's answer, and when its time is over."""

    unit: str
    at: float
    end: float


class EventTrials:
    """Follows what units log after a rollout's answers, for the events that its plan's watch names."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self.metrics = tuple(dict.fromkeys(rule.metric for rule in event_rules(rollout.plan)))
        self._seconds = rollout.plan.after.events_seconds if rollout.plan.after is not None else 0.0
        self._mask = 0  # the bits of a unit's hash that must be 0
        self._again: dict[_Key, float] = {}
        self._open: dict[int, list[_Trial]] = {}  # the version's, by the block in which they end
        self._size = 0
        self._champion: list[_Trial] = []
        self._told: dict[str, dict[str, list[_Told]]] = {}  # by unit and name
        self._done: dict[int, tuple[EventTally, ...]] = {}
        self._until = -1  # the last block that the journal has
        self._promoted_at: float | None = None
        self._first: int | None = None  # the block in which the last of the champion's trials ended: they are told then
        self._is_told = False
        self._tidied = 0

    def promoted(self, at: float) -> None:
        """From here on the version's trials count, and the champion's do no more."""
        self._promoted_at = at
        self._champion = [one for one in self._champion if one.at < at]
        self._open = {end: [one for one in trials if one.at >= at] for end, trials in self._open.items()}
        self._first = block_of(at + self._seconds)

    def add(self, record: Prediction, *, promoted: bool) -> None:
        """Takes in an answer that a caller got: of the champion in the rollout, or of the version once promoted."""
        if not self.metrics or self._skips(record.unit_id):
            return
        key, at = (record.unit_id, promoted), record.received_at
        if at < self._again.get(key, self._rollout.started_at):
            return
        self._again[key] = at + max(self._seconds, LEAST_SECONDS)
        trial = _Trial(record.unit_id, at, at + self._seconds)
        since = self._promoted_at
        if not promoted:
            if not self._is_told and (since is None or at < since):
                self._champion.append(trial)
        elif block_of(trial.end) > self._until and (since is None or at >= since):
            self._open.setdefault(block_of(trial.end), []).append(trial)
            self._size += 1
        self._thin()

    def add_events(self, events: Iterable[EventRecord]) -> None:
        """Takes events in, in any order, each once or more often; a text is no value."""
        for event in events:
            if event.name not in self.metrics or event.model_name != self._rollout.model or self._skips(event.unit_id):
                continue
            if isinstance(event.value, str) or not isfinite(event.value):
                continue
            one = _Told(event.at, event.event_id, grain(float(event.value)), event.received_at)
            found = self._told.setdefault(event.unit_id, {}).setdefault(event.name, [])
            if one not in found:
                found.append(one)
        self._thin()

    def closed(self, after: int, last: int) -> dict[int, tuple[EventTally, ...]]:
        """What ended in the blocks later than one, up to another. What is read later changes it no more."""
        for at in [at for at in self._open if at <= last]:
            trials = self._open.pop(at)
            self._size -= len(trials)
            if trials:
                self._done[at] = tuple(EventTally(name, _counted(self._values(trials, name))) for name in self.metrics)
        if self._first is not None and not self._is_told and self._first <= last:
            self._tell(self._first)
        if self._is_told and last - self._tidied >= _TIDY:
            self._drop(last)
        return {at: found for at, found in self._done.items() if after < at <= last}

    def forget(self, until: int) -> None:
        """Drops what the journal has."""
        self._until = max(self._until, until)
        self._done = {at: found for at, found in self._done.items() if at > until}
        if self._first is not None and self._first <= until:
            self._is_told, self._champion = True, []

    def _skips(self, unit: str) -> bool:
        """Whether a unit is not followed."""
        return bool(crc32(unit.encode()) & self._mask)

    def _tell(self, first: int) -> None:
        """The champion's trials, beside what the version's block has."""
        mine = {one.metric: one.version for one in self._done.get(first, ())}
        found = []
        for name in self.metrics:
            values = self._values(self._champion, name)
            units = [one.unit for one in self._champion]
            found.append(EventTally(name, mine.get(name, ()), _counted(values), _effect(units, values)))
        self._done[first] = tuple(found)
        self._is_told, self._champion = True, []

    def _values(self, trials: list[_Trial], name: str) -> list[float]:
        return [self._value(trial, name) for trial in trials]

    def _value(self, trial: _Trial, name: str) -> float:
        told = self._told.get(trial.unit, {}).get(name, ())
        inside = [one for one in told if trial.at <= one.at < trial.end and one.received_at <= trial.end]
        return min(inside).value if inside else 0.0

    def _drop(self, last: int) -> None:
        """Events, and units, that no trial can ask for any more."""
        self._tidied, oldest = last, (last + 1) * BLOCK_SECONDS - self._seconds
        told = {}
        for unit, names in self._told.items():
            kept = {
                name: [one for one in found if max(one.at, one.received_at) >= oldest] for name, found in names.items()
            }
            if any(kept.values()):
                told[unit] = kept
        self._told = told
        self._again = {key: at for key, at in self._again.items() if at >= oldest}

    def _thin(self) -> None:
        """Follows half of the units that are followed, as long as there are too many."""
        while max(self._size + len(self._champion), len(self._told)) > _TRIALS:
            self._mask = 2 * self._mask + 1
            self._open = {at: self._kept(trials) for at, trials in self._open.items()}
            self._size = sum(len(trials) for trials in self._open.values())
            self._champion = self._kept(self._champion)
            self._told = {unit: told for unit, told in self._told.items() if not self._skips(unit)}
            self._again = {key: at for key, at in self._again.items() if not self._skips(key[0])}

    def _kept(self, trials: Iterable[_Trial]) -> list[_Trial]:
        return [one for one in trials if not self._skips(one.unit)]


def _counted(values: Iterable[float]) -> tuple[tuple[float, int], ...]:
    return tuple(sorted(Counter(values).items()))


def _effect(units: list[str], values: list[float]) -> float:
    """How many times less a trial tells than one of a unit of its own: the variance of the units' sums over that of the
    trials. 1 where each unit was tried once."""
    if not values:
        return 1.0
    mean = sum(values) / len(values)
    sums: dict[str, float] = {}
    for unit, value in zip(units, values, strict=True):
        sums[unit] = sums.get(unit, 0.0) + value - mean
    apart = sum((value - mean) ** 2 for value in values)
    return round(max(1.0, sum(one * one for one in sums.values()) / apart), _DIGITS) if apart > 0.0 else 1.0
