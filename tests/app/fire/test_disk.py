"""The log's disk is full, read-only, or comes back: nothing that was acknowledged is lost, and nobody need do anything
but give it room."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.core.event import AlertQuieted, AlertRaised
from fairlead.errors import FairleadError
from fairlead.operations.prediction_log import compact, history, status
from fairlead.testing.callers import Callers

System = Any  # the fixtures' values: see conftest
Mount = Callable[..., Any]
LogOf = Callable[[Path], Counter[str]]
SMALL = ("-t", "tmpfs", "-o", "size=1500k", "tmpfs")


def health(system: System) -> tuple[int, dict[str, Any]]:
    """What a worker says of itself."""
    answer = httpx.get(f"http://127.0.0.1:{system.port}/health", timeout=10.0)
    return answer.status_code, answer.json()


def metric(system: System, name: str) -> float:
    """A metric's sum over the workers."""
    text = httpx.get(f"http://127.0.0.1:{system.port}/metrics", timeout=10.0).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"{name}{{"))


def awaited(system: System, look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What is said once it is so. Asked again, another worker may answer, for which it is not so yet."""
    found: list[Any] = []

    def is_so() -> bool:
        found.append(look())
        return holds(found[-1])

    system.wait(is_so)
    return found[-1]


def alerts(system: System) -> list[Any]:
    """What was told of the log."""
    return [*system.facts("alert_raised"), *system.facts("alert_quieted")]


def is_told(system: System, kind: Any) -> bool:
    """Whether the journal has such a fact about the log."""
    return any(isinstance(fact, kind) and fact.alert == "log-refused" for fact in alerts(system))


def stop(system: System) -> None:
    """Ends it as an operator would."""
    system.process.terminate()
    assert system.process.wait(120) == 0


def test_a_full_disk_sheds_and_recovers_by_itself(
    tmp_path: Path, start: Callable[..., System], mount: Mount, log_of: LogOf
) -> None:
    """Under load until nothing fits: 503 with a time to come back and one line; health, metrics, log and an alert say
    so; no names pile up; a compaction fails and loses nothing. Given room, all of it ends, and every acknowledged id
    is in the log once, and in the table."""
    home = tmp_path / "home"
    disk = mount(home / "log", *SMALL)
    system = start(home)
    with Callers(system.port, 8, pause=0.0) as callers:
        system.wait(lambda: callers.statuses[503] > 50)
        system.wait(lambda: metric(system, "fairlead_log_refused") > 0)
        refused = next(answer for answer in callers.answers if answer.status == 503)
        code, said = awaited(system, lambda: health(system), lambda found: found[0] == 503)
        assert (code, said["status"]) == (503, "log_refused")
        assert "free space" in said["log"]["refused"]
        url = f"http://127.0.0.1:{system.port}/v2/health/ready"
        ready = awaited(system, lambda: httpx.get(url, timeout=10.0), lambda found: found.status_code == 503)
        assert ready.json() == {"ready": False}
        assert httpx.get(f"http://127.0.0.1:{system.port}/v2/health/live", timeout=10.0).status_code == 200
        # Whoever answers knows the other worker's counters by a note that is up to a second old.
        system.wait(lambda: metric(system, "fairlead_log_failures_total") > 0)
        system.wait(lambda: is_told(system, AlertRaised))
        with pytest.raises(FairleadError, match="log"):
            compact(system.context)
        assert status(system.context).trouble
        before = callers.statuses[503]
        system.wait(lambda: callers.statuses[503] > before + 200)
        assert len(list((home / "log" / "predictions").iterdir())) < 20
        disk.again("size=64m")
        system.wait(lambda: health(system)[1]["status"] == "ok")
        system.wait(lambda: is_told(system, AlertQuieted))
        system.wait(lambda: metric(system, "fairlead_log_refused") == 0)  # of any worker
        instant = time.time()
        system.wait(lambda: sum(answer.status == 200 for answer in callers.since(instant)) > 200)
        assert {answer.status for answer in callers.since(instant)} == {200}
    stop(system)
    assert (refused.retry_after, "free space" in refused.error) == ("1", True)
    assert (set(callers.statuses), callers.broken) == ({200, 503}, [])
    found = log_of(home)
    assert [name for name in callers.acknowledged if found[name] != 1] == []
    compact(system.context)
    assert status(system.context).trouble == ""
    reader, moved = history(system.context), Counter[str]()
    while batch := reader.poll()[0]:
        moved.update(record.request_id for record in batch)
    assert [name for name in callers.acknowledged if moved[name] != 1] == []
    lines = [line for line in system.log.read_text().splitlines() if " the log: " in line]
    assert 1 <= len(lines) <= 8, lines  # a few turns of two workers, however many requests were refused


def test_serving_unlogged_answers_everybody_and_counts_what_is_missing(
    tmp_path: Path, start: Callable[..., System], mount: Mount, log_of: LogOf
) -> None:
    """No caller sees a full disk; health and an alert say it, and the answers that are not in the log are counted to
    the last one."""
    home = tmp_path / "home"
    disk = mount(home / "log", *SMALL)
    system = start(home, settings="log: {when_full: serve-unlogged}\n")
    with Callers(system.port, 8, pause=0.0) as callers:
        system.wait(lambda: metric(system, "fairlead_unlogged_answers_total") > 100)
        code, _ = awaited(system, lambda: health(system), lambda found: found[1]["status"] == "unlogged")
        assert code == 200
        system.wait(lambda: is_told(system, AlertRaised))
        disk.again("size=64m")
        system.wait(lambda: health(system)[1]["status"] == "ok")
        system.wait(lambda: is_told(system, AlertQuieted))
        # Whoever answers knows the other's counters by a note, which is of afterwards once that refuses nothing.
        system.wait(lambda: metric(system, "fairlead_log_refused") == 0)
        seen = len(callers.acknowledged)
        system.wait(lambda: len(callers.acknowledged) > seen + 200)
    missing = metric(system, "fairlead_unlogged_answers_total")
    raised = next(fact for fact in alerts(system) if isinstance(fact, AlertRaised))
    stop(system)
    assert (set(callers.statuses), callers.broken, raised.severity) == ({200}, [], "high")
    found = log_of(home)
    assert set(found.values()) == {1}
    assert len([name for name in callers.acknowledged if not found[name]]) == missing
