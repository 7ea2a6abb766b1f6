"""Shadow pairs by unit: where the version would have decided otherwise, by how much, in which segments.

A unit that asks a thousand times is one: its first request that both versions answered counts, so that rates of units
can be tested. The pair is the earliest by its request's instant and id, whichever record is read first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from fairlead.core.evidence import summed
from fairlead.core.record import Prediction
from fairlead.core.rollout import Paired
from fairlead.flows.dealing import value_of
from fairlead.flows.evidence_values import grain

_UNITS = 100_000
_VALUES, _LONGEST = 50, 64  # of one segment, and characters of one: what has more is no segment
_BITS = 5  # of a difference
WORST = 20  # pairs that are kept for people to look at


class _Pair(NamedTuple):
    at: float
    request: str
    flips: bool
    difference: float
    segments: tuple[str, ...]


class WorstPair(Struct, frozen=True):
    """Two answers to one request, and by how much the scores differ. Who asked is not kept: a note outlives a log."""

    request_id: str
    served: float | int | str | None
    shadow: float | int | str | None
    served_score: float
    shadow_score: float
    segments: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """Shadow minus served score."""
        return self.shadow_score - self.served_score


class PairCollector:
    """Counts each unit's first pair, in all and in each segment."""

    def __init__(self, segments: Sequence[str] = ()) -> None:
        self._names = segments
        self._units: dict[str, _Pair] = {}
        self._counts: Counter[tuple[str, str]] = Counter()  # (segment, what is counted)
        self._differences: Counter[float] = Counter()
        self._values: dict[str, set[str]] = {name: set() for name in segments}
        self._worst: list[WorstPair] = []  # by the size of the difference, largest first

    def meet(self, shadow: Prediction, served: Prediction, difference: float) -> None:
        """Takes in two answers to one request; `difference` is shadow minus served score."""
        known = self._units.get(served.unit_id)
        if known is None:
            if len(self._units) >= _UNITS:
                return
        elif known[:2] <= (served.received_at, served.request_id):
            return
        else:
            self._count(known, -1)
        flips = shadow.prediction != served.prediction
        kept, segments = grain(difference, _BITS), self._segments_of(served)
        pair = self._units[served.unit_id] = _Pair(served.received_at, served.request_id, flips, kept, segments)
        self._count(pair, 1)
        self._rank(shadow, served, segments)

    def _rank(self, shadow: Prediction, served: Prediction, segments: tuple[str, ...]) -> None:
        """Keeps the pairs that differ most, each request once."""
        assert served.score is not None
        assert shadow.score is not None
        made = WorstPair(served.request_id, served.prediction, shadow.prediction, served.score, shadow.score, segments)
        full = len(self._worst) >= WORST
        if not made.difference or (full and abs(made.difference) <= abs(self._worst[-1].difference)):
            return
        others = [one for one in self._worst if one.request_id != made.request_id]
        self._worst = sorted([*others, made], key=lambda one: (-abs(one.difference), one.request_id))[:WORST]

    @property
    def worst(self) -> tuple[WorstPair, ...]:
        """The pairs whose scores differ most, the largest difference first."""
        return tuple(self._worst)

    def _segments_of(self, served: Prediction) -> tuple[str, ...]:
        return tuple(
            f"{name}={value}"
            for name in self._names
            if (value := value_of(served.features, name)) is not None and self._is_kept(name, value)
        )

    def _is_kept(self, name: str, value: str) -> bool:
        known = self._values[name]
        if value not in known and len(known) < _VALUES and len(value) <= _LONGEST:
            known.add(value)
        return value in known

    def _count(self, pair: _Pair, sign: int) -> None:
        self._differences[pair.difference] += sign
        side = "up" if pair.difference > 0.0 else "down" if pair.difference < 0.0 else "even"
        for segment in ("", *pair.segments):
            self._counts[segment, "units"] += sign
            if pair.flips:
                self._counts[segment, "flips"] += sign
                self._counts[segment, side] += sign

    def total(self) -> tuple[Paired, ...]:
        """All units, and those of each segment."""
        segments = sorted({segment for (segment, _), count in self._counts.items() if count})
        return tuple(self._paired(one) for one in segments)

    def _paired(self, segment: str) -> Paired:
        units, flips, up, down = (self._counts[segment, what] for what in ("units", "flips", "up", "down"))
        return Paired(segment, units, flips, up, down, () if segment else summed(self._differences.items()))
