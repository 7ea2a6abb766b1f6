"""The journal in SQLite: append-only, hash-chained, written by several processes at once."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from fairlead.adapters.named_sql import migrate, migrations, statements
from fairlead.core.event import GENESIS, AnyFact, Entry, canonical, link
from fairlead.core.listing import counted
from fairlead.errors import JournalBroken, StateError, UsageError

_BUSY_SECONDS = 30.0
_PAGE = 1_000

_decode = msgspec.json.Decoder(AnyFact).decode


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
        with self._readable():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare()

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

    def append(self, facts: Sequence[AnyFact], *, actor: str, at: float) -> tuple[Entry, ...]:
        """Writes facts in order, all or none. Raises `UsageError` without an actor or a finite instant."""
        if not actor.strip() or not math.isfinite(at):
            raise UsageError(f"a fact needs an actor and a finite instant, not actor {actor!r} at {at!r}")
        if not facts:
            return ()
        with self._lock, self._readable():
            # IMMEDIATE takes the write lock before the last link is read, so processes chain one after another.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                entries = self._chain(facts, actor, float(at))
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        return entries

    def _chain(self, facts: Sequence[AnyFact], actor: str, at: float) -> tuple[Entry, ...]:
        row = self._connection.execute(self._sql["last_link"]).fetchone()
        seq, previous = row or (0, GENESIS)
        entries = []
        for fact in facts:
            text = canonical(fact)
            seq, digest = seq + 1, link(previous, at, actor, text)
            values = {"seq": seq, "at": at, "actor": actor, "fact": text.decode()}
            self._connection.execute(self._sql["append_entry"], {**values, "previous": previous, "digest": digest})
            entries.append(Entry(seq, at, actor, fact, previous, digest))
            previous = digest
        return tuple(entries)

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """The entries after a sequence number, oldest first; of one model, or of some kinds, if named."""
        for row in self._rows(after, model, kinds):
            yield self._entry(row)

    def _rows(self, after: int, model: str | None, kinds: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Pages, so that a long read holds neither the lock nor the whole journal."""
        chosen = msgspec.json.encode(list(kinds)).decode() if kinds else None
        while True:
            wanted = {"after": after, "model": model, "kinds": chosen, "page": _PAGE}
            with self._lock, self._readable():
                page = self._connection.execute(self._sql["read_entries"], wanted).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        seq, at, actor, text, previous, digest = row
        try:
            fact = _decode(text)
        except msgspec.DecodeError as error:
            raise JournalBroken(
                f"entry {seq} of the journal {self._path} cannot be read: {error}; "
                "it was edited, or written by a newer fairlead"
            ) from error
        return Entry(seq, at, actor, fact, previous, digest)

    def verify(self) -> int:
        """Recomputes the whole chain and returns its length. Raises `JournalBroken` naming the first bad entry.

        An edit, a deletion (also at the end: SQLite keeps the highest number ever given) and a change of order are
        found. Whoever can rewrite the whole file and its counters is not: keep the last digest elsewhere for that.
        """
        length, previous = 0, GENESIS
        for row in self._rows(0, None, ()):
            seq, at, actor, text, said_previous, digest = row
            if seq != length + 1:
                raise self._broken(length + 1, f"it is missing: entry {seq} follows entry {length}")
            if said_previous != previous:
                raise self._broken(seq, "it does not follow from the entry before it")
            if digest != link(previous, at, actor, text.encode()):
                raise self._broken(seq, "its content is not what was written")
            self._entry(row)
            length, previous = seq, digest
        with self._lock, self._readable():
            longest = int(self._connection.execute(self._sql["longest"]).fetchone()[0])
        if longest != length:
            raise self._broken(
                length + 1, f"it is missing: the journal once held {counted(longest, 'entry', 'entries')}"
            )
        return length

    def _broken(self, seq: int, what: str) -> JournalBroken:
        return JournalBroken(
            f"entry {seq} of the journal {self._path} breaks the chain: {what}; restore the file from a backup"
        )

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()
