"""The supervisor keeps the workers alive."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.app.supervisor import Supervisor
from fairlead.core.route import SHADOWER
from fairlead.errors import StateError

Plane = Any  # the fixture's value: see conftest

PARENT = """
import sys, time
from pathlib import Path
from fairlead.app.supervisor import Supervisor
supervisor = Supervisor(Path(sys.argv[1]), "127.0.0.1", 0, 2, "batch", lambda *change: None)
supervisor.start()
print(*supervisor.pids().values(), flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it is gone, perhaps between opening and reading
        return False
    return state != "Z"


def test_a_dead_worker_is_replaced_and_told(start_plane: Callable[..., Plane], home: Any) -> None:
    """Under the same number, on the same port; start and failure are told with pid and signal."""
    plane = start_plane(workers=2)
    before = plane.supervisor.pids()
    os.kill(before[1], signal.SIGKILL)
    home.wait(lambda: plane.supervisor.check() or plane.supervisor.pids().get(1) not in (None, before[1]))
    assert plane.supervisor.pids()[0] == before[0]
    states = [(worker, state) for worker, state, _ in plane.changes]
    assert states == [(0, "started"), (1, "started"), (1, "failed"), (1, "started")]
    assert "SIGKILL" in plane.changes[2][2]
    plane.wait_ready()


def test_a_worker_that_dies_at_once_is_given_time(
    tmp_path: Path, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successors start ever later, so that a broken home does not burn the machine."""
    (tmp_path / "log").mkdir()
    changes: list[tuple[int, str, str]] = []
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # the interpreter itself cannot start
    supervisor = Supervisor(tmp_path, "127.0.0.1", 0, 1, "batch", lambda *c: changes.append(c))
    supervisor.start()
    try:

        def failed_four_times() -> bool:
            supervisor.check()
            return all(sum(change[:2] == (number, "failed") for change in changes) >= 4 for number in (0, SHADOWER))

        wait_for(failed_four_times)
    finally:
        supervisor.stop()
    for number in (0, SHADOWER):
        failures = [detail for worker, state, detail in changes if (worker, state) == (number, "failed")]
        delays = [float(detail.split(" in ")[1].split()[0]) for detail in failures]
        assert delays[:4] == [0.0, 0.2, 0.4, 0.8]


def test_workers_leave_with_their_parent(tmp_path: Path, wait_for: Callable[..., None]) -> None:
    """Even when it is killed."""
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """One line with the fix; no worker is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        supervisor = Supervisor(tmp_path, "127.0.0.1", taken.getsockname()[1], 1, "batch", lambda *change: None)
        with pytest.raises(StateError, match="pass another with --port"):
            supervisor.start()
    assert supervisor.pids() == {}
    supervisor.stop()


def test_a_host_that_is_none_is_told(tmp_path: Path) -> None:
    """A name that does not resolve is the same error."""
    supervisor = Supervisor(tmp_path, "no.such.host.invalid", 0, 1, "batch", lambda *change: None)
    with pytest.raises(StateError, match="cannot be used"):
        supervisor.start()


def test_checking_before_starting_is_told(tmp_path: Path) -> None:
    """The error names what to call."""
    supervisor = Supervisor(tmp_path, "127.0.0.1", 0, 1, "batch", lambda *change: None)
    with pytest.raises(StateError, match=r"call start\(\) first"):
        supervisor.check()


def test_stopping_gives_the_port_back(start_plane: Callable[..., Plane], unused_port: int) -> None:
    """And every worker has left."""
    plane = start_plane(workers=2, port=unused_port)
    pids = list(plane.supervisor.pids().values())
    plane.supervisor.stop()
    assert plane.supervisor.pids() == {}
    assert not any(alive(pid) for pid in pids)
    with socket.create_server(("127.0.0.1", unused_port)):
        pass
