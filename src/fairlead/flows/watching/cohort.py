"""One version's answers in one window, as columns: 56 bytes a row and its request id, however wide the features.

Features are not kept: every 4,096 records they are counted into a profile on the reference's grids. Once the window is
judged, what only its judgement needed goes: left are 36 bytes a row, and 24 more once labels come.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from math import inf, isnan, nan

import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from fairlead.core.groups import GroupCounts
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.segments import cells_of
from fairlead.flows.watching.slots import SlotCounter
from fairlead.stats.columns import Column
from fairlead.stats.multivariate.dependence import Sums
from fairlead.stats.performance import Floats
from fairlead.stats.pinpoint import Cells
from fairlead.stats.profile import TableProfile

CHUNK = 4_096
FEW = 64  # features that are kept until they are looked at, where they are not profiled
_MASK = 2**64 - 1


class Labelled(Struct, frozen=True, eq=False):
    """Labelled rows, each array (n,). `share` of all rows had an outcome; `unusable` of those meant no class."""

    truth: Floats
    score: Floats
    decided: Floats
    share: float
    unusable: int


class Placed(Struct, frozen=True, eq=False):
    """All answers by their places, each array (rows,), nan where there is none: of `observed`, when the label that
    counts was observed, -inf. `asked` is each answer's event time."""

    asked: Floats
    truth: Floats
    score: Floats
    decided: Floats
    observed: Floats


class Cohort:
    """Grows by records and outcomes. `profiled` is false for a window whose drift was judged before a restart."""

    def __init__(self, reference: Reference, *, profiled: bool) -> None:
        self.reference = reference
        self._profiled = profiled
        self._at = array("d")
        self._score = array("d")
        self._decided = array("d")
        self._truth = array("d")
        self._observed_at = array("d")
        self._received_at = array("d")
        self._unit = array("Q")
        self._units = 0
        self._known = 0  # answers whose outcome is known
        self.ids: list[str] = []  # of the requests, until it is settled
        self._hashes: NDArray[np.uint64] | None = None  # afterwards: their hashes, sorted, and the place of each
        self._order: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._raws: list[Raw] = []
        self._profile: TableProfile | None = None
        self._sums: Sums | None = None
        self._groups: list[Cells] = []  # by which answers are told apart
        self._counted = 0
        self.slots: SlotCounter | None = None  # counts its rows by the hour, too
        self._cells: list[Cells] = []  # by which harm is looked for, where a reference has such features

    @property
    def rows(self) -> int:
        """How many answers."""
        return len(self._at)

    @property
    def units(self) -> int:
        """How many different units got an answer."""
        return self._units if self._hashes is not None else len(set(self._unit))

    @property
    def share(self) -> float:
        """The share of answers whose outcome is known."""
        return self._known / max(self.rows, 1)

    @property
    def settled(self) -> bool:
        """Whether it takes no more answers in."""
        return self._hashes is not None

    def settle(self) -> None:
        """Drops what only its judgement needed: features, their profile, units, and the names of requests."""
        self._count()
        self._units = self.units
        hashes = np.array([hash(request) & _MASK for request in self.ids], np.uint64)
        self._order = np.argsort(hashes).astype(np.uint32)
        self._hashes = hashes[self._order]
        self.ids, self._raws, self._profile, self._sums, self._profiled = [], [], None, None, False
        self.slots = None
        self._unit = array("Q")
        if not self._known:
            self._truth = self._observed_at = self._received_at = array("d")

    def place_of(self, request_id: str) -> int | None:
        """The place of an answer in a settled cohort; None for a request that is not its own."""
        if self._hashes is None or not self._hashes.size:
            return None
        wanted = np.uint64(hash(request_id) & _MASK)
        at = int(np.searchsorted(self._hashes, wanted))
        return int(self._order[at]) if at < self._hashes.size and self._hashes[at] == wanted else None

    def add(self, record: Prediction) -> int:
        """Takes an answer in and returns its place."""
        decided = self.reference.truth_of(record.prediction)
        self._at.append(record.timestamp)
        self._score.append(nan if record.score is None else record.score)
        self._decided.append(nan if decided is None else decided)
        self._truth.append(nan)
        self._observed_at.append(-inf)
        self._received_at.append(-inf)
        self._unit.append(int.from_bytes(blake2b(record.unit_id.encode(), digest_size=8).digest()))
        self.ids.append(record.request_id)
        self._raws.append(Raw(bytes(record.features)))
        if len(self._raws) >= (CHUNK if self._profiled else FEW):
            self._count()
        return self.rows - 1

    def learn(self, place: int, outcome: OutcomeRecord) -> tuple[float, float] | None:
        """Takes an outcome in. Of several for one request, the one observed last counts, then the one received last,
        in whatever order they come; an unusable one is known, yet no label. Returns truth and decision (numbers of
        classes, or values) where it is the request's first label, else None."""
        facts = (outcome.observed_at, outcome.received_at)
        if len(self._truth) < self.rows:  # the first label of a settled cohort
            self._truth = array("d", [nan]) * self.rows
            self._observed_at, self._received_at = (array("d", [-inf]) * self.rows for _ in range(2))
        if facts < (self._observed_at[place], self._received_at[place]):
            return None
        first = isnan(self._truth[place])
        self._known += self._observed_at[place] == -inf
        truth, decided = self.reference.truth_of(outcome.outcome), self._decided[place]
        self._truth[place] = nan if truth is None else truth
        self._observed_at[place], self._received_at[place] = facts
        return (truth, decided) if first and truth is not None and not isnan(decided) else None

    def profile(self) -> TableProfile | None:
        """The profile of all rows; None where there is none to make."""
        self._count()
        return self._profile

    def sums(self) -> Sums | None:
        """What its numbers' correlations come from; None where they are not watched."""
        self._count()
        return self._sums

    def scores(self) -> Floats:
        """The scores of all rows, (n,), without those that have none."""
        score = _view(self._score)
        return score[~np.isnan(score)]

    def decisions(self) -> Floats:
        """The decisions (class numbers, or values) of all rows, (n,), without those that have none."""
        decided = _view(self._decided)
        return decided[~np.isnan(decided)]

    def cells(self) -> Cells:
        """The cells of all rows by their places, (features, rows); empty where there is no such feature."""
        self._count()
        return np.concatenate(self._cells, axis=1) if self._cells else np.empty((0, 0), np.uint8)

    def groups(self) -> GroupCounts | None:
        """All rows by class and by group; None where there is nothing to compare them with."""
        self._count()
        known = self.reference.groups
        if known is None or not self.rows:
            return None
        cells = np.concatenate(self._groups, axis=1) if self._groups else np.empty((0, 0), np.uint8)
        return known.counts(cells, self.truths(), self.places_decided())

    def places_decided(self) -> Floats:
        """The decision of each row by its place, (rows,); nan where it has none."""
        return _view(self._decided)

    def truths(self) -> Floats:
        """The truth of each row (class number, or value) by its place, (rows,); nan where none is known."""
        return _view(self._truth)

    def placed(self) -> Placed:
        """All answers, labelled or not."""
        truth, observed = _view(self._truth), _view(self._observed_at)
        if truth.size < self.rows:
            truth, observed = np.full(self.rows, nan), np.full(self.rows, -inf)
        return Placed(_view(self._at), truth, _view(self._score), _view(self._decided), observed)

    def labelled(self) -> Labelled:
        """The rows whose outcome is known, oldest answer first."""
        if len(self._truth) < self.rows:
            return Labelled(np.empty(0), np.empty(0), np.empty(0), 0.0, 0)
        truth, score, decided = _view(self._truth), _view(self._score), _view(self._decided)
        known = _view(self._observed_at) > -inf
        usable = known & ~np.isnan(truth) & ~np.isnan(score) & ~np.isnan(decided)
        order = np.flatnonzero(usable)[np.argsort(_view(self._at)[usable], kind="stable")]
        seen = int(known.sum())
        return Labelled(truth[order], score[order], decided[order], seen / max(self.rows, 1), seen - order.size)

    def _count(self) -> None:
        if not self._raws:
            return
        self._cells.append(cells_of(self._raws, self.reference.profile))
        if self.reference.groups is not None:
            self._groups.append(self.reference.groups.cells_of(self._raws))
        if self._profiled:
            part = self.reference.frame().profile(self._raws, _view(self._score[self._counted :]), self._look)
            if self.slots is not None:
                self.slots.add(_view(self._at[self._counted :]), part)
            self._profile = part if self._profile is None else self._profile + part
        self._counted, self._raws = self.rows, []

    def _look(self, columns: Sequence[Column]) -> None:
        if self.slots is not None:
            self.slots.look(columns)
        found = None if self.reference.bonds is None else self.reference.bonds.count(columns)
        if found is not None:
            self._sums = found if self._sums is None else self._sums + found


def _view(values: array[float]) -> Floats:
    # A copy: an array that lends its buffer cannot grow.
    return np.array(values, np.float64)
