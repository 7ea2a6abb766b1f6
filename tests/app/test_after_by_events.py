"""A promoted version after which callers stop converting, over HTTP: the gateway, the log, the controller, replay."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fairlead.config.grammar import guardrail
from fairlead.core.after import PromotionDecision
from fairlead.core.rollout import Aftercare, Decision, Phase, Plan, Step

System = Any  # the fixture's values: see conftest
RULE = "conversion >= 0.5 * champion"
AFTER = Aftercare(3600.0, 90 * 86_400.0, events_seconds=4.0)
PLAN = Plan("canary", (Step(0.5, 0.0, 300), Step(1.0)), (guardrail(RULE),), edition=2, after=AFTER)


def ask(system: System, requests: int, converts: Callable[[int, int], bool]) -> None:
    """Callers, each a unit of its own, who convert or not by their number and the version that answers them."""
    events = []
    for _ in range(requests):
        row = system.row()
        unit = f"u{system.asked}"
        answer = system.http.post("/v1/models/stay/predict", json={"features": row, "unit_id": unit})
        assert answer.status_code == 200
        if converts(system.asked, answer.json()["version"]):
            events.append({"model": "stay", "unit_id": unit, "name": "conversion", "value": True})
    if events:
        assert system.http.post("/v1/events", json=events).status_code == 200


def phase(system: System, rollout: str) -> Phase | None:
    """Where a rollout stands by its last decision."""
    found = [fact for fact in system.facts("rollout_decided") if fact.rollout == rollout]
    return msgspec.json.decode(found[-1].decision, type=Decision).after if found else None


@pytest.mark.slow
def test_a_promoted_version_after_which_nobody_converts_goes_back(start: Callable[..., System]) -> None:
    """Every second caller converted in its whole rollout. Once it serves everybody none does: when their time is over
    the watch finds it, the version before answers again, and every decision replays."""
    system = start()
    rollout = system.deploy(2, PLAN)

    def promoted() -> bool:
        ask(system, 40, lambda number, _: number % 2 == 0)
        return phase(system, rollout) is Phase.PROMOTED

    system.wait(promoted, 120)

    def back() -> bool:
        ask(system, 40, lambda number, version: number % 2 == 0 and version == 1)
        return phase(system, rollout) is Phase.ROLLED_BACK

    system.wait(back, 150)
    looks = [msgspec.json.decode(one.decision, type=PromotionDecision) for one in system.facts("promotion_decided")]
    assert looks[-1].guardrail == RULE
    assert "its conversion left the bound" in looks[-1].reason
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(system.home), "--config", str(system.config)]
    done = subprocess.run([*command, "replay", rollout], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "the same byte for byte" in done.stdout.replace("\n", " ")
    print(looks[-1].reason)
