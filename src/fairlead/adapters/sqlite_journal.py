"""The journal in SQLite: append-only, hash-chained, written by several processes at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from fairlead.adapters.journal_rows import Row, chained, check_signed, entry_of, verified
from fairlead.adapters.named_sql import migrate, migrations, statements
from fairlead.core.event import GENESIS, AnyFact, Entry
from fairlead.core.standing import NEWER, Standing, moved_on
from fairlead.errors import StateError

_BUSY_SECONDS = 30.0
_PAGE = 1_000


class SqliteJournal:
    """Facts in one file. A fact that was returned is on the disk (WAL, synchronous=FULL). Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Opens the file, creating or migrating it. Raises `StateError` when it cannot be used."""
        self._path = path
        self._lock = Lock()
        self._sql = statements("journal")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"cannot create the folder of the journal {path}: {error.strerror}") from error
        self._check_whole()
        with self._readable():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def _check_whole(self) -> None:
        """A journal whose file is away must not begin anew: SQLite would throw away what its log still holds."""
        log = self._path.with_name(f"{self._path.name}-wal")
        if not self._path.exists() and log.exists() and log.stat().st_size:
            raise StateError(f"the journal {self._path} is gone, and {log.name} is there: put the file back beside it")

    def _prepare(self) -> None:
        connection = self._connection
        try:
            self._enter_wal()
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection, migrations(), f"the journal {self._path}")
        except BaseException:
            connection.close()
            raise

    def _enter_wal(self) -> None:
        """Switching a new file to WAL needs it alone, and SQLite does not wait for that: two processes that begin a
        journal at once take turns here."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Says which file it was when SQLite fails."""
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(
                f"the journal {self._path} cannot be used: {error}; check the disk and the folder's permissions"
            ) from error

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes facts in order, all or none. Raises `UsageError` without an actor or a finite instant, `Refused`
        where something newer stands than was `expected`."""
        check_signed(actor, at)
        if not facts:
            return ()
        with self._lock, self._readable():
            # IMMEDIATE takes the write lock before the last link is read, so processes chain one after another.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._check(expected)
                entries = self._chain(facts, actor, float(at))
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        return entries

    def _check(self, expected: Standing | None) -> None:
        if expected is None:
            return
        kinds = msgspec.json.encode(expected.kinds).decode()
        wanted = {"after": expected.seq, "model": expected.model, "kinds": kinds, "page": NEWER}
        newer = self._read_page(wanted)
        if newer:
            raise moved_on(expected, [entry_of(row, str(self._path)) for row in newer])

    def _chain(self, facts: Sequence[AnyFact], actor: str, at: float) -> tuple[Entry, ...]:
        last = self._connection.execute(self._sql["last_link"]).fetchone() or (0, GENESIS)
        entries, rows = chained(last, facts, actor, at)
        self._connection.executemany(self._sql["append_entry"], rows)
        return entries

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """The entries after a sequence number, oldest first; of one model, or of some kinds, if named."""
        for row in self._rows(after, model, kinds):
            yield entry_of(row, str(self._path))

    def _rows(self, after: int, model: str | None, kinds: Sequence[str]) -> Iterator[Row]:
        """Pages, so that a long read holds neither the lock nor the whole journal."""
        chosen = msgspec.json.encode(list(kinds)).decode() if kinds else None
        while True:
            wanted = {"after": after, "model": model, "kinds": chosen, "page": _PAGE}
            with self._lock, self._readable():
                page = self._read_page(wanted)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _read_page(self, wanted: dict[str, Any]) -> list[Row]:
        query = "read_entries" if wanted["model"] is None else "read_model"
        return self._connection.execute(self._sql[query], wanted).fetchall()

    def verify(self) -> int:
        """Recomputes the whole chain and returns its length. Raises `JournalBroken` naming the first bad entry.

        SQLite keeps the highest number ever given, so that a deletion at the end is found too.
        """
        return verified(self._rows(0, None, ()), self._longest, str(self._path))

    def _longest(self) -> int:
        with self._lock, self._readable():
            return int(self._connection.execute(self._sql["longest"]).fetchone()[0])

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()
