"""Outcomes on their way to their predictions: known only once observed, kept until their prediction has come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count

from fairlead.core.record import OutcomeRecord


class Truths:
    """At most `most` outcomes wait for a prediction; beyond that the ones that have waited longest are forgotten, and
    counted (the outcomes of other models pass through here too)."""

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
