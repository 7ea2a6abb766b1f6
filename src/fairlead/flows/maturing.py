"""maturing: log records -> how late labels come -> when a window counts as matured.

Of all answers a bounded sample is kept: those with the smallest hashes of their request ids. Which they are depends on
the log alone, not on the order in which it is read, nor on a restart. About 300 bytes an answer of the sample.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from hashlib import blake2b
from math import inf

import numpy as np

from fairlead.core.maturity import AT_MOST, SHARE, Maturity, maturity_of
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.stats.performance.maturity import delay_curve, waited

SAMPLE = 500
_EARLY = 1_000  # labels that came before their answers
_STEP = 60.0  # seconds of event time, after which it is looked at again


class Maturing:
    """A model's sample. `share` of the labels that come make a window matured, and `at_most` seconds always do."""

    def __init__(self, share: float = SHARE, at_most: float = AT_MOST, size: int = SAMPLE) -> None:
        self._share = share
        self._at_most = at_most
        self._size = size
        self._largest: list[tuple[int, str]] = []  # a heap of minus the hash
        self._rows: dict[str, tuple[float, float]] = {}  # when asked, and when its first label was observed
        self._early: dict[str, float] = {}
        self._step = -inf
        self._seen: Maturity | None = None

    def answered(self, record: Prediction) -> None:
        """Takes an answer in; the same twice is one."""
        identity = record.request_id
        if identity in self._rows:
            return
        key = -_hash(identity)
        if len(self._largest) >= self._size:
            if key <= self._largest[0][0]:
                return
            self._rows.pop(heapq.heapreplace(self._largest, (key, identity))[1])
        else:
            heapq.heappush(self._largest, (key, identity))
        self._rows[identity] = (record.timestamp, self._early.pop(identity, inf))

    def labelled(self, outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes labels in, of any model; of several for one request the first observed counts."""
        for outcome in outcomes:
            row = self._rows.get(outcome.request_id)
            if row is not None:
                self._rows[outcome.request_id] = (row[0], min(row[1], max(row[0], outcome.observed_at)))
            elif len(self._largest) < self._size or -_hash(outcome.request_id) > self._largest[0][0]:
                self._early[outcome.request_id] = min(outcome.observed_at, self._early.get(outcome.request_id, inf))
                if len(self._early) > _EARLY:
                    self._early.pop(next(iter(self._early)))

    def at(self, now: float) -> Maturity:
        """What is known at an instant of event time, looked at once a minute."""
        step = now // _STEP
        if self._seen is None or step != self._step:
            self._step, self._seen = step, self._look(now)
        return self._seen

    @property
    def last(self) -> float:
        """What it was when it was last asked for."""
        return self._at_most if self._seen is None else self._seen.seconds

    def seconds(self, now: float) -> float:
        """After how many seconds from its end a window counts as matured."""
        return self.at(now).seconds

    def _look(self, now: float) -> Maturity:
        rows = [row for row in self._rows.values() if row[0] <= now]
        asked = np.array([row[0] for row in rows], np.float64)
        observed = np.array([row[1] for row in rows], np.float64)
        delay, known = waited(asked, np.where(np.isinf(observed), np.nan, observed), now)
        oldest = now - float(asked.min()) if asked.size else 0.0
        return maturity_of(delay_curve(delay, known), oldest, self._share, self._at_most)


def _hash(identity: str) -> int:
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest())
