"""A worker that cannot load its models leaves the callers to those that have them in memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from fairlead.core.route import Arm, ModelRoute
from fairlead.testing.callers import Callers

Plane = Any  # the fixtures' values: see conftest
Home = Any
ROW = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}


def test_a_new_worker_without_its_bundles_fails_nobody(home: Home, start_plane: Callable[..., Plane]) -> None:
    """The bundles are away and a worker dies: the other answers everybody, and the new one joins in when they are
    back."""
    generation = home.publish(ModelRoute((Arm("champion", 1, 1.0),), {1: home.put(0.0)}))
    plane = start_plane(workers=2)
    home.wait_applied(generation, 2)
    bundles = home.path / "bundles"
    bundles.rename(home.path / "elsewhere")
    os.kill(plane.supervisor.pids()[0], signal.SIGKILL)

    def reports() -> dict[int, Any]:
        plane.supervisor.check()
        return {state.worker: state for state in home.board.workers()}

    home.wait(lambda: reports()[0].errors)
    with Callers(plane.supervisor.port, 8, model="hotel", rows=[ROW], pause=0.02) as callers:
        home.wait(lambda: len(callers.answers) > 800)
        (home.path / "elsewhere").rename(bundles)
        home.wait(lambda: reports()[0].versions == {"hotel": [1]} and not reports()[0].errors)
        seen = len(callers.answers)
        home.wait(lambda: len(callers.answers) > seen + 100)
    assert (set(callers.statuses), callers.broken) == ({200}, [])
