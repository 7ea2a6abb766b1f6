"""Several arms through real workers: dealt, logged under their names, promoted by hand."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import DeployAsked
from fairlead.core.rollout import Guardrail, Phase, Plan, Step
from fairlead.core.route import choose
from fairlead.operations import rollouts

System = Any  # the fixtures' values: see conftest
AMONG = Among("stay-ab-2", (ArmShare(2, 0.25), ArmShare(3, 0.25)))
ERRORS = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)


def phases(system: System) -> dict[int, Phase]:
    """Where each version's rollout stands."""
    return {view.version: view.phase for view in rollouts.rollouts(system.context)}


@pytest.mark.slow
def test_workers_deal_every_arm(start: Callable[[], System]) -> None:
    """Each unit gets the arm of its place, from every worker, and keeps it; the log counts each arm; the arm that an
    operator names becomes champion, and the other ends."""
    system = start()
    system.wait(lambda: phases(system).get(1) is Phase.PROMOTED)
    asked = [
        DeployAsked(
            "stay",
            f"stay-{arm.version}-{arm.version}",
            arm.version,
            system.digests[1],
            Plan("ab", (Step(arm.share),), (ERRORS,), among=AMONG),
        )
        for arm in AMONG.shares
    ]
    system.context.journal.append(asked, actor="ana", at=time.time())
    system.wait(lambda: len(system.context.board.current().models["stay"].arms) == 3)
    generation = system.context.board.current().generation
    system.wait(lambda: all(state.generation == generation for state in system.context.board.workers()))
    route = system.context.board.current().models["stay"]
    got: Counter[str] = Counter()
    for turn in range(2):
        for number in range(300):
            body = {"features": system.row(), "unit_id": f"u{number}", "request_id": f"q{turn}-{number}"}
            answer = system.http.post("/v1/models/stay/predict", json=body).json()
            wanted = choose(route, f"u{number}")
            assert (answer["arm"], answer["version"]) == (wanted.arm, wanted.version)
            got[answer["arm"]] += 1
    assert set(got) == {"challenger-2", "challenger-3", "champion"}
    exposed = {f"challenger-{version}": 0 for version in (2, 3)}

    def counted() -> bool:
        views = rollouts.arms(system.context, "stay")
        exposed.update({f"challenger-{view.version}": view.requests_exposed for view in views})
        return all(exposed[arm] == got[arm] for arm in exposed)

    system.wait(counted)
    rollouts.operate(system.context, "stay@3", "promote", "it pays")
    system.wait(lambda: phases(system) == {1: Phase.PROMOTED, 2: Phase.ROLLED_BACK, 3: Phase.PROMOTED})
    one = {"features": system.row()}
    system.wait(lambda: system.http.post("/v1/models/stay/predict", json=one).json()["version"] == 3)
    assert all(rollouts.replay(system.context, view.id).matches for view in rollouts.rollouts(system.context))
