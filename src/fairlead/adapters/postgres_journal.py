"""The journal in PostgreSQL: append-only, hash-chained, written by processes on several machines at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from fairlead.adapters.journal_rows import Row, broken, chained, check_signed, entry_of, verified
from fairlead.adapters.postgres_database import Database, queries
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.core.event import AnyFact, Entry
from fairlead.core.standing import NEWER, Standing, moved_on

if TYPE_CHECKING:
    from psycopg import Connection

_PAGE = 1_000


class PostgresJournal:
    """Facts in one table. A fact that was returned is on the server's disk. Thread-safe."""

    def __init__(self, database: Database, lease: PostgresLease | None = None) -> None:
        """Asks the database nothing yet. With a `lease` only its holder may append."""
        self._database = database
        self._lease = lease
        self._where = database.shown
        self._sql = queries("journal")

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes facts in order, all or none. Raises `UsageError` without an actor or a finite instant, `Refused`
        where something newer stands than was `expected`, `StateError` while the database is
        away: then nothing is written, or what was being written when it went away."""
        check_signed(actor, at)
        if not facts:
            return ()
        return self._database.run(
            _Append(self._sql, self._lease, _Asked(facts, actor, float(at), expected), self._where)
        )

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """The entries after a sequence number, oldest first; of one model, or of some kinds, if named."""
        for row in self._rows(after, model, kinds):
            yield entry_of(row, self._where)

    def verify(self) -> int:
        """Recomputes the whole chain and returns its length. Raises `JournalBroken` naming the first bad entry.

        The columns that readings are narrowed by are compared with the facts.
        """
        return verified(self._labelled(), self._longest, self._where)

    def close(self) -> None:
        """Closes the connection."""
        self._database.close()

    def _rows(self, after: int, model: str | None, kinds: Sequence[str]) -> Iterator[Row]:
        """Pages, so that a long read holds neither the connection nor the whole journal."""
        while True:
            wanted = {"after": after, "model": model, "kinds": list(kinds) or None, "page": _PAGE}
            page = self._page("read_entries", wanted)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _labelled(self) -> Iterator[Row]:
        rows = self._rows(0, None, ())
        after = 0
        while page := list(islice(rows, _PAGE)):
            labels = self._page("read_labels", {"after": after, "page": len(page)})
            for row, label in zip(page, labels, strict=False):
                yield row
                fact = entry_of(row, self._where).fact
                if label != (fact.model, fact.__struct_config__.tag):
                    raise broken(row[0], "its columns say something else than its content", self._where)
            after = page[-1][0]

    def _page(self, name: str, wanted: dict[str, Any]) -> list[Any]:
        return self._database.run(lambda connection: connection.execute(self._sql[name], wanted).fetchall())

    def _longest(self) -> int:
        return int(self._page("longest", {})[0][0])


class _Asked(NamedTuple):
    """What is to be appended, by whom, when, and on which standing."""

    facts: Sequence[AnyFact]
    actor: str
    at: float
    expected: Standing | None


class _Append:
    """One append. It may be called again when its commit got no answer: what stands already is not written twice."""

    def __init__(self, sql: dict[str, bytes], lease: PostgresLease | None, asked: _Asked, where: str) -> None:
        self._sql = sql
        self._lease = lease
        self._asked = asked
        self._where = where
        self._written: tuple[Entry, ...] = ()

    def __call__(self, connection: Connection[Any]) -> tuple[Entry, ...]:
        """Chains the facts to the newest entry. The lock on the head makes processes take turns, an append of our own
        that is still being committed among them."""
        if self._lease is not None:
            self._lease.check(connection)
        sql = self._sql
        longest, digest = connection.execute(sql["lock_head"]).fetchone() or (0, "")
        if self._written and self._stands(connection):
            return self._written
        facts, actor, at, expected = self._asked
        if expected is not None:
            self._check(connection, expected)
        entries, rows = chained((longest, digest), facts, actor, at)
        names = ("seq", "at", "actor", "fact", "previous", "digest", "model", "kind")
        values = [
            dict(zip(names, (*row, fact.model, fact.__struct_config__.tag), strict=True))
            for row, fact in zip(rows, facts, strict=True)
        ]
        connection.cursor().executemany(sql["append_entry"], values)
        connection.execute(sql["move_head"], {"seq": entries[-1].seq, "digest": entries[-1].digest})
        self._written = entries
        return entries

    def _check(self, connection: Connection[Any], expected: Standing) -> None:
        wanted = {"after": expected.seq, "model": expected.model, "kinds": list(expected.kinds), "page": NEWER}
        newer = connection.execute(self._sql["read_entries"], wanted).fetchall()
        if newer:
            raise moved_on(expected, [entry_of(row, self._where) for row in newer])

    def _stands(self, connection: Connection[Any]) -> bool:
        row = connection.execute(self._sql["has_digest"], {"digest": self._written[-1].digest}).fetchone()
        return row is not None and bool(row[0])
