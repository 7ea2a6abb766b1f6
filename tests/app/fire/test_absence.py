"""Static stability: what the gateway does not need for an answer is taken away while it is asked."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairlead.core.event import DeployAsked
from fairlead.core.rollout import Plan, Step
from fairlead.testing.callers import Callers

System = Any  # the fixtures' values: see conftest
Absence = Callable[[System], AbstractContextManager[None]]
LogOf = Callable[[Path], Counter[str]]
DIRECT = Plan("direct", (Step(1.0),), ())  # all traffic at once
SECONDS = 5.0
CALLERS, PAUSE = 8, 0.05
MOST_LINES = 12  # that all processes together say of one absence, however long it lasts


@contextmanager
def locked_journal(system: System) -> Iterator[None]:
    """Another process's transaction does not end."""
    other = sqlite3.connect(system.home / "journal.db", timeout=30, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def moved(name: str) -> Absence:
    """A file or folder of the home is elsewhere."""

    @contextmanager
    def absence(system: System) -> Iterator[None]:
        place = system.home / name
        elsewhere = place.with_name(f"{name}.elsewhere")
        place.rename(elsewhere)
        try:
            yield
        finally:
            if place.exists():  # it was made anew meanwhile, which is recovery too
                shutil.rmtree(elsewhere)
            else:
                elsewhere.rename(place)

    return absence


@contextmanager
def stopped_controller(system: System) -> Iterator[None]:
    """It does nothing, and does not die."""
    (pid,) = system.children("controller")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def killed_controller(system: System) -> Iterator[None]:
    """It is killed at the beginning, and whichever has taken its place by the end."""
    for pid in system.children("controller"):
        os.kill(pid, signal.SIGKILL)
    yield
    for pid in system.children("controller"):
        os.kill(pid, signal.SIGKILL)


ABSENCES: dict[str, Absence] = {
    "journal locked": locked_journal,
    "journal moved": moved("journal.db"),
    "registry moved": moved("registry"),
    "bundles moved": moved("bundles"),
    "routes moved": moved("routes"),
    "controller stopped": stopped_controller,
    "controller killed": killed_controller,
}


def flip(system: System, callers: Callers) -> None:
    """Rolls the other version out, all at once, and waits until every caller is answered by it."""
    serving = callers.answers[-1].version
    other = 3 - serving
    name = f"flip-{time.time_ns()}"
    asked = DeployAsked("stay", name, other, system.digests[other - 1], DIRECT)
    system.context.journal.append([asked], actor="ana", at=time.time())
    system.wait(lambda: {answer.version for answer in callers.answers[-2 * CALLERS :]} == {other})


def endure(system: System, absence: Absence, seconds: float, log_of: LogOf) -> None:
    """Under load, without and then with it again: every request is answered and logged once; then a rollout reaches
    every worker, so that all of the system works; and the operator's log is short."""
    with Callers(system.port, CALLERS, pause=PAUSE) as callers:
        system.wait(lambda: len(callers.answers) > 2 * CALLERS)
        before = len(system.log.read_text().splitlines())
        with absence(system):
            time.sleep(seconds)
            seen = len(callers.answers)
            system.wait(lambda: len(callers.answers) > seen + 2 * CALLERS)
        flip(system, callers)
        flip(system, callers)
    assert (set(callers.statuses), callers.broken) == ({200}, [])
    lines = system.log.read_text().splitlines()[before:]
    said = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d .* (WARNING|ERROR) ", line)]
    assert len(said) <= MOST_LINES, said
    assert "Traceback" not in "".join(lines)
    found = log_of(system.home)
    assert [name for name in callers.acknowledged if found[name] != 1] == []


@pytest.mark.parametrize("absence", ABSENCES)
def test_what_an_answer_does_not_need_may_be_away(system: System, log_of: LogOf, absence: str) -> None:
    """For five seconds each."""
    endure(system, ABSENCES[absence], SECONDS, log_of)


@pytest.mark.slow
@pytest.mark.parametrize("absence", ABSENCES)
def test_what_an_answer_does_not_need_may_be_away_for_a_minute(system: System, log_of: LogOf, absence: str) -> None:
    """The same, for a minute each."""
    endure(system, ABSENCES[absence], 60.0, log_of)
