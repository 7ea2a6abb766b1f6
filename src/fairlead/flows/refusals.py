"""What workers refuse for what it holds, model by model, over the last minutes: from the counters that they leave.

A refused request leaves no record in the log, so this is all that is known of it: how many of how many, and which
field of the contract they were refused for. Ten-second slots; a worker that is new counts from its start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import floor
from typing import NamedTuple

from msgspec import UNSET

from fairlead.core import fallback
from fairlead.core.condition import Measured
from fairlead.core.watched import REFUSED_SHARE
from fairlead.flows.tally import NO_ROW, Counts
from fairlead.stats.intervals import rate_sequence

SLOT_SECONDS = 10.0
MOST_PROCESSES = 256  # whose counts are remembered
HEARD_SECONDS = 60.0  # for how long what workers last said is held to be what is
_NOT_ASKED = ("shadow", fallback.ARM)  # nobody asked for the first, and the second answers what was asked of another
_WORDS = {
    "missing": "null or missing",
    "wrong_type": "of another type",
    "out_of_range": "out of its range",
    "unseen": "never seen",
    "broken_rule": "broken",
    "extra": "a field that the contract does not have",
    NO_ROW: "no row of features",
}


class Series(NamedTuple):
    """What is counted: requests (`kind` asked), those of them that were refused, and, of these, those for a cause."""

    kind: str  # asked | refused | cause
    model: str
    version: str
    feature: str = ""
    what: str = ""


Causes = Counter[tuple[str, str]]  # by field and reason


class Asked(NamedTuple):
    """The requests for a model since the last time, how many of them were refused, and for what."""

    model: str
    requests: int
    refused: int
    causes: Causes = Counter()  # noqa: RUF012 - nobody writes to it


class Refusals:
    """Grows by what workers say, and forgets what is older than its window."""

    def __init__(self, window_seconds: float) -> None:
        self._seconds = window_seconds
        self._before: dict[tuple[int, int], Counter[Series]] = {}
        self._slots: dict[int, dict[str, Counter[Series]]] = {}  # by model, as there may be a thousand
        self._fresh: dict[str, Counter[Series]] = {}
        self._heard: float | None = None
        self._begun: float | None = None

    def take(self, said: Sequence[Counts], now: float) -> None:
        """What the living workers last said of themselves. What they had counted before the first of these is not of
        now, unless they began within the window."""
        if not said:
            return
        self._begun, self._heard = (now if self._begun is None else self._begun), now
        found: Counter[Series] = Counter()
        for one in said:
            key, counted = (one.worker, one.pid), series_of(one)
            before = self._before.pop(key, None)  # kept while it says nothing: a worker that stalled is no new one
            if before is not None or self._is_new(one, now):
                found.update(counted - (before or Counter()))
            self._before[key] = counted
        for key in list(self._before)[:-MOST_PROCESSES]:
            del self._before[key]
        for series, count in found.items():
            for by_model in (self._slots.setdefault(floor(now / SLOT_SECONDS), {}), self._fresh):
                by_model.setdefault(series.model, Counter())[series] += count
        oldest = floor((now - self._seconds) / SLOT_SECONDS)
        for slot in [slot for slot in self._slots if slot <= oldest]:
            del self._slots[slot]

    def share(self, model: str, now: float, version: int | None = None, alpha: float = 0.01) -> Measured:
        """The share of the window's requests that were refused, of one version or of all, with the field that most of
        them were refused for."""
        if self._heard is None or now - self._heard > HEARD_SECONDS:
            return Measured(REFUSED_SHARE, missing="no worker says what it refuses: is `fairlead up` running?")
        mine = [(one, n) for one, n in self._within(model, now) if version is None or one.version == str(version)]
        requests, refused = _sum(mine, "asked"), _sum(mine, "refused")
        if not requests:
            whose = "" if version is None else f" of version {version}"
            return Measured(REFUSED_SHARE, missing=f"no request{whose} came in the last {self._seconds / 60:g} minutes")
        low, high = rate_sequence(refused, requests, alpha)
        note = said_of(requests, refused, causes_of(mine))
        return Measured(REFUSED_SHARE, refused / requests, low, high, requests, note=note or UNSET)

    def versions(self, model: str, now: float) -> frozenset[int]:
        """The versions that were asked in the window that ends `now`, also those that refused all."""
        found = {one.version for one, _ in self._within(model, now) if one.kind == "asked"}
        return frozenset(int(version) for version in found if version)

    def fresh(self) -> list[Asked]:
        """What came since this was asked last, by model."""
        found = []
        for name in sorted(self._fresh):
            counted = self._fresh[name].items()
            found.append(Asked(name, _sum(counted, "asked"), _sum(counted, "refused"), causes_of(counted)))
        self._fresh = {}
        return [one for one in found if one.requests]

    def _is_new(self, one: Counts, now: float) -> bool:
        """Whether all that a process counted is of this window: by when it began, where it says so."""
        began = one.usage.started_at if one.usage is not None else 0.0
        return began > now - self._seconds if began else self._begun is not None and now > self._begun

    def _within(self, model: str, now: float) -> Iterator[tuple[Series, int]]:
        oldest, newest = floor((now - self._seconds) / SLOT_SECONDS), floor(now / SLOT_SECONDS)
        found: Counter[Series] = Counter()
        for slot, by_model in self._slots.items():
            if oldest < slot <= newest and model in by_model:
                found.update(by_model[model])
        yield from found.items()


def _sum(counted: Iterable[tuple[Series, int]], kind: str) -> int:
    return sum(count for one, count in counted if one.kind == kind)


def series_of(counts: Counts) -> Counter[Series]:
    """What a worker counted since its start, of requests for a model that is served. What a contract let fall back was
    asked once, and its stand-in's answer is not counted again."""
    found: Counter[Series] = Counter()
    for one in counts.requests:
        if one.model_name and one.arm not in _NOT_ASKED:
            found[Series("asked", one.model_name, one.model_version)] += one.count
            if 400 <= one.code < 500:
                found[Series("refused", one.model_name, one.model_version)] += one.count
    for back in counts.fallbacks:
        if back.cause == fallback.Cause.CONTRACT:
            found[Series("asked", back.model_name, back.model_version)] += back.count
    for cause in counts.breached:
        found[Series("cause", cause.model_name, cause.model_version, cause.feature, cause.what)] += cause.count
    return found


def causes_of(counted: Iterable[tuple[Series, int]]) -> Causes:
    """What requests were refused for, of all versions."""
    found: Causes = Counter()
    for one, count in counted:
        if one.kind == "cause":
            found[one.feature, one.what] += count
    return found


def said_of(requests: int, refused: int, causes: Causes) -> str:
    """How many of how many, and for what most of them; empty where none was refused.

    >>> said_of(1000, 298, Counter({("age", "missing"): 298}))
    '298 of 1,000 requests were refused, age: null or missing in 298 of 1,000'
    """
    if not refused:
        return ""
    said = f"{refused:,} of {requests:,} requests were refused"
    if not causes:
        return f"{said}, as they could not be read"
    (feature, what), most = min(causes.items(), key=lambda pair: (-pair[1], pair[0]))
    words = _WORDS.get(what, what.replace("_", " "))
    return f"{said}, {feature + ': ' if feature else ''}{words} in {most:,} of {requests:,}"
