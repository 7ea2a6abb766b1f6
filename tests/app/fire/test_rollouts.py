"""Rollouts, rollbacks and restarts while sixty-four connections ask: nobody sees any of it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fairlead.core.event import OperatorAsked
from fairlead.core.rollout import Decision, Guardrail, Plan, Step
from fairlead.testing.callers import Callers

System = Any  # the fixtures' values: see conftest
LogOf = Callable[[Path], Counter[str]]
CONNECTIONS, PAUSE = 64, 0.03
GUARDRAILS = (Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),)
CANARY = Plan("canary", (Step(0.3, 0.0, 120), Step(0.6, 0.0, 200), Step(1.0)), GUARDRAILS)
FLIP = Plan("blue-green", (Step(1.0),), ())
WARM_MOST = 2
GROWTH_MOST = 24 * 2**20  # bytes a worker may be larger after 30 rollouts than after the first 5


def phase(system: System, rollout: str) -> str:
    """Where a rollout stands."""
    found = ""
    for fact in system.facts("rollout_decided"):
        if fact.rollout == rollout:
            found = str(msgspec.json.decode(fact.decision, type=Decision).after)
    return found


def is_everywhere(callers: Callers, version: int) -> bool:
    """Whether the latest answers are all by one version."""
    return {answer.version for answer in callers.answers[-3 * CONNECTIONS :]} == {version}


def roll_out(system: System, callers: Callers, version: int, plan: Plan) -> None:
    """To the end, until every connection is answered by the version."""
    rollout = system.deploy(version, plan)
    system.wait(lambda: phase(system, rollout) == "promoted")
    system.wait(lambda: is_everywhere(callers, version))


def roll_back(system: System, callers: Callers, version: int) -> None:
    """By hand; `version` is what answers then."""
    system.context.journal.append([OperatorAsked("stay", "rollback", "fire drill")], actor="ana", at=time.time())
    system.wait(lambda: is_everywhere(callers, version))


def restart_workers(system: System) -> None:
    """Each is told to leave, one after another, and has a successor that answers."""
    for pid in system.children("worker"):
        count = len(system.facts("worker_changed"))
        os.kill(pid, signal.SIGTERM)
        system.wait(lambda count=count: len(system.facts("worker_changed")) >= count + 2)  # one failed, one started
        system.wait(lambda: all(state.generation > 0 for state in system.context.board.workers()))
        system.wait(lambda pid=pid: pid not in [state.pid for state in system.context.board.workers()])


def measure(system: System) -> tuple[int, int]:
    """The most memory of a worker, in bytes, and the most versions that one keeps warm."""
    text = httpx.get(f"http://127.0.0.1:{system.port}/metrics", timeout=30.0).text
    found = re.findall(r"^process_resident_memory_bytes\{.*\} (\d+)$", text, re.MULTILINE)
    warm = max(len(state.versions.get("stay", ())) for state in system.context.board.workers())
    return max(map(int, found)), warm


def check(system: System, callers: Callers, log_of: LogOf) -> None:
    """Nobody was refused or cut off, and each is in the log once, as answered."""
    assert (set(callers.statuses), callers.broken) == ({200}, [])
    found = log_of(system.home)
    assert [name for name in callers.acknowledged if found[name] != 1] == []


def test_sixty_four_connections_see_no_rollout(start: Callable[..., System], log_of: LogOf) -> None:
    """A canary to its promotion, back by hand, a blue-green flip and each worker restarted: not one request fails."""
    system = start()
    with Callers(system.port, CONNECTIONS, pause=PAUSE) as callers:
        roll_out(system, callers, 2, CANARY)
        roll_back(system, callers, 1)
        roll_out(system, callers, 2, FLIP)
        restart_workers(system)
        assert measure(system)[1] <= WARM_MOST
        system.wait(lambda: is_everywhere(callers, 2))
    check(system, callers, log_of)


@pytest.mark.slow
def test_thirty_rollouts_fail_nobody_and_leave_no_memory_behind(start: Callable[..., System], log_of: LogOf) -> None:
    """Thirty new versions, by canary and by flip in turn, every third rolled back, workers restarted half-way: not one
    request fails, two versions are warm at most, and a worker is no larger after the last than after the fifth."""
    system = start()
    sizes, serving = [], 1
    with Callers(system.port, CONNECTIONS, pause=PAUSE) as callers:
        for number in range(30):
            version = system.register()
            roll_out(system, callers, version, FLIP if number % 2 else CANARY)
            if number % 3 == 2:
                roll_back(system, callers, serving)
            else:
                serving = version
            size, warm = measure(system)
            assert warm <= WARM_MOST
            sizes.append(size)
        print("resident MiB of the larger worker after each rollout:", [size // 2**20 for size in sizes])
        restart_workers(system)
        system.wait(lambda: is_everywhere(callers, serving))
    check(system, callers, log_of)
    assert max(sizes[-5:]) - max(sizes[:5]) < GROWTH_MOST
