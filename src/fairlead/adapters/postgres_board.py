"""The route board in PostgreSQL: one row for the table, one for each worker's report. Every call asks the database.

Workers do not wait for a database: they read by `followed_board`, which this board's notices wake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.adapters.postgres_database import Database, queries
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.core.route import RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState

if TYPE_CHECKING:
    from psycopg import Connection


class PostgresBoard:
    """The table as it is out, and the workers of every machine."""

    def __init__(self, database: Database, place: str, lease: PostgresLease | None = None) -> None:
        """Asks the database nothing yet. `place` tells the workers of one machine and home from others. With a `lease`
        only its holder may publish."""
        self._database = database
        self._place = place
        self._lease = lease
        self._sql = queries("routes")

    def publish(self, table: RouteTable) -> None:
        """Replaces the table and wakes whoever listens. Publishing the same table again changes nothing.

        Raises `StateError` for a generation that is not higher, and while the database is away.
        """
        self._database.run(lambda connection: self._publish(connection, table))

    def current(self) -> RouteTable:
        """The table as published; empty at generation 0 before the first. Raises `StateError`."""
        return self._database.run(self._current)

    def changed(self, generation: int) -> RouteTable | None:
        """The table if its generation is higher, else None. Raises `StateError`."""
        table = self.current()
        return table if table.generation > generation else None

    def report(self, state: WorkerState) -> None:
        """A worker says what it runs. Raises `StateError`."""
        self._database.run(lambda connection: say(connection, self._place, state))

    def forget(self, worker: int) -> None:
        """A worker of this place ended in order: it is not missed. Raises `StateError`."""
        self._database.run(lambda connection: unsay(connection, self._place, worker))

    def workers(self) -> tuple[WorkerState, ...]:
        """What each worker said last, by number, then by machine; not who has been silent for a day."""
        rows = self._database.run(lambda connection: connection.execute(self._sql["workers"]).fetchall())
        return tuple(msgspec.json.decode(row[0], type=WorkerState) for row in rows)

    def _publish(self, connection: Connection[Any], table: RouteTable) -> None:
        if self._lease is not None:
            self._lease.check(connection)
        values = {"generation": table.generation, "content": msgspec.json.encode(table).decode()}
        if connection.execute(self._sql["publish"], values).rowcount:
            connection.execute(self._sql["tell"], {"generation": table.generation})
            connection.execute(self._sql["forget"])
            return
        now = self._current(connection)
        if now != table:
            raise StateError(
                f"the route table is at generation {now.generation}, and {table.generation} was published over it: "
                "read the current table and raise its generation"
            )

    def _current(self, connection: Connection[Any]) -> RouteTable:
        row = connection.execute(self._sql["current"]).fetchone()
        return RouteTable() if row is None else table_of(row[0], self._database.shown)


def say(connection: Connection[Any], place: str, state: WorkerState) -> None:
    """Keeps a worker's report."""
    values = {"place": place, "worker": state.worker, "content": msgspec.json.encode(state).decode()}
    connection.execute(queries("routes")["report"], values)


def unsay(connection: Connection[Any], place: str, worker: int) -> None:
    """Drops a worker's report."""
    connection.execute(queries("routes")["unsay"], {"place": place, "worker": worker})


def table_of(content: str, where: str) -> RouteTable:
    """A stored table. Raises `StateError` when it is damaged."""
    try:
        return msgspec.json.decode(content, type=RouteTable)
    except msgspec.DecodeError as error:
        raise StateError(f"the route table in the database {where} is damaged ({error}): publish it again") from None
