"""What the home's processes take up, as they say it themselves: memory and processors of what they may have, and
requests that wait for a model. Sustained is what the average of a whole window shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import Struct

from fairlead.core.condition import Measured
from fairlead.flows.tally import Counts

_COVERED = 0.8  # of a window must have been seen before its average is one


class Room(Struct, frozen=True):
    """What there is: bytes of memory, and processors (a part of one, where a control group allows no more)."""

    memory: int
    cores: float


class Machines:
    """Grows by what processes say; remembers one window of it, at most a word every few seconds."""

    def __init__(self, room: Room, window_seconds: float) -> None:
        self._room = room
        self._seconds = window_seconds
        self._words: deque[tuple[float, Mapping[tuple[int, int], float]]] = deque()
        self._last: Sequence[Counts] = ()

    def take(self, said: Sequence[Counts], now: float) -> None:
        """What the living processes last said of themselves."""
        self._last = said
        times = {(one.worker, one.pid): one.usage.cpu_seconds for one in said if one.usage is not None}
        self._words.append((now, times))
        while len(self._words) > 2 and self._words[1][0] <= now - self._seconds:
            self._words.popleft()

    def memory_share(self) -> Measured:
        """The resident bytes of all processes, of what there is."""
        used = [one.usage.resident_bytes for one in self._last if one.usage is not None]
        if not used:
            return Measured("memory_share", missing="no process says what it takes up: is `fairlead up` running?")
        return Measured("memory_share", sum(used) / self._room.memory, rows=len(used))

    def cpu_share(self) -> Measured:
        """The processor time of all processes in the last window, of what there was. One that began in it counts from
        its start."""
        if len(self._words) < 2 or self._words[-1][0] - self._words[0][0] < _COVERED * self._seconds:
            return Measured("cpu_share", missing=f"what is sustained is known after {self._seconds / 60:g} minutes")
        (begun, before), (ended, now) = self._words[0], self._words[-1]
        spent = sum(max(0.0, seconds - before.get(key, 0.0)) for key, seconds in now.items())
        return Measured("cpu_share", spent / ((ended - begun) * self._room.cores), rows=len(now))

    def queue_depth(self, model: str) -> Measured:
        """The requests that wait for a model, in all workers. Where nothing is batched nothing waits."""
        waiting = sum(lane.waiting for one in self._last for lane in one.queues if lane.model_name == model)
        if not self._last:
            return Measured("queue_depth", missing="no worker says what waits: is `fairlead up` running?")
        return Measured("queue_depth", float(waiting), rows=len(self._last))
