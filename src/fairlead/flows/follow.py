"""A worker follows the route board: it loads what a new table names, swaps, and says what it runs.

Each model stands by itself. One whose versions are loaded is swapped at once, so a rollback waits for no load; one
with a version that cannot be loaded goes on as before, and the report says why. A board that cannot be read changes
nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fairlead.core.route import RouteTable, unseen
from fairlead.errors import FairleadError, StateError
from fairlead.flows.lookups import Lookups
from fairlead.flows.serve import Serving, describe
from fairlead.flows.telling import Telling
from fairlead.flows.warm import Live, LiveVersion, arrange, load
from fairlead.ports.bundles import BundleStore
from fairlead.ports.routes import GoldenState, RouteBoard, WorkerState

POLL_SECONDS = 0.02
REPORT_SECONDS = 1.0
RETRY_SECONDS = 1.0
LATE_SECONDS = 30.0  # a load that takes longer is reported as a failure; it is served when it is done after all

_log = logging.getLogger("fairlead.worker")


class Follower:
    """Keeps one worker's `Serving` at the board's generation."""

    def __init__(
        self,
        board: RouteBoard,
        store: BundleStore,
        serving: Serving,
        identity: tuple[int, int] | None,
        swapped: Callable[[], None],
        lookups: Mapping[str, Lookups] = MappingProxyType({}),
    ) -> None:
        """`identity` is the worker's number and process id; None for who answers nobody: it follows what answers
        unseen, and reports nothing, because no caller waits for it to have a route. `swapped` is called after each
        change of what is served; `lookups` are of the models whose features are looked up, by name."""
        self._board = board
        self._store = store
        self._serving = serving
        self._identity = identity
        self._swapped = swapped
        self._lookups = lookups
        self._table: RouteTable | None = None  # what was last taken from the board
        self._named: dict[str, int] = {}  # the bundles that it names, by digest, and a version of each
        self._versions: dict[str, LiveVersion] = {}  # by digest, like all that follows
        self._loading: dict[str, tuple[float, asyncio.Task[None]]] = {}  # since when
        self._faults: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._applied_at = 0.0
        self._told: dict[str, str] = {}
        self._board_error = ""
        self._telling = Telling(_log)
        self.golden: Callable[[], Sequence[GoldenState]] = tuple  # what is reported of golden rows
        self.ready = asyncio.Event()  # set once a whole table is served, but for what cannot be loaded

    @property
    def table(self) -> RouteTable:
        """What was last taken from the board: empty before the first."""
        return self._table or RouteTable()

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
        """Takes a newer table from the board, and tries again what failed. Needs a running event loop."""
        try:
            table = self._board.changed(self._table.generation if self._table is not None else -1)
        except StateError as error:
            self._board_error = error.line
            self._telling.wrong("the route table", error.line)
            return
        self._board_error = ""
        self._telling.right("the route table")
        if table is not None:
            self._take(table if self._identity is not None else unseen(table))
        else:
            self._tend()

    def report(self) -> None:
        """Says what this worker runs. A board that refuses the report is told to the operator's log only."""
        if self._identity is None:
            return
        live = self._serving.live
        errors = live.errors if live else {}
        wrong = [f"model {name!r} is not served as published: {error}" for name, error in errors.items()]
        state = WorkerState(
            worker=self._identity[0],
            pid=self._identity[1],
            generation=live.generation if live else 0,
            applied_at=self._applied_at,
            heartbeat_at=self._serving.clock.now(),
            versions={name: sorted(model.versions) for name, model in live.models.items()} if live else {},
            error="; ".join(filter(None, (self._board_error, self._serving.log.state().refused, *wrong))),
            errors=errors,
            golden=tuple(self.golden()),
        )
        try:
            self._board.report(state)
        except StateError as error:
            self._telling.wrong("the report", error.line)
        else:
            self._telling.right("the report")

    def _take(self, table: RouteTable) -> None:
        self._table = table
        self._named = {digest: number for route in table.models.values() for number, digest in route.bundles.items()}
        for digest in self._named.keys() - self._versions.keys() - self._faults.keys():
            self._begin(digest)
        self._arrange()

    def _tend(self) -> None:
        """Tries again what failed a while ago, and gives up waiting for what hangs."""
        now = self._serving.clock.monotonic()
        for digest in [digest for digest, at in self._retry_at.items() if now >= at]:
            self._begin(digest)
        late = [digest for digest, (since, _) in self._loading.items() if now - since > LATE_SECONDS]
        if any(digest in self._named and digest not in self._faults for digest in late):
            self._faults |= dict.fromkeys(late, f"it is still being loaded after {LATE_SECONDS:g} s")
            self._arrange()

    def _begin(self, digest: str) -> None:
        self._retry_at.pop(digest, None)
        if digest not in self._loading:
            task = asyncio.get_running_loop().create_task(self._load(self._named[digest], digest))
            self._loading[digest] = (self._serving.clock.monotonic(), task)

    async def _load(self, number: int, digest: str) -> None:
        try:
            self._versions[digest] = await asyncio.to_thread(
                load, number, digest, self._store, self._serving.clock, self._lookups
            )
            self._faults.pop(digest, None)
        except Exception as fault:  # noqa: BLE001 - loading runs a model's library: whatever it raises, serving goes on
            self._faults[digest] = fault.line if isinstance(fault, FairleadError) else describe(fault)
            self._retry_at[digest] = self._serving.clock.monotonic() + RETRY_SECONDS
        del self._loading[digest]
        self._arrange()

    def _arrange(self) -> None:
        """Serves what can be served of the table, if that is anything else than what is served."""
        assert self._table is not None, "only what a table names is loaded"
        before = self._serving.live
        live = arrange(self._table, self._versions, self._faults, before)
        self._forget(live)
        self._tell_of(live)
        if not live.waiting:
            self.ready.set()
        if live == before or (before is None and live.waiting and not live.models):
            return
        swapped = before is None or (live.generation, live.models) != (before.generation, before.models)
        self._serving.live = live
        if swapped:
            self._applied_at = self._serving.clock.now()
        self.report()
        if swapped:
            self._swapped()

    def _forget(self, live: Live) -> None:
        """Drops what neither the table names nor anything that is served holds."""
        held = {version.digest for model in live.models.values() for version in model.versions.values()}
        self._versions = {at: version for at, version in self._versions.items() if at in self._named or at in held}
        self._faults = {at: fault for at, fault in self._faults.items() if at in self._named}
        self._retry_at = {at: when for at, when in self._retry_at.items() if at in self._named}

    def _tell_of(self, live: Live) -> None:
        for name, error in live.errors.items():
            if self._told.get(name) != error:
                _log.warning("model %r is not served as published: %s", name, error)
        self._told = live.errors
