"""The route table as a file, replaced atomically, and a file for each worker's report.

Workers look at the file's identity (inode, time, size) fifty times a second: one system call when nothing changed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from fairlead.adapters.folder_sync import sync_folder
from fairlead.core.route import RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState

TABLE = "table.json"

Identity = tuple[int, int, int]


class RouteFile:
    """A folder with `table.json` and `worker-<n>.json`. One process publishes; any number reads."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when something is first written."""
        self._folder = folder
        self._table = folder / TABLE
        self._cached = RouteTable()
        self._seen: Identity | None = None

    def publish(self, table: RouteTable) -> None:
        """Replaces the table, durably. Publishing the same table again changes nothing.

        Raises `StateError` for a generation that is not higher, and when the disk refuses.
        """
        try:
            now = self.current()
        except StateError:
            now = RouteTable()  # a damaged table is replaced: the journal knows what it must say
        if table == now:
            return
        if table.generation <= now.generation:
            raise StateError(
                f"the route table is at generation {now.generation}, and {table.generation} was published over it: "
                "read the current table and raise its generation"
            )
        self._replace(self._table, msgspec.json.encode(table), durable=True)

    def keep(self, table: RouteTable) -> None:
        """Replaces the table, durably, by what another board says, whatever its generation. Raises `StateError`."""
        try:
            if table == self.current():
                return
        except StateError:
            pass  # a damaged table is replaced
        self._replace(self._table, msgspec.json.encode(table), durable=True)

    def current(self) -> RouteTable:
        """The table as published; empty at generation 0 before the first. Raises `StateError` when it is unreadable."""
        try:
            found = self._table.stat()
        except FileNotFoundError:
            return RouteTable()
        except OSError as error:
            raise StateError(f"the route table {self._table} cannot be read ({error.strerror})") from error
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        if identity != self._seen:
            self._cached = self._read()
            self._seen = identity
        return self._cached

    def changed(self, generation: int) -> RouteTable | None:
        """The table if its generation is higher, else None. Raises `StateError` when it is unreadable."""
        table = self.current()
        return table if table.generation > generation else None

    def report(self, state: WorkerState) -> None:
        """A worker says what it runs. Raises `StateError`."""
        path = self._folder / f"worker-{state.worker}.json"
        self._replace(path, msgspec.json.encode(state), durable=False)

    def workers(self) -> tuple[WorkerState, ...]:
        """What each worker said last, by number. A report cut short by a power cut counts as not given."""
        states = []
        for path in self._folder.glob("worker-*.json"):
            try:
                states.append(msgspec.json.decode(path.read_bytes(), type=WorkerState))
            except (FileNotFoundError, msgspec.DecodeError):
                continue
        return tuple(sorted(states, key=lambda state: state.worker))

    def forget(self, worker: int) -> None:
        """A worker that ended in order is not missed. Nothing is raised where its report stays."""
        with suppress(OSError):
            (self._folder / f"worker-{worker}.json").unlink()

    def _read(self) -> RouteTable:
        try:
            return msgspec.json.decode(self._table.read_bytes(), type=RouteTable)
        except OSError as error:
            raise StateError(f"the route table {self._table} cannot be read ({error.strerror})") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"the route table {self._table} is damaged ({error}): publish it again") from error

    def _replace(self, path: Path, content: bytes, *, durable: bool) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
            if durable:
                sync_folder(self._folder)
        except OSError as error:
            raise StateError(f"{path} cannot be written ({error.strerror}): free space or check the owner") from error
