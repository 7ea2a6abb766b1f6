"""The demo's stage: a real `fairlead up`, live traffic, and a journal to follow."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import AliasMoved, AnyFact, StatusChanged, WorkerChanged
from fairlead.errors import StateError
from fairlead.faces.demo.bookings import Bookings, Day
from fairlead.faces.demo.home import MODEL, make_home
from fairlead.faces.demo.stage import Facts, Play, running, stop
from fairlead.faces.demo.traffic import Traffic
from fairlead.operations.context import Context
from fairlead.ports import WorkerState
from fairlead.testing.routes import MemoryBoard

DAY = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """An empty home."""
    return open_context(tmp_path / "home")


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it is gone, perhaps between opening and reading
        return False


def test_facts_follow_the_journal(context: Context) -> None:
    """Each entry once, however often it is looked; of a kind, oldest first."""
    facts = Facts(context)
    assert facts.of(StatusChanged) == []
    told: list[AnyFact] = [
        StatusChanged("m", 1, "staging"),
        AliasMoved("m", "champion", 1, None),
        StatusChanged("m", 1, "production"),
    ]
    for fact in told:
        context.journal.append([fact], actor="ana", at=1.0)
        facts.refresh()
    assert [fact.status for fact in facts.of(StatusChanged)] == ["staging", "production"]
    assert [entry.fact for entry in facts.refresh()] == told


def test_waiting_ends_when_it_is_so(context: Context) -> None:
    """A fact that comes later is seen."""
    facts = Facts(context)

    async def act() -> None:
        waiting = asyncio.ensure_future(facts.wait(lambda: bool(facts.of(StatusChanged)), "a status", 30.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        context.journal.append([StatusChanged("m", 1, "staging")], actor="ana", at=1.0)
        await waiting

    asyncio.run(act())


def test_waiting_in_vain_is_told(context: Context) -> None:
    """By what never came, and where to look."""
    with pytest.raises(StateError, match=r"for the challenger in vain: up\.log"):
        asyncio.run(Facts(context).wait(lambda: False, "the challenger", 0.05))


class Heard:
    """A gateway that writes down what it was asked, and answers each path with a status."""

    def __init__(self, **statuses: int) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._statuses = statuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-l"))
                path = head.split()[1].decode()
                self.asked.append((path, json.loads(await reader.readexactly(size))))
                status = self._statuses.get(path.rpartition("/")[2], 200)
                writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 2\r\n\r\n{}" % status)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def play(heard: Heard, context: Context, act: Callable[[Play], Any]) -> tuple[Play, list[int]]:
    """Runs an act on a stage before that gateway; returns the play and how the bar advanced."""
    steps: list[int] = []

    async def run() -> Play:
        server = await asyncio.start_server(heard.serve, "127.0.0.1", 0)
        async with server:
            traffic = Traffic("127.0.0.1", server.sockets[0].getsockname()[1], 2)
            made = Play(Bookings(20), traffic, context, steps.append)
            try:
                await act(made)
            finally:
                traffic.close()
                await asyncio.sleep(0.01)
        return made

    return asyncio.run(run()), steps


def day(requests: int, outcomes: int) -> Day:
    """A day of traffic."""
    asked = [(f"b{n}", json.dumps({"request_id": f"b{n}"}).encode()) for n in range(requests)]
    return Day(DAY, asked, [{"request_id": f"o{n}", "outcome": 1, "observed_at": 1.0} for n in range(outcomes)])


def test_a_day_tells_its_outcomes_and_asks_for_its_arrivals(context: Context) -> None:
    """Outcomes first, in posts that are not too large; all of both, and the bar advances by the requests."""
    heard = Heard()
    _, steps = play(heard, context, lambda stage: stage.day(day(40, 1_200)))
    paths = [path for path, _ in heard.asked]
    assert paths[:3] == ["/v1/outcomes"] * 3
    assert paths[3:] == [f"/v1/models/{MODEL}/predict"] * 40
    told = [each["request_id"] for _, body in heard.asked[:3] for each in body]
    assert told == [f"o{n}" for n in range(1_200)]
    assert {body["request_id"] for _, body in heard.asked[3:]} == {f"b{n}" for n in range(40)}
    assert steps == [40]


def test_refused_outcomes_end_the_play(context: Context) -> None:
    """The demo does not go on as if they had been taken."""
    with pytest.raises(StateError, match="refused outcomes with status 503"):
        play(Heard(outcomes=503), context, lambda stage: stage.day(day(1, 1)))


def test_a_gateway_is_ready_when_it_serves_the_model(context: Context) -> None:
    """An empty batch is refused by a model that is there; 404 is a gateway without it."""
    play(Heard(predict=400), context, lambda stage: stage.ready())


def test_a_gateway_that_never_serves_it_is_told(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where to look."""
    monkeypatch.setattr("fairlead.faces.demo.stage._START_SECONDS", 0.1)
    with pytest.raises(StateError, match=r"did not become ready: up\.log"):
        play(Heard(predict=404), context, lambda stage: stage.ready())


def test_one_worker_is_killed_when_it_is_time(context: Context) -> None:
    """Within the day in which so many requests were asked for, and never again."""
    board = MemoryBoard()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as victim:
        board.report(WorkerState(0, victim.pid, 1, 0.0, time.time()))

        async def act(stage: Play) -> None:
            stage.kill_a_worker_at(15)
            await stage.day(day(10, 0))
            assert (stage.workers_killed, victim.poll()) == (0, None)
            await stage.day(day(10, 0))
            assert victim.wait(60) == -signal.SIGKILL
            await stage.day(day(10, 0))

        made, _ = play(Heard(), replace(context, board=board), act)
    assert made.workers_killed == 1


def test_without_a_worker_none_is_killed(context: Context) -> None:
    """And none is counted."""

    async def act(stage: Play) -> None:
        stage.kill_a_worker_at(1)
        await stage.day(day(5, 0))

    assert play(Heard(), replace(context, board=MemoryBoard()), act)[0].workers_killed == 0


def serving(context: Context, port: int, control_port: int) -> list[int]:
    """Waits until a demo's `fairlead up` answers; the processes that it has started."""
    deadline = time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline, "it did not come up"
        try:
            httpx.get(f"http://127.0.0.1:{control_port}/api/v1/overview", timeout=5.0)
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=5.0)
            break
        except httpx.HTTPError:
            time.sleep(0.05)
    while len(started := workers(context)) < 2:  # who tells of them keeps nobody waiting
        assert time.monotonic() < deadline, "its workers were not told of"
        time.sleep(0.05)
    return started


def workers(context: Context) -> list[int]:
    """The workers' processes that the journal tells of."""
    facts = [entry.fact for entry in context.journal.read(kinds=["worker_changed"])]
    return [int(f.detail.split()[1]) for f in facts if isinstance(f, WorkerChanged) and f.state == "started"]


def test_the_system_is_stopped_at_the_end(tmp_path: Path) -> None:
    """Also when the demo fails, even if it was to be kept: nothing of it lives on."""
    config, port, control_port = make_home(tmp_path / "demo", aa=False, stride=20)
    context = open_context(tmp_path / "demo", config)
    pids: list[int] = []

    def fail() -> None:
        with running(context.home, config, keep=True) as process:
            pids.extend([process.pid, *serving(context, port, control_port)])
            raise StateError("the act failed")

    with pytest.raises(StateError, match="the act failed"):
        fail()
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_a_kept_system_lives_on_until_it_is_stopped(tmp_path: Path) -> None:
    """With `keep` and no failure it is left up; then it is stopped as a person would."""
    config, port, control_port = make_home(tmp_path / "demo", aa=False, stride=20)
    context = open_context(tmp_path / "demo", config)
    with running(context.home, config, keep=True) as process:
        serving(context, port, control_port)
    try:
        assert process.poll() is None
        os.kill(process.pid, 0)
    finally:
        stop(process)
    assert process.returncode == 0
    stop(process)  # again is no error
