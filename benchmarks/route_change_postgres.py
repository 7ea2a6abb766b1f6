"""How long a route change takes to reach the last worker, by PostgreSQL's LISTEN/NOTIFY and by the file in the home.

Each change publishes a table in which another version of one model answers all requests; both versions are warm. It
is over when the last worker has swapped, by the worker's own word (`applied_at`, the same machine's clock). The time
counts from before `publish`, so it includes the database's commit to the disk. Boards take turns, change by change.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.serving import warn_if_busy
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.postgres_board import PostgresBoard
from fairlead.adapters.postgres_database import Database
from fairlead.adapters.route_file import RouteFile
from fairlead.app.supervisor import Supervisor
from fairlead.app.worker_board import hand_down, place_of
from fairlead.config.database import DatabaseUrl
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.ports import RouteBoard
from fairlead.testing.candidate import Parts, formula_onnx, write_candidate
from fairlead.testing.postgres import PostgresServer

WARM = 5
IDLE_SECONDS = 5.0


class Plane:
    """Workers over a home, and the board by which they are told."""

    def __init__(self, board: RouteBoard, supervisor: Supervisor, digests: list[str], workers: int) -> None:
        self.supervisor = supervisor
        self._board = board
        self._digests = digests
        self._workers = workers
        self._generation = 0

    def change(self) -> float:
        """Publishes the other version; seconds until the last worker has swapped."""
        self._generation += 1
        version = self._generation % 2 + 1
        bundles = {number + 1: digest for number, digest in enumerate(self._digests)}
        table = RouteTable(self._generation, {"stay": ModelRoute((Arm("champion", version, 1.0),), bundles)})
        began = time.time()
        self._board.publish(table)
        while True:
            states = [one for one in self._board.workers() if one.generation == self._generation]
            if len(states) == self._workers and all(one.versions for one in states):
                return max(one.applied_at for one in states) - began
            time.sleep(0.005)

    def cpu_seconds(self) -> float:
        """What the workers have taken of the processors so far."""
        ticks = 0
        for pid in self.supervisor.pids().values():
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def plane(home: Path, workers: int, url: str) -> Iterator[Plane]:
    """Workers on a database's board, or on the home's without a URL."""
    home.mkdir()
    digests = []
    for version in ("1", "2"):
        draft = home / f"draft-{version}"
        draft.mkdir()
        manifest = write_candidate(draft, Parts(portable=formula_onnx(), model=version.encode()))
        digests.append(BundleFolder(home / "bundles").put(draft, manifest))
    where = DatabaseUrl(url)
    board: RouteBoard = (
        PostgresBoard(Database(where, "benchmark"), place_of(home)) if url else RouteFile(home / "routes")
    )
    supervisor = Supervisor(home, "127.0.0.1", 0, workers, "batch", lambda *_: None, hand_down(where))
    supervisor.start()
    try:
        yield Plane(board, supervisor, digests, workers)
    finally:
        supervisor.stop()


def measure(folder: Path, server: PostgresServer, workers: int, changes: int) -> None:
    """Prints both boards' figures for so many workers."""
    with (
        plane(folder / f"file-{workers}", workers, "") as by_file,
        plane(folder / f"postgres-{workers}", workers, server.create()) as by_notice,
    ):
        planes = {"file in the home": by_file, "PostgreSQL": by_notice}
        for _ in range(WARM):
            for one in planes.values():
                one.change()
        taken: dict[str, list[float]] = {name: [] for name in planes}
        for _ in range(changes):
            for name, one in planes.items():
                taken[name].append(one.change())
        before = {name: one.cpu_seconds() for name, one in planes.items()}
        time.sleep(IDLE_SECONDS)
        for name, one in planes.items():
            idle = (one.cpu_seconds() - before[name]) / IDLE_SECONDS / workers
            told = np.array(taken[name]) * 1000.0
            p50, p99 = np.quantile(told, (0.5, 0.99))
            print(
                f"{workers} workers, {name:16}: p50 {p50:5.1f} ms, p99 {p99:5.1f} ms, max {told.max():5.1f} ms "
                f"over {changes} changes; idle {idle * 100:.1f} % of a core a worker"
            )


def main() -> None:
    """Reads the arguments, runs a server and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=200, help="at least 100")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    arguments = parser.parse_args()
    warn_if_busy(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="fairlead-routes-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "server").mkdir()
        server = PostgresServer(folder / "server", sync=True)
        server.start()
        try:
            for workers in arguments.workers:
                measure(folder, server, workers, max(100, arguments.changes))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
