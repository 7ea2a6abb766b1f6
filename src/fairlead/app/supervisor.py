"""Keeps the gateway's workers alive. It holds the listening socket, so a port is open while a worker is replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from fairlead.adapters.note_folder import NoteFolder
from fairlead.app.worker import BACKLOG, NOTES, drain_seconds, parse
from fairlead.core.admission import Limits
from fairlead.errors import StateError

HEALTHY_SECONDS = 5.0  # who lived this long is replaced at once
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
STOP_SECONDS = 5.0  # beyond a worker's drain

OnChange = Callable[[int, str, str], None]


def worker_options(
    trust: Sequence[str] = (), limits: Mapping[str, Limits] | None = None, when_full: str = "shed"
) -> list[str]:
    """The part of a worker's command line that the settings decide: the formats that may run code, what models may
    take up, by name, and what a full disk does to the answers."""
    stated = [f"--limits={msgspec.json.encode(limits).decode()}"] if limits else []
    return [*(f"--trust={form}" for form in trust), *stated, f"--when-full={when_full}"]


class _Slot:
    """One worker's place: its process, or when the next is due."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self.early_deaths = 0


class Supervisor:
    """Starts workers on one inherited socket and replaces those that die.

    `on_change(worker, state, detail)` is told of every start, exit and failure (`started`, `exited`, `failed`).
    """

    def __init__(
        self,
        home: Path,
        host: str,
        port: int,
        workers: int,
        durability: str,
        on_change: OnChange,
        options: Sequence[str] = (),
    ) -> None:
        """`port` 0 takes a free one, then found in `port`. `options` go to each worker, see `worker_options`."""
        self.home = home.absolute()
        self.host = host
        self.port = port
        self._durability = durability
        self._on_change = on_change
        self._options = tuple(options)
        self._slots = [_Slot(number) for number in range(workers)]
        self._socket: socket.socket | None = None
        self._pipe: tuple[int, int] | None = None

    def start(self) -> None:
        """Binds the port and starts the workers. Raises `StateError` when the port cannot be used."""
        self._socket = _bind(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._pipe = os.pipe()
        NoteFolder(self.home / NOTES).clear()
        for slot in self._slots:
            self._spawn(slot)

    def check(self) -> None:
        """Finds workers that died and starts their successors; one that dies at once is given time. Never waits."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._bury(slot, slot.process, now)
            if slot.process is None and now >= slot.due_at:
                self._spawn(slot)

    def pids(self) -> dict[int, int]:
        """The process of each worker that was last seen alive."""
        return {slot.number: slot.process.pid for slot in self._slots if slot.process is not None}

    def stop(self) -> None:
        """Lets the workers answer what is under way, then ends them and gives the port back."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            if slot.process is not None:
                slot.process.terminate()
        deadline = time.monotonic() + drain_seconds(parse(["--home", ".", *self._options])) + STOP_SECONDS
        for slot in running:
            self._await(slot, deadline)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    def _spawn(self, slot: _Slot) -> None:
        if self._socket is None or self._pipe is None:
            raise StateError("the supervisor is not started: call start() first")
        inherited = (self._socket.fileno(), self._pipe[0])
        command = [sys.executable, "-m", "fairlead.app.worker", "--home", str(self.home)]
        command += ["--worker", str(slot.number), "--fd", str(inherited[0]), "--parent", str(inherited[1])]
        command += ["--durability", self._durability, *self._options]
        # One thread a worker for the numeric libraries: the workers are the parallelism.
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
        slot.process = subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL, env=environment)
        slot.started_at = time.monotonic()
        self._on_change(slot.number, "started", f"pid {slot.process.pid}")

    def _bury(self, slot: _Slot, process: subprocess.Popen[bytes], now: float) -> None:
        lived = now - slot.started_at
        slot.process = None
        slot.early_deaths = slot.early_deaths + 1 if lived < HEALTHY_SECONDS else 0
        delay = 0.0
        if slot.early_deaths > 1:
            delay = min(FIRST_DELAY_SECONDS * 2 ** (slot.early_deaths - 2), LONGEST_DELAY_SECONDS)
        slot.due_at = now + delay
        detail = f"pid {process.pid} {_how(process.returncode)} after {lived:.1f} s; the next starts in {delay:g} s"
        self._on_change(slot.number, "failed", detail)

    def _await(self, slot: _Slot, deadline: float) -> None:
        process = slot.process
        if process is None:
            return
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        slot.process = None
        self._on_change(slot.number, "exited", f"pid {process.pid} {_how(process.returncode)}")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            undo.pop_all()
            return listener
    except OSError as error:
        raise StateError(
            f"port {port} on {host} cannot be used ({error.strerror}): pass another with --port"
        ) from error


def _how(code: int) -> str:
    if code >= 0:
        return f"left with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
