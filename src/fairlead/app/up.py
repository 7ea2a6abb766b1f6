"""`fairlead up`: one command for the whole system. A supervisor, N gateway workers and a controller, each a process.

The supervisor does as little as it can, so that it does not die; it restarts whatever does. Workers answer from
memory: they go on while the controller is away.
"""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from fairlead.adapters.file_lock import held
from fairlead.app import aside, looking, observability
from fairlead.app.compose import open_context
from fairlead.app.supervisor import Supervisor, worker_options
from fairlead.app.worker_board import hand_down
from fairlead.app.worker_facts import WorkerFacts
from fairlead.errors import Refused, StateError
from fairlead.faces.cli.output import say
from fairlead.faces.cli.session import Session
from fairlead.operations.context import Context

_LOG = logging.getLogger("fairlead.up")
_CHECK_SECONDS = 0.1
_STOP_SECONDS = 10.0
_BACKOFF_SECONDS = 2.0
_OCCUPIED = 3  # what a controller leaves with while another runs on its home
_IN_USE_SECONDS = 10.0  # an old controller may still be finishing what it does
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def up(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Where the data plane listens.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    control_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Console and control API, on loopback.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Gateway processes.")] = None,
) -> None:
    """Starts the gateway, the controller and the console, and stays until it is told to stop."""
    session = context.obj
    assert isinstance(session, Session)
    home = open_context(session.home, session.config, session.environment)
    serving = home.settings.serving
    host = host or serving.host
    if host not in _LOOPBACK:
        raise Refused(
            f"the data plane would listen on {host} without authentication, which this version does not have: "
            "keep 127.0.0.1 and put a proxy that authenticates in front of it"
        )
    control_port = _free(serving.control_port if control_port is None else control_port)
    ports = (serving.port if port is None else port, control_port)
    Up(session, home, host, ports, workers or serving.workers).run()


def _free(port: int) -> int:
    """The control port, proved free before anything is started; 0 takes a free one. Raises `StateError`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StateError(
                f"the console cannot listen on 127.0.0.1:{port} ({error.strerror}): pass another --control-port"
            ) from None
        return int(probe.getsockname()[1])


class Up:
    """The supervisor's process."""

    def __init__(self, session: Session, home: Context, host: str, ports: tuple[int, int], workers: int) -> None:
        self._session = session
        self._home = home
        self._control_port = ports[1]
        self._stop = threading.Event()
        self._controller: subprocess.Popen[bytes] | None = None
        self._controller_at = 0.0
        settings = home.settings
        options = worker_options(settings.trust, settings.limits(), settings.log.when_full)
        options += hand_down(settings.database) + aside.hand_down(settings, workers) + looking.hand_down(settings)
        options += [f"--golden={float(settings.rollout.golden)!r}"]
        options += observability.hand_down(settings.monitoring.observing)
        self._facts = WorkerFacts(home.journal, home.clock)
        self._supervisor = Supervisor(
            home.home, host, ports[0], workers, settings.serving.durability, self._facts.add, options
        )

    def run(self) -> None:
        """Starts everything, watches it, and stops it in order when told to. Raises `Refused` for a home in use."""
        with held(self._home.home / "up.lock", f"another `fairlead up` runs on {self._home.home}: stop it first"):
            logs = self._home.settings.monitoring.logging
            with closing(observability.Observability(self._home.home, "supervisor", logs)):
                self._run(_LOG.info if logs.to == "stdout" else say)

    def _run(self, tell: Callable[[str], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._supervisor.start()
        try:
            self._start_controller()
            tell(f"predictions  http://{self._supervisor.host}:{self._supervisor.port}")
            tell(f"console      http://127.0.0.1:{self._control_port}")
            while not self._stop.wait(_CHECK_SECONDS):
                self._supervisor.check()
                self._check_controller()
        finally:
            self._stop_controller()
            self._supervisor.stop()
            self._facts.close(_STOP_SECONDS)

    def _start_controller(self) -> None:
        command = [sys.executable, "-m", "fairlead.app.controller", "--home", str(self._home.home)]
        command += ["--port", str(self._control_port), "--environment", self._session.environment]
        if self._session.config is not None:
            command += ["--config", str(Path(self._session.config).absolute())]
        self._controller = subprocess.Popen(command, stdin=subprocess.PIPE)
        self._controller_at = time.monotonic()

    def _check_controller(self) -> None:
        """Starts the controller again when it died; one that dies at once is given time."""
        assert self._controller is not None
        code = self._controller.poll()
        wait = _IN_USE_SECONDS if code == _OCCUPIED else _BACKOFF_SECONDS
        if code is None or time.monotonic() - self._controller_at < wait:
            return
        _LOG.error("the controller left with %s and is started again", code)
        self._start_controller()

    def _stop_controller(self) -> None:
        if self._controller is None:
            return
        self._controller.terminate()
        try:
            self._controller.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._controller.kill()
            self._controller.wait()
