"""An experiment through real workers: dealt, joined with what callers logged, read, and ended as it says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import DeployAsked, ExperimentStarted, canonical
from fairlead.core.experiment_terms import Terms
from fairlead.core.rollout import Guardrail, Phase, Plan, Step
from fairlead.operations import rollouts

System = Any  # the fixture's values: see conftest
GROUP, SHARES = "stay-ab-1", (ArmShare(2, 0.5),)
ERRORS = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)
PLAN = Plan("ab", (Step(0.5),), (ERRORS,), among=Among(GROUP, SHARES), edition=2)
TERMS = Terms("conversion", 1, SHARES, ("error_rate <= control + 5%",), window=2.0, delay=1.0)


def ask(system: System, requests: int) -> None:
    """Callers of whom those whom the challenger answers convert four times as often."""
    events = []
    for _ in range(requests):
        row = system.row()
        unit = f"u{system.asked}"
        answer = system.http.post("/v1/models/stay/predict", json={"features": row, "unit_id": unit}).json()
        if system.asked % 5 < (4 if answer["version"] == 2 else 1):
            events.append({"model": "stay", "unit_id": unit, "name": "conversion", "value": 1})
    assert system.http.post("/v1/events", json=events).status_code == 200


def said(system: System, *words: str) -> tuple[int, Any]:
    """The exit code and the JSON document of a verb."""
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(system.home), "--config", str(system.config)]
    done = subprocess.run(
        [*command, "experiment", *words, "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_an_experiment_survives_a_restart_and_ships_what_is_better(start: Callable[[], System]) -> None:
    """Half of the units come before `up` is stopped and started again, half after it: all are read, none changes its
    arm, and stopping makes the challenger the champion."""
    system = start()
    system.wait(lambda: [view.phase for view in rollouts.rollouts(system.context)] == [Phase.PROMOTED])
    asked = DeployAsked("stay", "stay-2-1", 2, system.digests[1], PLAN)
    begun = ExperimentStarted("stay", "form", GROUP, Raw(canonical(TERMS)))
    system.context.journal.append([asked, begun], actor="ana", at=time.time())

    def dealt() -> bool:
        route = system.context.board.current()
        applied = all(state.generation == route.generation for state in system.context.board.workers())
        return len(route.models["stay"].arms) == 2 and applied

    system.wait(dealt)
    first = system.asked
    ask(system, 250)
    system.process.terminate()
    system.process.wait(60)
    system.process.stdout.close()
    system.start()
    system.wait(system.ready)
    system.wait(system.console_answers)
    ask(system, 350)
    units = system.asked - first
    time.sleep(3.5)  # the window and the delay of the last unit
    code, told = said(system, "read", "form")
    assert (code, told["decision"], told["state"]) == (0, "ship", "running"), told["verdict"]
    assert units - 20 <= sum(arm["units"] for arm in told["arms"]) <= units
    assert said(system, "stop", "form")[1]["decision"] == "ship"
    system.wait(lambda: rollouts.arms(system.context, "stay")[0].phase is Phase.PROMOTED)
    one = {"features": system.row()}
    system.wait(lambda: system.http.post("/v1/models/stay/predict", json=one).json()["version"] == 2)
    assert said(system, "read", "stay")[1]["state"] == "stopped"
