"""A worker follows the route board: it loads what a new table names, swaps, and says what it runs.

A board that cannot be read, or a table that cannot be loaded, changes nothing: what was served goes on being served,
and the report says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead.core.route import RouteTable
from fairlead.errors import FairleadError, StateError
from fairlead.flows.serve import Serving, describe
from fairlead.flows.warm import Live, warm
from fairlead.ports.bundles import BundleStore
from fairlead.ports.routes import RouteBoard, WorkerState

POLL_SECONDS = 0.02
REPORT_SECONDS = 1.0
RETRY_SECONDS = 1.0

_log = logging.getLogger("fairlead.worker")


class Follower:
    """Keeps one worker's `Serving` at the board's generation."""

    def __init__(
        self,
        board: RouteBoard,
        store: BundleStore,
        serving: Serving,
        identity: tuple[int, int],
        swapped: Callable[[], None],
    ) -> None:
        """`identity` is the worker's number and process id; `swapped` is called after each change of what is served."""
        self._board = board
        self._store = store
        self._serving = serving
        self._worker, self._pid = identity
        self._swapped = swapped
        self._asked = -1  # the generation that was last taken from the board
        self._applied_at = 0.0
        self._loading: set[asyncio.Task[None]] = set()
        self._retry: tuple[float, RouteTable] | None = None
        self._board_error = ""
        self._load_error = ""
        self.ready = asyncio.Event()  # set once something is served

    async def run(self) -> None:
        """Follows until cancelled."""
        clock, report_at = self._serving.clock, 0.0
        while True:
            self.look()
            if clock.monotonic() >= report_at:
                self.report()
                report_at = clock.monotonic() + REPORT_SECONDS
            await asyncio.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Takes a newer table from the board, or tries the one that failed again. Needs a running event loop.

        Each table is loaded by itself: a rollback to warm versions does not wait for a load that hangs.
        """
        try:
            table = self._board.changed(self._asked)
        except StateError as error:
            self._board_error = self._tell(error.line, self._board_error)
            return
        self._board_error = ""
        if table is not None:
            self._asked, self._retry = table.generation, None
        elif self._retry is not None and self._serving.clock.monotonic() >= self._retry[0]:
            table, self._retry = self._retry[1], None
        if table is not None:
            task = asyncio.get_running_loop().create_task(self._apply(table))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    def report(self) -> None:
        """Says what this worker runs. A board that refuses the report is told to the operator's log only."""
        live = self._serving.live
        state = WorkerState(
            worker=self._worker,
            pid=self._pid,
            generation=live.generation if live else 0,
            applied_at=self._applied_at,
            heartbeat_at=self._serving.clock.now(),
            versions={name: sorted(model.versions) for name, model in live.models.items()} if live else {},
            error="; ".join(filter(None, (self._board_error, self._load_error))),
        )
        try:
            self._board.report(state)
        except StateError as error:
            self._board_error = self._tell(error.line, self._board_error)

    async def _apply(self, table: RouteTable) -> None:
        try:
            live = await asyncio.to_thread(warm, table, self._store, self._serving.live)
        except Exception as fault:  # noqa: BLE001 - loading runs a model's library: whatever it raises, serving goes on
            if table.generation == self._asked:
                line = fault.line if isinstance(fault, FairleadError) else describe(fault)
                self._load_error = self._tell(f"generation {table.generation} is not served: {line}", self._load_error)
                self._retry = (self._serving.clock.monotonic() + RETRY_SECONDS, table)
                self.report()
            return
        self._swap(live)

    def _swap(self, live: Live) -> None:
        before = self._serving.live
        if before is not None and live.generation <= before.generation:
            return  # a newer table overtook this one while it was loading
        self._serving.live = live
        self._load_error = "" if live.generation == self._asked else self._load_error
        self._applied_at = self._serving.clock.now()
        self.ready.set()
        self.report()
        self._swapped()

    def _tell(self, error: str, before: str) -> str:
        if error != before:
            _log.warning("%s", error)
        return error
