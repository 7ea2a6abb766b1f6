"""Keeps the gateway's workers alive, and who answers unseen beside them.

It holds the listening socket, so a port is open while a worker is replaced.
"""

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

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.app.worker import BACKLOG, drain_seconds, parse
from fairlead.core.admission import Limits
from fairlead.core.route import SHADOWER
from fairlead.errors import StateError

HEALTHY_SECONDS = 5.0  # who lived this long is replaced at once
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
STOP_SECONDS = 5.0  # beyond a worker's drain
MUTE_SECONDS = 30.0  # a shadower that has not written its counters for so long is replaced: a candidate holds it up

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

    def __init__(self, number: int, module: str = "worker") -> None:
        self.number = number
        self.module = module
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.due_at = 0.0
        self.early_deaths = 0


class Supervisor:
    """Starts workers on one inherited socket and replaces those that die.

    `on_change(worker, state, detail)` is told of every start, exit and failure (`started`, `exited`, `failed`); of the
    process that answers unseen, whose number is `SHADOWER`, of its failures only.
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
        self._shadower = _Slot(SHADOWER, "shadower")
        self._slots = [*(_Slot(number) for number in range(workers)), self._shadower]
        self._notes = NoteFolder(self.home / COUNTERS)
        self._socket: socket.socket | None = None
        self._pipe: tuple[int, int] | None = None

    def start(self) -> None:
        """Binds the port and starts the workers. Raises `StateError` when the port cannot be used."""
        self._socket = _bind(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._pipe = os.pipe()
        self._notes.clear()
        for slot in self._slots:
            self._spawn(slot)

    def check(self) -> None:
        """Finds workers that died and starts their successors; one that dies at once is given time. Never waits."""
        now = time.monotonic()
        if self._shadower.process is not None and self._is_mute(now):
            self._shadower.process.kill()
        for slot in self._slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._bury(slot, slot.process, now)
            if slot.process is None and now >= slot.due_at:
                self._spawn(slot)

    def pids(self) -> dict[int, int]:
        """The process of each gateway worker that was last seen alive."""
        alive = {slot.number: slot.process.pid for slot in self._slots if slot.process is not None}
        alive.pop(SHADOWER, None)
        return alive

    @property
    def shadower(self) -> int | None:
        """The process that answers unseen, if it was last seen alive."""
        return self._shadower.process.pid if self._shadower.process is not None else None

    def stop(self) -> None:
        """Lets the workers answer what is under way, then ends them and gives the port back."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            if slot.process is not None:
                slot.process.terminate()
        deadline = time.monotonic() + drain_seconds(parse(["--home", ".", *self._options])) + STOP_SECONDS
        for slot in running:
            self._await(slot, deadline if slot.number != SHADOWER else time.monotonic() + STOP_SECONDS)
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
        inherited = [self._pipe[0]]
        command = [sys.executable, "-m", f"fairlead.app.{slot.module}", "--home", str(self.home)]
        command += ["--worker", str(slot.number), "--parent", str(self._pipe[0]), *self._options]
        if slot.number != SHADOWER:
            inherited.append(self._socket.fileno())
            command += ["--fd", str(inherited[-1]), "--durability", self._durability]
        # One thread a worker for the numeric libraries: the workers are the parallelism.
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
        slot.process = subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL, env=environment)
        slot.started_at = time.monotonic()
        self._tell(slot, "started", f"pid {slot.process.pid}")

    def _is_mute(self, now: float) -> bool:
        """Whether the shadower that has begun to write its counters does so no more. A bare one writes none."""
        if now - self._shadower.started_at < MUTE_SECONDS:
            return False
        age = self._notes.age(str(SHADOWER))
        return age is not None and age > MUTE_SECONDS

    def _bury(self, slot: _Slot, process: subprocess.Popen[bytes], now: float) -> None:
        lived = now - slot.started_at
        slot.process = None
        if slot.number == SHADOWER:
            self._notes.remove(str(SHADOWER))  # what it says no more is not what is so
            if process.returncode == 0:  # it has nothing to do: the next one is bare
                slot.early_deaths = 0
                return
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
        if slot.number == SHADOWER:
            self._notes.remove(str(SHADOWER))
        self._tell(slot, "exited", f"pid {process.pid} {_how(process.returncode)}")

    def _tell(self, slot: _Slot, state: str, detail: str) -> None:
        """That the shadower comes and goes is how it is meant to be."""
        if slot.number != SHADOWER:
            self._on_change(slot.number, state, detail)


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
