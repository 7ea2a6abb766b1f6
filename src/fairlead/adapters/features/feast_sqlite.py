"""Feast's SQLite online store, read only."""

from __future__ import annotations

import sqlite3
import threading
from calendar import timegm
from collections.abc import Sequence
from pathlib import Path
from time import localtime

from fairlead.adapters.features.feast_online import Asked, Stored
from fairlead.adapters.features.feast_plan import PlannedView
from fairlead.ports.features import FeaturesDown

AT_ONCE = 500  # keys of one query: SQLite takes at most 999 parameters in its oldest builds


class SqliteStore:
    """A connection for each thread that reads, opened when it is first needed, and anew after an error."""

    def __init__(self, path: Path, timeout: float) -> None:
        """`timeout`: how long a read waits for a writer, in seconds."""
        self._path = path
        self._timeout = timeout
        self._own = threading.local()

    def read(self, asked: Sequence[Asked]) -> list[list[Stored | None]]:
        """For each view, what is held of each entity key. Raises `FeaturesDown`, and `TimeoutError` for a writer who
        does not end."""
        return self._read(asked, self._timeout)

    def read_at_once(self, asked: Sequence[Asked]) -> list[list[Stored | None]] | None:
        """The same; None where a writer would have to be waited for. Raises `FeaturesDown`."""
        try:
            return self._read(asked, 0.0)
        except TimeoutError:
            return None

    def _read(self, asked: Sequence[Asked], timeout: float) -> list[list[Stored | None]]:
        try:
            connection = self._connection(timeout)
            return [_read(connection, view, keys) for view, keys in asked]
        except sqlite3.Error as error:
            self._own.__dict__.clear()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise TimeoutError(f"the feature store {self._path} is locked by a writer") from error
            raise FeaturesDown(f"the feature store {self._path} cannot be read: {error}") from error

    def _connection(self, timeout: float) -> sqlite3.Connection:
        """This thread's, for that patience."""
        held: dict[float, sqlite3.Connection] = self._own.__dict__.setdefault("held", {})
        connection = held.get(timeout)
        if connection is None:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            connection = held[timeout] = sqlite3.connect(address, timeout=timeout, uri=True, isolation_level=None)
        return connection


def _read(connection: sqlite3.Connection, view: PlannedView, keys: Sequence[bytes]) -> list[Stored | None]:
    names = {feature.name for feature in view.features}
    found: dict[bytes, tuple[float, dict[str, bytes]]] = {}
    for start in range(0, len(keys), AT_ONCE):
        part = keys[start : start + AT_ONCE]
        marks = ",".join("?" * len(part))
        table = view.table.replace('"', '""')
        query = f'SELECT entity_key, feature_name, value, event_ts FROM "{table}" WHERE entity_key IN ({marks})'  # noqa: S608  # the plan names the table
        for key, name, data, at in connection.execute(query, part):
            one = found.get(key)
            if one is None:
                one = found[key] = (_instant(at), {})
            if name in names:
                one[1][name] = data
    return [Stored(*found[key]) if key in found else None for key in keys]


def _instant(at: float | str | None) -> float:
    """Seconds since 1970 UTC. Feast takes the UTC time that it writes for one of this place, and so it is read."""
    return float(timegm(localtime(float(at or 0))))
