"""A stage of its own: a temporary home, and the same gateway worker process that production runs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.failing_model import write_failing
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.contract import Contract
from fairlead.core.record import Prediction
from fairlead.core.route import RouteTable
from fairlead.errors import StateError

_MODULE = "fairlead.app.worker"
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


class WorkerStage:
    """One gateway worker on loopback. What it serves is read from the real bundles; all it writes goes with it."""

    def __init__(
        self, bundles_root: Path, table: RouteTable, trust: Sequence[str] = (), start_seconds: float = 30.0
    ) -> None:
        """`table` is what it begins with; `trust` names the model formats that may run code when they are loaded.

        Nothing is started before the stage is entered.
        """
        self._bundles = bundles_root.absolute()
        self._first = table
        self._trust = tuple(trust)
        self._patience = start_seconds
        self._home = Path()
        self._board = RouteFile(self._home)
        self._reader = SegmentReader(self._home)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._port = 0

    def __enter__(self) -> Self:
        """Starts the worker and waits until it has the first table. Raises `StateError`."""
        try:
            self._start()
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the worker and removes its home."""
        self._stop()

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def publish(self, table: RouteTable) -> None:
        """Gives it another route table."""
        self._link(table)
        self._board.publish(table)

    def applied_generation(self) -> int:
        """The generation it has; 0 before the first. Raises `StateError` when it died or cannot load a table."""
        process = self._process
        if process is None or process.poll() is not None:
            raise StateError(f"the stage's worker ended: {self._said()}")
        states = self._board.workers()
        error = next((state.error for state in states if state.error), "")
        if error:
            raise StateError(f"the stage's worker cannot serve this: {error}")
        return min((state.generation for state in states), default=0)

    def peak_memory_mb(self) -> float:
        """The worker's VmHWM (peak resident set), in 10^6 bytes. Raises `StateError` where Linux does not tell it."""
        return self._memory("VmHWM:")

    def memory_mb(self) -> float:
        """The worker's VmRSS (resident set now), in 10^6 bytes. Raises `StateError` as `peak_memory_mb`."""
        return self._memory("VmRSS:")

    def logged(self) -> tuple[Prediction, ...]:
        """What it logged since the last call."""
        records: list[Prediction] = []
        while more := self._reader.poll()[0]:
            records += more
        return tuple(records)

    def log_bytes(self) -> int:
        """The sizes of all its segments."""
        return sum(path.stat().st_size for path in (self._home / "log").rglob("*") if path.is_file())

    def put_failing(self, contract: Contract) -> str:
        """Puts a failing model beside the links to the real bundles. Raises as `write_failing`."""
        with TemporaryDirectory(dir=self._home) as folder:
            draft = Path(folder) / "draft"
            draft.mkdir()
            return BundleFolder(self._home / "bundles").put(draft, write_failing(draft, contract))

    def _memory(self, name: str) -> float:
        assert self._process is not None, "enter the stage first"
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError as error:
            raise StateError(f"the worker's memory cannot be read ({error.strerror}): the gate needs Linux") from error
        found = [line.split()[1] for line in lines if line.startswith(name)]
        if not found:
            raise StateError("the worker's memory is not told by this system: the gate needs Linux")
        return int(found[0]) * 1024 / 1e6

    def _link(self, table: RouteTable) -> None:
        """Shows the worker the bundles that a table names, and no others: what the stage adds is its own."""
        for digest in {digest for route in table.models.values() for digest in route.bundles.values()}:
            link = self._home / "bundles" / digest
            if not link.exists() and (self._bundles / digest).is_dir():
                link.symlink_to(self._bundles / digest, target_is_directory=True)

    def _start(self) -> None:
        self._home = Path(mkdtemp(prefix="fairlead-stage-"))
        (self._home / "bundles").mkdir()
        self._link(self._first)
        self._board = RouteFile(self._home / "routes")
        self._reader = SegmentReader(self._home / "log")
        self._board.publish(self._first)
        read, self._lifeline = os.pipe()  # the worker leaves when this process is gone, however it goes
        # The socket is opened here and inherited: no other program can take the port in between.
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, (self._home / "stderr").open("wb") as err:
            self._port = listener.getsockname()[1]
            fd = listener.fileno()
            arguments = ["--home", str(self._home), "--worker", "0", "--fd", str(fd), "--parent", str(read)]
            arguments += [f"--trust={form}" for form in self._trust]
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", _MODULE, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=err,
                    stderr=err,
                    pass_fds=(fd, read),
                )
            finally:
                os.close(read)

    def _wait(self) -> None:
        deadline = monotonic() + self._patience
        while self.applied_generation() < self._first.generation:
            if monotonic() > deadline:
                raise StateError(f"the stage's worker was not ready within {self._patience:g} s: {self._said()}")
            sleep(_POLL_SECONDS)

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._home != Path():
            shutil.rmtree(self._home, ignore_errors=True)

    def _said(self) -> str:
        """The worker's last words."""
        with suppress(OSError):
            lines = (self._home / "stderr").read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1][:300]
        return "it said nothing"


def stages(bundles_root: Path, trust: Sequence[str] = ()) -> Callable[[RouteTable], WorkerStage]:
    """What opens stages over a folder of bundles; `trust` as for each stage."""
    return lambda table: WorkerStage(bundles_root, table, trust)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
