"""The servers of a comparison, of which one runs at a time: the others are stopped (SIGSTOP), not only idle, since some
of them work when nobody asks them anything."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socket import create_connection

from benchmarks.peers.process_tree import Memory, cpu_of_all, end, go_on, launch, memory_of_all, still
from benchmarks.peers.serving_systems import ONE_THREAD, QUIET, Plan
from benchmarks.serving import Server

START_SECONDS = 90.0
POLL_SECONDS = 0.01


class Fleet:
    """Servers by name, in the order in which they were added, each stilled unless it is `awake`."""

    def __init__(self, core: int, stack: ExitStack) -> None:
        """All run on one core, and end with the stack. What is kept of each: its cold starts in seconds, and what it
        held when it was last awake."""
        self._core, self._stack = core, stack
        self.servers: dict[str, Server] = {}
        self.cold: dict[str, list[float]] = {}
        self.held: dict[str, Memory] = {}

    def add(self, name: str, plan: Plan, folder: Path, starts: int) -> Server:
        """Starts a server so many times, and leaves it running. Its cold starts are kept: seconds from the execution of
        its program to the first answer of 200. Ends the program where there is none."""
        print(f"starting {name}", file=sys.stderr, flush=True)
        if plan.prepare:
            _prepare(name, plan)
        self.cold[name] = []
        for turn in range(starts):
            process = self._start(name, plan, folder)
            if turn < starts - 1:
                end(process)
                time.sleep(0.2)
        self._stack.callback(end, process)
        server = Server(name, process, plan.port, plan.request, cpu_of_all)
        self.servers[name] = server
        still(process.pid)
        return server

    @contextmanager
    def awake(self, name: str) -> Iterator[Server]:
        """Wakes a server up for a while."""
        server = self.servers[name]
        go_on(server.process.pid)
        time.sleep(0.1)
        try:
            yield server
        finally:
            self.held[name] = memory_of_all(server.process.pid)
            still(server.process.pid)

    def _start(self, name: str, plan: Plan, folder: Path) -> subprocess.Popen[bytes]:
        begun = time.perf_counter()
        process = launch(plan.command, self._core, {**QUIET, **ONE_THREAD, **plan.environment}, folder)
        said = b""
        while time.perf_counter() < begun + START_SECONDS and process.poll() is None:
            said = _ask(plan) or said
            if said[9:12] == b"200":
                self.cold[name].append(time.perf_counter() - begun)
                return process
            time.sleep(POLL_SECONDS)
        end(process)
        words = (folder / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
        last = said.decode(errors="replace").strip() or "nothing"
        sys.exit("\n".join((f"{name} did not answer with 200; its last answer was: {last}", "it wrote:", *words)))


def body_of(server: Server) -> bytes:
    """The body of one answer."""
    return _ask(server).partition(b"\r\n\r\n")[2]


def _ask(server: Server | Plan) -> bytes:
    """One whole answer, head and body; empty where nobody listens yet."""
    request = server.request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with suppress(OSError), create_connection(("127.0.0.1", server.port), timeout=10.0) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))
    return b""


def _prepare(name: str, plan: Plan) -> None:
    done = subprocess.run(plan.prepare, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        sys.exit(f"{name} cannot be prepared:\n{done.stderr.strip()[-2000:]}")
