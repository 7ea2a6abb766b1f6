"""Versions that harm the processes they run in, under load, on real HTTP: each is rolled back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.rollout import Plan

Trial = Callable[..., Any]  # the fixtures' values: see conftest
Tell = Callable[..., None]


@pytest.mark.slow
def test_a_version_that_leaks_is_rolled_back_by_what_its_workers_take(
    trial: Trial, callers: Any, tell: Tell, watched: Plan
) -> None:
    """No answer is wrong or late, and no guardrail can know; long before the machine is short of memory."""
    tried = trial("good")
    version = tried.register("leaks")
    with callers(tried.system.port) as made:
        tried.system.wait(lambda: len(made.answers) > 2000)  # what the processes are without it is known
        ending = tried.roll_out(version, watched, made)
    tell(tried.system, "leaks", made, version, ending)
    assert (ending.phase, ending.guardrail) == ("rolled_back", None)
    assert "its memory grew by" in ending.reason
    assert {answer.status for answer in made.answers} == {200}
    assert made.answers[-1].version != version


@pytest.mark.slow
def test_a_version_that_takes_its_process_with_it_is_rolled_back(trial: Trial, callers: Any, watched: Plan) -> None:
    """What it was asked last is in no log. Workers die by a signal since it has had traffic, and did not before."""
    tried = trial("good")
    version = tried.register("dies")
    with callers(tried.system.port) as made:
        ending = tried.roll_out(version, watched, made)
        time.sleep(1.0)  # those whose connection it took come back
        seen = len(made.answers)
        tried.system.wait(lambda: len(made.answers) > seen + 100)
    assert (ending.phase, ending.guardrail) == ("rolled_back", None)
    assert "worker processes died of a fault" in ending.reason
    assert version not in {answer.version for answer in made.answers[seen:]}
