"""The log's disk is slow, or read-only: callers wait or are told, and nothing that was acknowledged is lost."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.core.route import Arm, ModelRoute
from fairlead.testing.callers import Callers

Plane = Any  # the fixtures' values: see conftest
Home = Any
Start = Callable[..., Plane]
Mount = Callable[..., Any]
LogOf = Callable[[Path], Counter[str]]
ROW = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}


def run(*command: str) -> None:
    """A tool of the system, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@pytest.fixture(scope="module")
def slow_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes segments slow, compiled here."""
    library = tmp_path_factory.mktemp("slow") / "slow_disk.so"
    run("cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("slow_disk.c")), "-ldl")
    return library


@pytest.fixture
def switch(tmp_path: Path, slow_library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that makes the disk of a worker slow: see slow_disk.c."""
    monkeypatch.setenv("LD_PRELOAD", str(slow_library))
    monkeypatch.setenv("FIRE_SLOW", str(tmp_path / "slow"))
    return tmp_path / "slow"


@pytest.fixture
def served(home: Home) -> Home:
    """A home whose model is published."""
    home.publish(ModelRoute((Arm("champion", 1, 1.0),), {1: home.put(0.0)}))
    return home


def behind(plane: Plane) -> float:
    """How long a sync has taken so far, at most over the workers."""
    text = httpx.get(f"{plane.url}/metrics", timeout=30.0).text
    lines = [line for line in text.splitlines() if line.startswith("fairlead_log_behind_seconds{")]
    return max(float(line.rsplit(" ", 1)[1]) for line in lines)


def is_log_refused(plane: Plane) -> bool:
    """Whether a worker says that it refuses predictions for its log."""
    return bool(httpx.get(f"{plane.url}/health", timeout=30.0).json()["status"] == "log_refused")


def succeed(callers: Callers, home: Home, count: int) -> None:
    """Waits until so many that are asked from now on are answered."""
    instant = time.time()
    home.wait(lambda: sum(answer.status == 200 for answer in callers.since(instant)) > count)


@pytest.mark.parametrize(
    ("durability", "milliseconds"),
    [
        pytest.param("batch", (0, 1500), id="batch, slow sync"),
        pytest.param("batch", (30, 0), id="batch, slow write"),
        pytest.param("sync", (0, 300), id="sync, slow sync"),
    ],
)
def test_a_slow_disk_fails_nobody(
    served: Home,
    start_plane: Start,
    log_of: LogOf,
    switch: Path,
    durability: str,
    milliseconds: tuple[int, int],
) -> None:
    """Every request is answered and logged; the metrics say that a sync is slow."""
    plane = start_plane(durability=durability)
    with Callers(plane.supervisor.port, 4, model="hotel", rows=[ROW], pause=0.0) as callers:
        switch.write_text("{} {}".format(*milliseconds))
        succeed(callers, served, 12)
        if milliseconds[1]:
            served.wait(lambda: behind(plane) > 0.0)
        switch.unlink()
        succeed(callers, served, 100)
    plane.supervisor.stop()
    assert (set(callers.statuses), callers.broken) == ({200}, [])
    found = log_of(served.path)
    assert [name for name in callers.acknowledged if found[name] != 1] == []


@pytest.mark.slow
def test_a_disk_that_hangs_refuses_those_who_wait_for_it(
    served: Home, start_plane: Start, log_of: LogOf, switch: Path
) -> None:
    """Under `durability: sync` a sync of 15 s is more than a caller is kept for: 503 with one line and a time to come
    back, then 200 again by itself."""
    plane = start_plane(durability="sync")
    with Callers(plane.supervisor.port, 4, model="hotel", rows=[ROW], pause=0.0) as callers:
        succeed(callers, served, 50)
        switch.write_text("0 15000")
        served.wait(lambda: callers.statuses[503] >= 4)
        switch.unlink()
        succeed(callers, served, 50)
    plane.supervisor.stop()
    refused = [answer for answer in callers.answers if answer.status == 503]
    assert {(answer.retry_after, "the disk is slow" in answer.error) for answer in refused} == {("1", True)}
    assert (set(callers.statuses), callers.broken) == ({200, 503}, [])
    found = log_of(served.path)
    assert [name for name in callers.acknowledged if found[name] != 1] == []


def test_a_read_only_disk_refuses_until_it_can_be_written(
    served: Home, start_plane: Start, mount: Mount, log_of: LogOf
) -> None:
    """Read-only from the start: the worker is up, says so, and answers once it is mounted for writing."""
    disk = mount(served.path / "log", "-t", "tmpfs", "-o", "size=8m,ro", "tmpfs")
    plane = start_plane(wait=False)
    served.wait_applied(1, 1)
    with Callers(plane.supervisor.port, 4, model="hotel", rows=[ROW], pause=0.0) as callers:
        served.wait(lambda: callers.statuses[503] > 20)
        served.wait(lambda: is_log_refused(plane))
        disk.again("rw")
        succeed(callers, served, 100)
        served.wait(lambda: not is_log_refused(plane))
    plane.supervisor.stop()
    assert (set(callers.statuses), callers.broken) == ({200, 503}, [])
    refused = [answer for answer in callers.answers if answer.status == 503]
    assert {(answer.retry_after, "mount it for writing" in answer.error) for answer in refused} == {("1", True)}
    found = log_of(served.path)
    assert [name for name in callers.acknowledged if found[name] != 1] == []


@pytest.mark.slow  # ext4 that is aborted loses, now and then, what its own fsync said was there: docs/critiques.md
def test_a_disk_that_fails_over_to_read_only_loses_nothing(
    served: Home, start_plane: Start, mount: Mount, log_of: LogOf
) -> None:
    """An ext4 aborts under load, as it does after an error of its device, and is mounted again: what was acknowledged
    on it under `durability: sync` is there, and what comes goes to it again."""
    image = served.path / "image"
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    run("mkfs.ext4", "-q", str(image))
    mount(served.path / "log", "-t", "tmpfs", "-o", "ro", "tmpfs")  # beneath it, where no record may go
    disk = mount(served.path / "log", "-o", "loop", str(image))
    plane = start_plane(durability="sync")
    with Callers(plane.supervisor.port, 4, model="hotel", rows=[ROW], pause=0.0) as callers:
        succeed(callers, served, 100)
        disk.again("abort")
        served.wait(lambda: callers.statuses[503] > 20)
        served.wait(lambda: is_log_refused(plane))
        disk.leave()
        mount(served.path / "log", "-o", "loop", str(image))
        succeed(callers, served, 100)
    plane.supervisor.stop()
    assert (set(callers.statuses), callers.broken) == ({200, 503}, [])
    found = log_of(served.path)
    assert [name for name in callers.acknowledged if found[name] != 1] == []
