"""A worker's view of the route board in PostgreSQL: it answers from memory, and a thread keeps the memory new.

The thread listens for notices, and asks for the table's generation whenever it (re)connects and every second, so that
a notice that was missed is caught up. Reports go by the same connection. While the database is away the last table
stays, also for a worker that starts then: it is kept in a file of the home folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.adapters.postgres_board import say, table_of, unsay
from fairlead.adapters.postgres_database import Database, queries
from fairlead.adapters.route_file import RouteFile
from fairlead.core.route import RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState

if TYPE_CHECKING:
    from psycopg import Connection, Notify

ASK_SECONDS = 1.0
_JOIN_SECONDS = 5.0
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.1, 2.0

_LOG = logging.getLogger("fairlead.worker")


class FollowedBoard:
    """The board for those who must not wait. It is read; the controller publishes by another."""

    def __init__(self, database: Database, place: str, kept: RouteFile) -> None:
        """Starts to follow. `kept` is where the last table lies, of this database and no other."""
        self._database = database
        self._place = place
        self._kept = kept
        self._sql = queries("routes")
        self._table: RouteTable | None = None
        self._asked = False  # whether the database was tried: only then the kept table is the newest there is
        self._noticed = False  # a notice was read in, and nobody has asked since
        self._here: tuple[WorkerState, ...] = ()
        self._said: dict[int, WorkerState | None] = {}  # reports that were not sent yet; None: the worker has ended
        self._stop = threading.Event()
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._thread = threading.Thread(target=self._follow, name="routes", daemon=True)
        self._thread.start()

    def publish(self, table: RouteTable) -> None:
        """Refused: a worker does not decide where requests go."""
        raise StateError(f"generation {table.generation} was published by a reader of the route board: ask a writer's")

    def current(self) -> RouteTable:
        """The newest table that has come; empty at generation 0 before the first."""
        return self._table or RouteTable()

    def changed(self, generation: int) -> RouteTable | None:
        """The table if its generation is another, else None: a database that was restored from a backup has a lower
        one, and what it says counts. Nothing before the database was tried once."""
        table = self._table
        return table if table is not None and table.generation != generation else None

    def report(self, state: WorkerState) -> None:
        """Takes a worker's report; it is sent at once, or when the database is back."""
        self._said[state.worker] = state
        self._wake()

    def forget(self, worker: int) -> None:
        """A worker ended in order; the database is told as of a report."""
        self._said[worker] = None
        self._wake()

    def workers(self) -> tuple[WorkerState, ...]:
        """What the workers of this machine and home said, as of the last question: up to a second ago, longer while the
        database is away."""
        return self._here

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._wake()
        self._thread.join(_JOIN_SECONDS)
        if not self._thread.is_alive():
            os.close(self._woken)
            os.close(self._waker)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        delay, told = 0.0, ""
        while not self._stop.is_set():
            try:
                with contextlib.closing(self._database.connect()) as connection:
                    self._catch_up(connection)
                    if told:
                        _LOG.warning("the database %s is back", self._database.shown)
                    delay, told = 0.0, ""
                    self._listen(connection)
                continue
            except StateError as error:
                lost = error.line
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, the worker goes on from memory
                lost = f"the database {self._database.shown} was lost: {self._database.said(error)}"
            generation = self._fall_back()
            if not told:
                _LOG.warning("%s; route %d is served from memory meanwhile", lost, generation)
            told = lost
            delay = min(max(_FIRST_DELAY_SECONDS, 2 * delay), _LONGEST_DELAY_SECONDS)
            self._stop.wait(delay)

    def _catch_up(self, connection: Connection[Any]) -> None:
        """Listens first, then asks: what is published in between is told."""
        connection.add_notify_handler(self._notice)
        connection.execute(self._sql["listen"])
        self._ask(connection)
        self._send(connection)

    def _listen(self, connection: Connection[Any]) -> None:
        """Waits for notices and reports until told to stop. Raises what the driver raises."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(connection.fileno(), selectors.EVENT_READ)
            waiting.register(self._woken, selectors.EVENT_READ)
            due = time.monotonic() + ASK_SECONDS
            while not self._stop.is_set():
                ready = {key.fd for key, _ in waiting.select(max(0.0, due - time.monotonic()))}
                if self._woken in ready:
                    self._asleep()
                    self._send(connection)
                if self._noticed or connection.fileno() in ready or time.monotonic() >= due:
                    self._ask(connection)
                    due = time.monotonic() + ASK_SECONDS
        self._send(connection)  # what was said just before the end

    def _ask(self, connection: Connection[Any]) -> None:
        """Takes the table if it is another than the one in memory. The question reads notices in as well; one that came
        together with its answer leaves nothing on the socket to wake us, so then it is asked again."""
        while True:
            self._noticed = False
            known = self._table.generation if self._table is not None and self._asked else -1
            row = connection.execute(self._sql["newer"], {"generation": known}).fetchone()
            if row is not None:
                self._take(table_of(row[0], self._database.shown))
            others = connection.execute(self._sql["workers_here"], {"place": self._place}).fetchall()
            self._here = tuple(msgspec.json.decode(one[0], type=WorkerState) for one in others)
            self._asked = True
            while connection.pgconn.notifies() is not None:
                self._noticed = True
            if not self._noticed:
                return

    def _take(self, table: RouteTable) -> None:
        """Takes what the database says. Generation 0 is no table: a database made anew takes no model away."""
        if table.generation == 0:
            self._fall_back()
            return
        self._table = table
        try:
            self._kept.keep(table)
        except StateError as error:
            _LOG.warning("the route table is not kept for a start without the database: %s", error.line)

    def _fall_back(self) -> int:
        """The generation that is served without the database: what is in memory, or what the home folder keeps."""
        if self._table is None:
            try:
                self._table = self._kept.current()
            except StateError as error:
                _LOG.warning("%s", error.line)
                self._table = RouteTable()
        return self._table.generation

    def _send(self, connection: Connection[Any]) -> None:
        for worker, state in list(self._said.items()):
            if state is None:
                unsay(connection, self._place, worker)
            else:
                say(connection, self._place, state)
            if self._said[worker] is state:
                del self._said[worker]

    def _notice(self, _: Notify) -> None:
        self._noticed = True

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._waker, b"!")

    def _asleep(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
