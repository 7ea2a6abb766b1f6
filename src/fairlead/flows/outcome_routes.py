"""Records to the models they belong to. An answer names its model; an outcome names a request, and whose that was is
known from the answers: 12 bytes of each are kept for as long as outcomes are waited for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.record import OutcomeRecord, Prediction

BLOCK = 262_144  # requests that are looked up one by one, before they are sorted and packed
_MASK = 2**64 - 1

Records = tuple[list[Prediction], list[OutcomeRecord]]


class _Block(Struct, frozen=True, eq=False):
    """Requests by their sorted hashes, with the number of each one's owner."""

    hashes: NDArray[np.uint64]
    owners: NDArray[np.uint32]
    newest: float  # when the last of them was received

    def owners_of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The owner of each request, -1 for one that is not here."""
        place = np.minimum(np.searchsorted(self.hashes, hashes), self.hashes.size - 1)
        return np.where(self.hashes[place] == hashes, self.owners[place].astype(np.int64), -1)


class OutcomeRoutes:
    """Outcomes whose answer has not come wait for it, at most `most` of them; beyond that the oldest are forgotten.

    Two of 2^64 hashes may meet: then an outcome comes to another model, which has no such request, and is lost.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._owners: list[tuple[str, ...]] = []  # a request that several models answered belongs to all of them
        self._numbers: dict[tuple[str, ...], int] = {}
        self._recent: dict[int, int] = {}
        self._newest = -inf  # when the last of the recent was received
        self._blocks: list[_Block] = []
        self._orphans: dict[str, list[OutcomeRecord]] = {}
        self._waiting = 0
        self.forgotten = 0

    def split(self, predictions: Iterable[Prediction], outcomes: Sequence[OutcomeRecord]) -> dict[str, Records]:
        """The records of each model, in their order."""
        found: dict[str, Records] = {}
        for record in predictions:
            known = found.get(record.model_name)
            if known is None:
                known = found[record.model_name] = ([], [])
            known[0].append(record)
            if record.shadow_of is None:
                self._note(record)
                if self._orphans and record.request_id in self._orphans:
                    late = self._orphans.pop(record.request_id)
                    self._waiting -= len(late)
                    known[1].extend(late)
        for outcome, owner in zip(outcomes, self._answered_by(outcomes), strict=True):
            if owner < 0:
                self._wait(outcome)
            for model in self._owners[owner] if owner >= 0 else ():
                found.setdefault(model, ([], []))[1].append(outcome)
        return found

    def forget(self, before: float) -> None:
        """Forgets requests all of which were received before an instant, as far as they are packed."""
        self._blocks = [block for block in self._blocks if block.newest >= before]

    def __len__(self) -> int:
        """How many requests are known."""
        return len(self._recent) + sum(block.hashes.size for block in self._blocks)

    def _note(self, record: Prediction) -> None:
        request = hash(record.request_id) & _MASK
        before = self._recent.get(request)
        owner = (record.model_name,) if before is None else self._owners[before]
        if record.model_name not in owner:
            owner = (*owner, record.model_name)
        number = self._numbers.get(owner)
        if number is None:
            number = self._numbers[owner] = len(self._owners)
            self._owners.append(owner)
        self._recent[request] = number
        self._newest = max(self._newest, record.received_at)
        if len(self._recent) >= BLOCK:
            self._pack()

    def _pack(self) -> None:
        hashes = np.fromiter(self._recent.keys(), np.uint64, len(self._recent))
        owners = np.fromiter(self._recent.values(), np.uint32, len(self._recent))
        order = np.argsort(hashes)
        self._blocks.append(_Block(hashes[order], owners[order], self._newest))
        self._recent, self._newest = {}, -inf

    def _answered_by(self, outcomes: Sequence[OutcomeRecord]) -> list[int]:
        """The owner of each outcome's request, by its number; -1 for one that is not known."""
        hashes = [hash(outcome.request_id) & _MASK for outcome in outcomes]
        found: Any = np.array([self._recent.get(each, -1) for each in hashes], np.int64)
        asked = np.array(hashes, np.uint64)
        for block in reversed(self._blocks):
            missing = np.flatnonzero(found < 0)
            if not missing.size:
                break
            found[missing] = block.owners_of(asked[missing])
        owners: list[int] = found.tolist()
        return owners

    def _wait(self, outcome: OutcomeRecord) -> None:
        self._orphans.setdefault(outcome.request_id, []).append(outcome)
        self._waiting += 1
        while self._waiting > self._most:
            oldest = self._orphans.pop(next(iter(self._orphans)))
            self._waiting -= len(oldest)
            self.forgotten += len(oldest)
