"""Who leads, in PostgreSQL: a lock that ends with its holder's connection, and a term that fences.

A process that dies gives the lock back at once, a machine that vanishes after some seconds. An old leader that has not
noticed yet is refused by the database itself: what it writes names its term, and a later one is out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.adapters.postgres_database import Database, queries
from fairlead.errors import StateError

if TYPE_CHECKING:
    from psycopg import Connection


class PostgresLease:
    """One controller's claim to lead. It has a connection of its own."""

    def __init__(self, database: Database, holder: str) -> None:
        """`holder` is what the others are told."""
        self._database = database
        self._holder = holder
        self._sql = queries("lease")
        self._locked: Connection[Any] | None = None
        self._term: int | None = None

    def take(self) -> bool:
        """Takes the lead where it is free, or makes sure of it; whether we lead. Whoever lost it to another does not
        get it back: its memory is old. Raises `StateError` while the database cannot be asked, and while it has not
        noticed yet that our connection was lost."""
        term = self._database.run(self._take)
        if term is not None and self._term in (None, term):
            self._term = term
            return True
        if term is not None:
            self.leave()
        return False

    def leader(self) -> str:
        """Who led last, ourselves perhaps; empty before the first. Raises `StateError`."""

        def asked(connection: Connection[Any]) -> str:
            row = connection.execute(self._sql["leader"]).fetchone()
            return str(row[1]) if row else ""

        return self._database.run(asked)

    def check(self, connection: Connection[Any]) -> None:
        """Refuses a transaction of who does not lead any more, and keeps the next from leading until it is over.

        Raises `StateError`.
        """
        term = -1 if self._term is None else self._term
        if connection.execute(self._sql["hold_term"], {"term": term}).fetchone() is None:
            raise StateError("another controller leads: this one must write nothing, and starts again behind it")

    def leave(self) -> None:
        """Gives the lead back, before the server has noticed that the connection is closed."""
        locked, self._locked = self._locked, None
        if locked is not None:
            self._database.quietly(locked, self._sql["unlock"])
        self._database.close()

    def _take(self, connection: Connection[Any]) -> int | None:
        """The term that is on, if the lock is ours; a new one before our first."""
        if self._locked is not connection:
            row = connection.execute(self._sql["try_lock"]).fetchone()
            if row is None or not row[0]:
                self._refuse_ours(connection)
                return None
            self._locked = connection
        if self._term is None:
            row = connection.execute(self._sql["begin_term"], {"holder": self._holder}).fetchone()
        else:
            row = connection.execute(self._sql["current_term"]).fetchone()
        assert row is not None, "the lease is one row"
        return int(row[0])

    def _refuse_ours(self, connection: Connection[Any]) -> None:
        """The lock is taken: by another, or still by a connection of ours that was lost, as the term tells. The second
        is no reason to end, so it raises `StateError`."""
        if self._term is None:
            return
        row = connection.execute(self._sql["current_term"]).fetchone()
        if row is not None and row[0] == self._term:
            raise StateError(
                f"{self._database.shown} still keeps the lead for a connection of ours that was lost; it lets go when "
                "it notices, and nobody else has led since"
            )
