"""Two controllers: one drives, and when it is killed the other goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fairlead.app.compose import open_context
from fairlead.core.event import DeployAsked, VersionRegistered
from fairlead.core.rollout import Plan, Step
from fairlead.testing.postgres import PostgresServer

Trial = Any  # the fixtures' values: see conftest
Wait = Callable[..., None]


@contextmanager
def controller(home: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """One more controller, until the end."""
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "fairlead.app.controller", "--home", str(home), "--port", str(port), *options]
    with (
        (home / "controller.err").open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as process,
    ):
        yield process
        process.kill()


def told(home: Path) -> str:
    """What the controllers of a home said."""
    return (home / "controller.err").read_text()


def test_who_stands_by_goes_on_in_the_middle_of_a_rollout(
    trial: Callable[..., Trial], callers: Any, watched: Plan, unused_port: int
) -> None:
    """On SQLite the home's lock passes to it. It takes the rollout over from the step it was in, and a version that
    answers a constant is rolled back by it; the journal holds one chain of decisions, and every caller an answer."""
    tried = trial("good")
    system = tried.system
    plan = replace(watched, steps=(Step(0.2, 0.0, 60), *watched.steps))
    with (
        callers(system.port) as made,
        controller(system.home, unused_port, "--stand-by", "--config", str(system.config)) as second,
    ):
        system.wait(lambda: len(made.answers) > 400)
        rollout = system.deploy(tried.register("good"), plan)
        system.wait(lambda: any(one.step == 1 for one in tried.decisions(rollout)))
        assert second.poll() is None
        (first,) = system.children("controller")
        before = len(tried.decisions(rollout))
        killed = time.time()
        os.kill(first, signal.SIGKILL)
        system.wait(lambda: len(tried.decisions(rollout)) > before)
        print(f"SQLite: the next decision {tried.decisions(rollout)[before].at - killed:.2f} s after the kill")
        assert second.poll() is None
        tried.abort(rollout)
        bad = tried.roll_out(tried.register("constant"), watched, made)
    assert (bad.phase, bad.guardrail) == ("rolled_back", "prediction_psi < 0.25")
    assert {answer.status for answer in made.answers} == {200}
    steps = [one.step for one in tried.decisions(rollout)]
    assert all(later - one in (0, 1) for one, later in pairwise(steps))
    generations = [fact.generation for fact in system.facts("route_changed")]
    assert all(one < later for one, later in pairwise(generations))


def test_on_postgresql_the_lease_passes_to_the_other(
    postgres: PostgresServer, tmp_path: Path, wait_for: Wait, unused_port: int
) -> None:
    """Two homes, as two machines have them. Who leads is killed; a deploy that is asked for then (of a bundle that is
    nowhere) is answered by the other, once."""
    settings = tmp_path / "fairlead.yaml"
    settings.write_text(f"database: {postgres.create()}\n")
    homes = [tmp_path / "one", tmp_path / "other"]
    with (
        controller(homes[0], unused_port, "--config", str(settings)) as first,
        controller(homes[1], 0, "--config", str(settings)) as second,
    ):
        wait_for(lambda: any("this controller leads" in told(home) for home in homes))
        wait_for(lambda: any("stands by" in told(home) for home in homes))
        leading = "this controller leads" in told(homes[1])
        context = open_context(homes[0], settings)
        killed = time.time()
        (first, second)[leading].kill()
        asked = DeployAsked("stay", "r1", 1, "0" * 64, Plan("canary", (Step(1.0),), ()))
        context.journal.append([VersionRegistered("stay", 1, "0" * 64, "drawn"), asked], actor="ana", at=killed)

        def answered() -> list[Any]:
            return list(context.journal.read(model="stay", kinds=["deploy_refused"]))

        wait_for(answered)
        print(f"PostgreSQL: its first answer {answered()[0].at - killed:.2f} s after the kill")
        assert "this controller leads" in told(homes[not leading])
        time.sleep(0.5)  # who came back to life would answer too
        assert [(entry.actor, entry.fact.rollout) for entry in answered()] == [("controller", "r1")]
