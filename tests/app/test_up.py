"""`fairlead up` as its own process: it keeps everything alive, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.core.event import RolloutDecided, WorkerChanged
from fairlead.core.rollout import Phase
from fairlead.operations import rollouts

System = Any  # the fixtures' values: see conftest
Start = Callable[..., System]


class Traffic(threading.Thread):
    """Requests one after the other, until it is left; `failed` holds whatever was no 200."""

    def __init__(self, system: System) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.failed: list[object] = []
        self._system = system
        self._over = threading.Event()

    def run(self) -> None:
        """Asks."""
        while not self._over.is_set():
            try:
                status = self._system.predict()
            except httpx.HTTPError as error:
                self.failed.append(error)
                continue
            self.answered += 1
            if status != 200:
                self.failed.append(status)
            time.sleep(0.002)

    def more(self, requests: int = 100) -> None:
        """Waits until so many more are answered."""
        seen = self.answered
        self._system.wait(lambda: self.answered > seen + requests)

    def __enter__(self) -> Traffic:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(60)


def test_one_command_starts_everything(system: System) -> None:
    """Workers, controller and console; it says where they are."""
    assert len(system.children("worker")) == 2
    assert len(system.children("controller")) == 1
    assert system.said[0].split() == ["predictions", f"http://127.0.0.1:{system.port}"]
    assert system.said[1].split() == ["console", f"http://127.0.0.1:{system.control_port}"]
    assert httpx.get(f"http://127.0.0.1:{system.control_port}/", timeout=60.0).status_code == 200
    # The supervisor does not wait for the journal.
    system.wait(lambda: len([fact for fact in system.facts("worker_changed") if fact.state == "started"]) == 2)
    assert {fact.worker for fact in system.facts("worker_changed") if fact.state == "started"} == {0, 1}


def test_predictions_go_on_while_the_controller_is_killed(system: System) -> None:
    """Without one error; another controller takes its place."""
    (before,) = system.children("controller")
    with Traffic(system) as traffic:
        system.wait(lambda: traffic.answered > 20)
        os.kill(before, signal.SIGKILL)
        system.wait(lambda: system.children("controller") not in ([], [before]))
        system.wait(system.console_answers)
        seen = traffic.answered
        system.wait(lambda: traffic.answered > seen + 20)
    assert traffic.failed == []


def test_a_killed_worker_is_replaced(system: System) -> None:
    """The other one stays; the journal has the signal; predictions are answered."""
    before = system.children("worker")
    os.kill(before[0], signal.SIGKILL)
    system.wait(lambda: len(system.children("worker")) == 2 and before[0] not in system.children("worker"))
    assert before[1] in system.children("worker")
    system.wait(system.ready)

    def failed() -> list[WorkerChanged]:
        facts = [fact for fact in system.facts("worker_changed") if fact.state == "failed"]
        return [fact for fact in facts if f"pid {before[0]} " in fact.detail]

    system.wait(failed)  # the supervisor does not wait for the journal
    assert "SIGKILL" in failed()[-1].detail


def test_a_rollout_survives_its_controller(system: System) -> None:
    """Killed in the middle of a canary, the next controller finishes it; every decision replays byte for byte."""

    def canary_seen() -> bool:
        decisions = [fact for fact in system.facts("rollout_decided") if fact.rollout == "r2"]
        return any(
            msgspec.json.decode(fact.decision)["requests"].get("canary", 0) > 0
            for fact in decisions
            if isinstance(fact, RolloutDecided)
        )

    system.wait(lambda: any(view.phase is Phase.PROMOTED for view in rollouts.rollouts(system.context)))
    system.deploy(2)
    with Traffic(system) as traffic:
        system.wait(canary_seen)
        (before,) = system.children("controller")
        os.kill(before, signal.SIGKILL)
        system.wait(lambda: system.children("controller") not in ([], [before]))
        system.wait(lambda: rollouts.rollout(system.context, "stay").phase is Phase.PROMOTED)
    assert traffic.failed == []
    view = rollouts.rollout(system.context, "stay")
    assert (view.id, view.version, view.champion, view.share) == ("r2", 2, 1, 1.0)
    assert view.requests_exposed >= 320
    replayed = rollouts.replay(system.context, "r2")
    assert replayed.matches, replayed.first_difference
    system.wait(lambda: system.context.board.current().models["stay"].arms[-1].version == 2)


def test_a_stopped_system_leaves_nothing(start: Start, unused_port: int) -> None:
    """SIGTERM: exit 0, no process of it lives, its ports are free, the journal says that each worker left."""
    system = start(port=unused_port)
    pids = {system.process.pid, *system.children("worker"), *system.children("controller")}
    assert len(pids) == 4
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(120) == 0
    assert pids.isdisjoint(system.parents())
    for port in (system.port, system.control_port):
        with socket.create_server(("127.0.0.1", port)):
            pass
    assert sum(fact.state == "exited" for fact in system.facts("worker_changed")) == 2


def test_children_leave_with_a_killed_supervisor(start: Start) -> None:
    """SIGKILL leaves it no time to stop anything: they notice by themselves."""
    system = start()
    pids = {*system.children("worker"), *system.children("controller")}
    assert len(pids) == 3
    system.process.kill()
    system.process.wait()
    system.wait(lambda: pids.isdisjoint(system.parents()))


def refused(home: Path, *arguments: str, config: Path | None = None) -> str:
    """The one line of a command that ends with 2, and leaves no process behind."""
    options = ["--config", str(config)] if config else []
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home), *options, "up", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.communicate(timeout=60)
            pytest.fail("it did not leave, but went on")
    assert process.returncode == 2, err
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("fairlead: ")
    return err


def test_a_data_port_in_use_is_told(tmp_path: Path, unused_port: int) -> None:
    """One line that names the port and the option, and exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path / "home", "--port", str(port), "--control-port", str(unused_port))
    assert str(port) in said
    assert "pass another with --port" in said


def test_a_control_port_in_use_is_told(tmp_path: Path) -> None:
    """The same: a system whose controller can never start is none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path / "home", "--port", "0", "--control-port", str(port), "--workers", "1")
    assert str(port) in said
    assert "--control-port" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_only_loopback_is_served(tmp_path: Path, host: str) -> None:
    """There is no authentication: any other host is refused, with what to do instead."""
    said = refused(tmp_path / "home", "--host", host, "--port", "0")
    assert host in said
    assert "keep 127.0.0.1 and put a proxy" in said


def test_a_host_in_the_settings_is_refused_alike(tmp_path: Path) -> None:
    """However it was asked for."""
    (tmp_path / "f.yaml").write_text("serving: {host: 0.0.0.0}\n")
    assert "keep 127.0.0.1" in refused(tmp_path / "home", config=tmp_path / "f.yaml")
