"""A rollout guarded by what callers log, over HTTP: the gateway, the log, the controller, the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fairlead.config.grammar import guardrail
from fairlead.core.rollout import Decision, Plan, ShadowPlan, Step

System = Any  # the fixture's values: see conftest
RULES = ("conversion >= champion - 5%", "flip_rate <= 10%")
PLAN = Plan(
    "canary",
    (Step(0.5, 0.0, 50), Step(1.0)),
    tuple(guardrail(rule) for rule in RULES),
    ShadowPlan(0.0, 100),
    edition=2,
    segments=("city",),
)


def ask(system: System, requests: int) -> None:
    """Callers of whom those who are answered by the first version convert every second time, the others never."""
    events = []
    for _ in range(requests):
        row = system.row()
        unit, body = f"u{system.asked}", {"features": row, "unit_id": f"u{system.asked}"}
        answer = system.http.post("/v1/models/stay/predict", json=body)
        assert answer.status_code == 200
        if answer.json()["version"] == 1 and system.asked % 2:
            events.append({"model": "stay", "unit_id": unit, "name": "conversion", "value": True})
    if events:
        assert system.http.post("/v1/events", json=events).status_code == 200


def ended(system: System, rollout: str) -> Decision | None:
    """The decision that ended a rollout, once there is one."""
    found = [
        msgspec.json.decode(fact.decision, type=Decision)
        for fact in system.facts("rollout_decided")
        if fact.rollout == rollout
    ]
    return next((one for one in found if one.after in ("promoted", "rolled_back", "held")), None)


def said(system: System, *words: str) -> str:
    """What the command line prints."""
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(system.home), "--config", str(system.config)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_version_after_which_nobody_converts_loses_its_traffic(start: Callable[..., System]) -> None:
    """It passes its shadow phase, for it decides as the champion does; then callers stop converting, and it is rolled
    back by itself for that. The command line tells both, and every decision replays."""
    system = start()
    rollout = system.deploy(2, replace(PLAN))

    def over() -> bool:
        ask(system, 40)
        return ended(system, rollout) is not None

    system.wait(over)
    last = ended(system, rollout)
    assert last is not None
    assert (last.after, last.guardrail) == ("rolled_back", RULES[0])
    shown = json.loads(said(system, "rollout", "stay", "--json"))
    assert shown["shadow"]["all"]["units"] >= 100
    assert shown["shadow"]["all"]["flips"] == 0
    assert {one["segment"].partition("=")[0] for one in shown["shadow"]["segments"]} == {"city"}
    assert "decided otherwise" in said(system, "rollout", "stay").replace("\n", " ")
    assert "its conversion left the bound" in said(system, "why", "stay").replace("\n", " ")
    assert "the same byte for byte" in said(system, "replay", rollout)
