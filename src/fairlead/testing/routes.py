"""A route board in memory, and what every board keeps."""

from __future__ import annotations

import time
from collections.abc import Callable

from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import RouteBoard, WorkerState

_LATE_SECONDS = 60.0


class MemoryBoard:
    """One table and the workers' reports. `broken` makes every call fail as a lost disk does."""

    def __init__(self) -> None:
        """Starts at generation 0."""
        self.broken = False
        self._table = RouteTable()
        self._states: dict[int, WorkerState] = {}

    def publish(self, table: RouteTable) -> None:
        """Replaces the table. Raises `StateError` for a generation that is not higher."""
        self._check()
        if table != self._table and table.generation <= self._table.generation:
            raise StateError(f"generation {table.generation} is not above {self._table.generation}: raise it")
        self._table = table

    def current(self) -> RouteTable:
        """The table as published."""
        self._check()
        return self._table

    def changed(self, generation: int) -> RouteTable | None:
        """The table if its generation is higher, else None."""
        table = self.current()
        return table if table.generation > generation else None

    def report(self, state: WorkerState) -> None:
        """A worker says what it runs."""
        self._check()
        self._states[state.worker] = state

    def forget(self, worker: int) -> None:
        """A worker ended in order."""
        self._check()
        self._states.pop(worker, None)

    def workers(self) -> tuple[WorkerState, ...]:
        """What each worker said last."""
        self._check()
        return tuple(self._states[number] for number in sorted(self._states))

    def _check(self) -> None:
        if self.broken:
            raise StateError("the board in memory is broken: set `broken` to False")


def check_board(open_board: Callable[[], RouteBoard], open_reader: Callable[[], RouteBoard] | None = None) -> None:
    """What every board keeps: the latest table by generation, for every reader, and each worker's last word.

    `open_reader` opens a reader that may be behind for a moment, where a board has such.
    """
    writer, reader = open_board(), (open_reader or open_board)()
    seconds = _LATE_SECONDS if open_reader else 0.0
    assert reader.current() == RouteTable(), "a new board is empty, at generation 0"
    assert reader.changed(0) is None
    first = RouteTable(1, {"hotel": ModelRoute((Arm("champion", 1, 1.0),), {1: "d" * 64}, (), "salt")})
    writer.publish(first)
    assert _soon(lambda: reader.changed(0) == first, seconds), "a reader sees what was published"
    assert reader.changed(1) is None, "a generation is told once"
    writer.publish(first)
    second = RouteTable(2, {"hotel": ModelRoute((Arm("champion", 2, 1.0),), {1: "d" * 64, 2: "e" * 64}, (1,))})
    writer.publish(second)
    assert _soon(lambda: reader.current() == second, seconds), "a reader sees what was published over it"
    try:
        writer.publish(first)
    except StateError:
        pass
    else:
        raise AssertionError("an older generation was published over a newer one")
    assert reader.current() == second, "a refused table changes nothing"
    states = [WorkerState(number, 100 + number, 2, 1.0, 2.0, {"hotel": [1, 2]}) for number in (1, 0)]
    for state in states:
        reader.report(state)
    both = (states[1], states[0])
    assert _soon(lambda: writer.workers() == both, seconds), "every worker's report, by number"
    reader.report(WorkerState(0, 7, 2, 1.0, 3.0, error="no such bundle"))
    assert _soon(lambda: writer.workers()[0].error == "no such bundle", seconds), "the last word counts"
    for _ in range(2):
        reader.forget(0)
    assert _soon(lambda: writer.workers() == (states[0],), seconds), "who ended in order is not listed, nor missed"
    reader.report(states[1])
    assert _soon(lambda: writer.workers() == both, seconds), "and is listed when it is back"


def _soon(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition holds, now or within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True
