"""A model's live traffic over the last minutes of wall-clock time, by version: requests, failures, latencies.

Ten-second buckets: memory is by versions and buckets, whatever the traffic. Latencies are counted in cells of half a
per cent. Counted are the requests that somebody was answered, or refused, by a version: no shadow's, and not the second
answer of a request that fell back, whose first attempt is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import exp, floor, log

from fairlead.core import fallback
from fairlead.core.condition import Measured
from fairlead.core.record import Prediction
from fairlead.stats.intervals import rate_sequence

BUCKET_SECONDS = 10.0
_CELL = log(1.005)
_LEAST_MS = 1e-3


class _Bucket:
    """What one version answered in ten seconds."""

    __slots__ = ("failed", "latencies", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.latencies: Counter[int] = Counter()


class Live:
    """Grows by records, and forgets what is older than its window. `alpha` is for its intervals, which hold however
    often one looks while a window fills."""

    def __init__(self, window_seconds: float, alpha: float = 0.01) -> None:
        self._seconds = window_seconds
        self._alpha = alpha
        self._buckets: dict[int, dict[int, _Bucket]] = {}

    def observe(self, records: Iterable[Prediction], now: float) -> None:
        """Counts one model's records that were received within the window that ends `now`."""
        oldest = floor((now - self._seconds) / BUCKET_SECONDS)
        for record in records:
            slot = floor(record.received_at / BUCKET_SECONDS)
            if slot <= oldest or record.shadow_of is not None or record.arm in ("shadow", fallback.ARM):
                continue
            versions = self._buckets.setdefault(slot, {})
            bucket = versions.get(record.model_version)
            if bucket is None:
                bucket = versions[record.model_version] = _Bucket()
            bucket.requests += 1
            bucket.failed += record.status >= 500
            if record.status < 500:
                bucket.latencies[floor(log(max(record.latency_ms, _LEAST_MS)) / _CELL)] += 1
        for slot in [slot for slot in self._buckets if slot <= oldest]:
            del self._buckets[slot]

    def versions(self, now: float) -> frozenset[int]:
        """The versions that were asked in the window that ends `now`."""
        return frozenset(version for _, version, _ in self._within(now))

    def error_rate(self, now: float, version: int | None = None) -> Measured:
        """The share of requests that failed (status 500 and above), of one version or of all."""
        requests, failed = self._count(now, version)
        if not requests:
            return Measured("error_rate", missing=self._silence(version))
        low, high = rate_sequence(failed, requests, self._alpha)
        return Measured("error_rate", failed / requests, low, high, requests)

    def volume(self, now: float, version: int | None = None) -> Measured:
        """How many requests the window had: no request is a volume of 0, and that is measured."""
        requests, _ = self._count(now, version)
        return Measured("volume", float(requests), rows=requests)

    def quantile(self, name: str, p: float, now: float, version: int | None = None) -> Measured:
        """A quantile of the milliseconds that answered requests took."""
        cells: Counter[int] = Counter()
        for _, known, bucket in self._within(now):
            if version in (None, known):
                cells.update(bucket.latencies)
        rows = cells.total()
        if not rows:
            return Measured(name, missing=self._silence(version))
        ordered = sorted(cells.items())
        least, most = _ranks(rows, p, self._alpha)
        return Measured(
            name,
            _at_rank(ordered, min(floor(p * rows) + 1, rows)),
            0.0 if least is None else _at_rank(ordered, least),  # too few to say anything of it from below
            None if most is None else _at_rank(ordered, most),
            rows,
        )

    def _count(self, now: float, version: int | None) -> tuple[int, int]:
        found = [bucket for _, known, bucket in self._within(now) if version in (None, known)]
        return sum(bucket.requests for bucket in found), sum(bucket.failed for bucket in found)

    def _within(self, now: float) -> Iterable[tuple[int, int, _Bucket]]:
        oldest, newest = floor((now - self._seconds) / BUCKET_SECONDS), floor(now / BUCKET_SECONDS)
        for slot, versions in self._buckets.items():
            if oldest < slot <= newest:
                for version, bucket in versions.items():
                    yield slot, version, bucket

    def _silence(self, version: int | None) -> str:
        whose = "" if version is None else f" of version {version}"
        return f"no request{whose} was answered in the last {self._seconds / 60:g} minutes"


def _ranks(rows: int, p: float, alpha: float) -> tuple[int | None, int | None]:
    """Which of the sorted values bound the p-quantile: the ranks (from 1) of the lower and the upper one."""

    def low_is_safe(below: int) -> bool:
        """Whether so few values at or below a point refute that the quantile lies below it."""
        return rate_sequence(below, rows, alpha)[1] < p

    def high_is_safe(below: int) -> bool:
        return rate_sequence(below, rows, alpha)[0] > p

    least = _last(low_is_safe, 0, floor(p * rows))
    most = _first(high_is_safe, floor(p * rows), rows)
    return (None if least is None else least + 1), most


def _last(holds: Callable[[int], bool], first: int, last: int) -> int | None:
    """The last number from `first` to `last` where a falling predicate holds."""
    if not holds(first):
        return None
    while first < last:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if holds(middle) else (first, middle - 1)
    return first


def _first(holds: Callable[[int], bool], first: int, last: int) -> int | None:
    """The first number from `first` to `last` where a rising predicate holds."""
    if not holds(last):
        return None
    while first < last:
        middle = (first + last) // 2
        first, last = (first, middle) if holds(middle) else (middle + 1, last)
    return first


def _at_rank(ordered: list[tuple[int, int]], rank: int) -> float:
    """The value of that rank (from 1): the middle of its cell."""
    seen = 0
    for cell, count in ordered:
        seen += count
        if seen >= rank:
            return exp((cell + 0.5) * _CELL)
    return exp((ordered[-1][0] + 0.5) * _CELL)
