"""A PostgreSQL database: a connection that is opened when it is needed, and anew when it was lost.

Nothing here shows the password: messages are redacted, and the driver's own exceptions are not chained.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.resources import files
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead.adapters.named_sql import statements
from fairlead.config.database import DatabaseUrl
from fairlead.errors import MissingExtra, StateError

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

_MIGRATION = re.compile(r"^(\d{4})_\w+\.sql$")
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.1, 2.0
# What the URL does not say otherwise. A server that vanished is noticed within some ten seconds, also by a reader.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    "tcp_user_timeout": 8_000,
}


@cache
def queries(name: str) -> dict[str, bytes]:
    """The named statements of `sql/postgres/<name>.sql`."""
    return {key: text.encode() for key, text in statements(f"postgres/{name}").items()}


@cache
def migrations() -> tuple[tuple[int, str, bytes], ...]:
    """The migrations that this installation knows, in order: number, file name, script."""
    folder = files("fairlead.adapters") / "sql" / "postgres" / "migrations"
    found = [
        (int(match[1]), file.name, file.read_bytes())
        for file in folder.iterdir()
        if (match := _MIGRATION.match(file.name))
    ]
    return tuple(sorted(found))


class Database:
    """One connection to one database. Thread-safe: one piece of work at a time."""

    def __init__(self, url: DatabaseUrl, purpose: str) -> None:
        """Opens nothing yet. `purpose` is what the server's list of sessions shows. Raises `MissingExtra`."""
        try:
            import psycopg
        except ImportError:
            raise MissingExtra("psycopg", "postgres", "a journal on PostgreSQL") from None
        self.shown = url.shown
        self._url = url
        self._purpose = f"fairlead {purpose}"
        self._driver = psycopg
        self._lock = RLock()
        self._connection: Connection[Any] | None = None
        self._migrated = False
        self._delay = 0.0
        self._next_at = 0.0
        self._refusal = ""

    def run(self, work: Callable[[Connection[Any]], T]) -> T:
        """Does work in one transaction and commits it. Where a connection turns out to be lost, the work is done again
        on a new one: it must bear to be repeated after a commit whose answer never came. Raises `StateError`.
        """
        with self._lock:
            try:
                return self._attempt(work)
            except _Lost:
                pass
            try:
                return self._attempt(work)
            except _Lost as lost:
                raise self._unusable(lost.args[0]) from None

    def connect(self) -> Connection[Any]:
        """A new connection (in autocommit mode) to a database of the newest schema; whoever asks closes it.

        Raises `StateError`, at once while the last attempt is not long ago.
        """
        with self._lock:
            if time.monotonic() < self._next_at:
                raise StateError(self._refusal)
            try:
                connection = self._open()
            except self._driver.Error as error:
                self._delay = min(max(_FIRST_DELAY_SECONDS, 2 * self._delay), _LONGEST_DELAY_SECONDS)
                self._next_at = time.monotonic() + self._delay
                self._refusal = self._unreachable(str(error))
                raise StateError(self._refusal) from None
            self._delay = self._next_at = 0.0
            return connection

    def quietly(self, connection: Connection[Any], statement: bytes) -> None:
        """One statement whose failure changes nothing, on a connection that is given up next."""
        with self._lock, suppress(self._driver.Error):
            connection.execute(statement)

    def close(self) -> None:
        """Closes the connection. It opens again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        """Leaves no session behind."""
        if getattr(self, "_connection", None) is not None:
            self.close()

    def said(self, error: Exception) -> str:
        """What the driver says, on one line and without the password."""
        return self._url.redacted(str(error))

    def _attempt(self, work: Callable[[Connection[Any]], T]) -> T:
        if self._connection is None:
            self._connection = self.connect()
        connection = self._connection
        try:
            with connection.transaction():
                return work(connection)
        except self._driver.Error as error:
            if not connection.closed:
                raise self._unusable(str(error)) from None
            self._connection = None
            raise _Lost(str(error)) from None

    def _open(self) -> Connection[Any]:
        parameters = self._driver.conninfo.conninfo_to_dict(self._url.reveal())
        asked: dict[str, Any] = {"application_name": self._purpose, **_DEFAULTS, **parameters}
        # No prepared statements: they would tie a session to a pooler's choice of server.
        connection = self._driver.connect(autocommit=True, prepare_threshold=None, **asked)
        try:
            self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: Connection[Any]) -> None:
        row = connection.execute(queries("schema")["begin_session"]).fetchone()
        assert row is not None, "a SELECT of settings has one row"
        if row[-1] != "UTF8":
            raise StateError(
                f"the database {self.shown} is encoded in {row[-1]}, and facts are UTF-8: "
                "make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
            )
        if not self._migrated:
            migrate(connection, f"the database {self.shown}")
            self._migrated = True

    def _unreachable(self, reason: str) -> str:
        return (
            f"the database {self.shown} cannot be used: {self._url.redacted(reason)}; "
            "see that it runs and that `database` in the settings, PGPASSWORD or the pgpass file fit it"
        )

    def _unusable(self, reason: str) -> StateError:
        return StateError(self._unreachable(reason))


class _Lost(Exception):
    """A connection broke. Whether what was asked last was done is not known."""


def migrate(connection: Connection[Any], where: str) -> int:
    """Brings a database to the newest known schema in one transaction; returns its version. Processes take turns.

    A database that is up to date is only read: whoever runs fairlead needs no right to make tables. Raises `StateError`
    when the database is of a newer fairlead.
    """
    sql, newest = queries("schema"), migrations()[-1][0]
    current = 0
    if _first(connection, sql["known_schema"]):
        current = int(_first(connection, sql["current_version"]))
    if current < newest:
        with connection.transaction():
            connection.execute(sql["lock_schema"])
            connection.execute(sql["create_versions"])
            current = int(_first(connection, sql["current_version"]))
            for version, name, script in migrations()[current:]:
                connection.execute(script)
                connection.execute(sql["record_version"], {"version": version, "name": name})
            current = max(current, newest)
    if current > newest:
        raise StateError(
            f"{where} has schema version {current}, but this fairlead knows only up to {newest}: "
            "upgrade fairlead, or give it another database"
        )
    return current


def _first(connection: Connection[Any], query: bytes) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None, "the query has one row"
    return row[0]
