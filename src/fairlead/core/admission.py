"""Whether one more request may wait for a slow version: what cannot be answered in time is refused at once."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from msgspec import Struct

LONGEST_RETRY = 60  # seconds

QUEUE_FULL = "queue_full"
TOO_LATE = "too_late"


class Limits(Struct, frozen=True):
    """What one version of a model may take up in a worker. Durations are in seconds.

    `timeout`: from a request's arrival to its answer. `concurrency`: batches that run at once. `queue`: requests that
    wait. `wait`: the expected wait from which a request is refused; None is half of the time-out. `batch`: rows of
    different requests that are answered together, at most. `batch_wait`: how long a request waits for company while
    nothing runs.
    """

    timeout: float = 10.0
    concurrency: int = 1
    queue: int = 256
    wait: float | None = None
    batch: int = 64
    batch_wait: float = 0.0

    @property
    def longest_wait(self) -> float:
        """The expected wait that is still admitted."""
        return self.timeout / 2.0 if self.wait is None else self.wait


class Turned(NamedTuple):
    """A refusal: why, and after how many seconds to try again."""

    reason: str
    retry_seconds: int


def admit(limits: Limits, waiting: int, wait_seconds: float) -> Turned | None:
    """None when a request may join `waiting` others that are answered in `wait_seconds`.

    >>> admit(Limits(), 255, 5.0)
    >>> admit(Limits(), 256, 0.1)
    Turned(reason='queue_full', retry_seconds=1)
    >>> admit(Limits(timeout=10.0), 3, 7.2)
    Turned(reason='too_late', retry_seconds=4)
    """
    if waiting >= limits.queue:
        return Turned(QUEUE_FULL, retry_after(wait_seconds))
    if wait_seconds > limits.longest_wait:
        return Turned(TOO_LATE, retry_after(wait_seconds))
    return None


def retry_after(wait_seconds: float) -> int:
    """The whole seconds in which half of what waits is answered: from 1 to a minute."""
    return max(1, min(LONGEST_RETRY, ceil(wait_seconds / 2.0)))


def remaining(expected: float, age: float) -> float:
    """The seconds that a running batch may still take. One that is late is thought to need as long again as it ran.

    >>> remaining(0.5, 0.25), remaining(0.5, 8.0)
    (0.25, 8.0)
    """
    return expected - age if age < expected else age
