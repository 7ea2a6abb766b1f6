"""Outcomes on their way to their predictions: known only once observed, kept until their prediction has come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count
from math import inf

from fairlead.core.record import OutcomeRecord


class Truths:
    """Outcomes that wait, of all models. About `most` wait for a prediction, and as many for their time: beyond that,
    forgotten and counted are those that have waited longest for a prediction, and those whose time is furthest away."""

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._future: list[tuple[float, float, int, OutcomeRecord]] = []
        self._orphans: dict[str, OutcomeRecord] = {}
        self._order = count()
        self.forgotten = 0

    def add(self, outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes outcomes in, in any order."""
        for outcome in outcomes:
            heapq.heappush(self._future, (outcome.observed_at, outcome.received_at, next(self._order), outcome))
            if len(self._future) > self._most + self._most // 8:
                self._cut()

    def _cut(self) -> None:
        """An eighth at a time, so that a flood costs a sorting now and then. What is sorted is a heap."""
        self._future.sort()
        self.forgotten += len(self._future) - self._most
        del self._future[self._most :]

    @property
    def next_at(self) -> float:
        """The watermark at which the next outcome is known; infinity where none waits for its time."""
        return self._future[0][0] if self._future else inf

    def due(self, watermark: float) -> list[OutcomeRecord]:
        """What has been observed by the watermark, in the order of observation. Each is given once."""
        known = []
        while self._future and self._future[0][0] <= watermark:
            known.append(heapq.heappop(self._future)[3])
        return known

    def keep(self, outcome: OutcomeRecord) -> None:
        """Keeps an outcome whose prediction has not come; of several for one request, the latest."""
        before = self._orphans.get(outcome.request_id)
        if before is None or (before.observed_at, before.received_at) <= (outcome.observed_at, outcome.received_at):
            self._orphans[outcome.request_id] = outcome
        if len(self._orphans) > self._most:
            self._orphans.pop(next(iter(self._orphans)))
            self.forgotten += 1

    def claim(self, request_id: str) -> OutcomeRecord | None:
        """The outcome that waited for this request."""
        return self._orphans.pop(request_id, None)
