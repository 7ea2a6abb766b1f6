"""Versions that harm the processes they run in, under load, on real HTTP: each is rolled back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.core.rollout import Aftercare, Plan
from fairlead.operations.rollouts import replay

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


@pytest.mark.slow
def test_a_promoted_version_that_begins_to_fail_goes_back(
    trial: Trial, callers: Any, tell: Tell, to_the_end: Plan
) -> None:
    """It was good in its whole rollout. The watch over its promotion finds the change, and the version before, which
    was kept warm, answers again."""
    tried = trial("good")
    version = tried.register("tires")
    with callers(tried.system.port, pause=0.002) as made:
        plan = replace(to_the_end, after=Aftercare(3600.0, 90 * 86_400.0), edition=2)
        promoted = tried.roll_out(version, plan, made)
        assert promoted.phase == "promoted", promoted.reason
        rollout = f"r{tried.system.deployed}"
        tried.system.wait(lambda: tried.decisions(rollout)[-1].after.value == "rolled_back", 150)
        back = tried.decisions(rollout)[-1]
        seen = len(made.answers)
        tried.system.wait(lambda: len(made.answers) > seen + 100)
    failed = sum(answer.status != 200 for answer in made.answers)
    print(f"{back.reason}: {failed} of {len(made.answers)} failed")
    assert "it failed more often than allowed" in back.reason
    assert version not in {answer.version for answer in made.answers[seen + 50 :]}
    assert replay(tried.system.context, rollout).matches
