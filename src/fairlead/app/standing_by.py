"""When a new worker takes connections: as soon as it can answer, and not while it cannot and another can.

The workers share one socket. Who takes a connection answers what comes on it, so one that lacks a model (its bundles
are away, say) would fail callers whom the others serve from memory.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fairlead.errors import FairleadError
from fairlead.flows.serve import Serving
from fairlead.ports.routes import RouteBoard

READY_SECONDS = 5.0  # where nobody else serves: health checks are then told what is wrong
FRESH_SECONDS = 3.0  # a word that is older may be a dead worker's
LOOK_SECONDS = 0.02


async def stand_by(serving: Serving, board: RouteBoard, worker: int, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Returns once this worker serves all that its table names, or is to end, or nobody else would answer."""
    deadline = serving.clock.monotonic() + READY_SECONDS
    while not stop.is_set() and not (ready.is_set() and _is_whole(serving)):
        late = ready.is_set() or serving.clock.monotonic() > deadline
        if late and not _is_served(serving, board, worker):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _is_whole(serving: Serving) -> bool:
    live = serving.live
    return live is not None and all(name in live.models for name in (*live.errors, *live.waiting))


def _is_served(serving: Serving, board: RouteBoard, worker: int) -> bool:
    """Whether another worker says that it serves everything."""
    now = serving.clock.now()
    with suppress(FairleadError):  # a board that cannot be read names nobody
        return any(
            state.worker != worker and now - state.heartbeat_at < FRESH_SECONDS and state.versions and not state.errors
            for state in board.workers()
        )
    return False
