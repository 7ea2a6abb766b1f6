"""The controller is killed in the middle of rollouts, over and over: nothing is skipped, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from fairlead.core.event import AliasMoved, Entry, RolloutDecided, RolloutStarted, RouteChanged, StatusChanged
from fairlead.core.replay import replay
from fairlead.core.rollout import Decision, Plan, Step

Trial = Any  # the fixtures' values: see conftest
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
STEPS = (*(Step(share, 0.3, 20) for share in SHARES), Step(1.0))
OVER = ("promoted", "rolled_back")
PATIENCE_SECONDS = 240.0  # of a machine that others use too


def decided(entries: list[Entry], rollout: str) -> list[Decision]:
    """A rollout's decisions."""
    facts = [entry.fact for entry in entries if isinstance(entry.fact, RolloutDecided)]
    return [msgspec.json.decode(fact.decision, type=Decision) for fact in facts if fact.rollout == rollout]


def check_rollout(entries: list[Entry], rollout: str, requests: int) -> str:
    """It started once, went from step to step without a gap, ended once, counted no request twice, and replays.
    Returns how it ended."""
    started = [one for one in entries if isinstance(one.fact, RolloutStarted) and one.fact.rollout == rollout]
    assert len(started) == 1
    decisions = decided(entries, rollout)
    ends = [one for one in decisions if one.after.value in OVER]
    assert decisions[-1:] == ends
    steps = [0, *(one.step for one in decisions)]
    assert all(later - before in (0, 1) for before, later in pairwise(steps)), "a step was skipped, or gone back to"
    assert 0 < decisions[-1].requests["canary"] <= requests
    again = replay(entries, rollout)
    assert again.matches, again.first_difference
    return ends[0].after.value


def check_actions(entries: list[Entry]) -> None:
    """The champion moves from who it was to another, no version stops being a challenger or gets a status twice, each
    route is another than the one before, under a higher generation."""
    facts = [entry.fact for entry in entries]
    champions = [fact for fact in facts if isinstance(fact, AliasMoved) and fact.alias == "champion"]
    assert [fact.previous for fact in champions] == [None, *(fact.version for fact in champions[:-1])]
    assert all(fact.version != fact.previous for fact in champions)
    dropped = Counter(fact.previous for fact in facts if isinstance(fact, AliasMoved) and fact.alias == "challenger")
    assert set(dropped.values()) == {1}
    statuses = Counter((fact.version, fact.status) for fact in facts if isinstance(fact, StatusChanged))
    assert set(statuses.values()) == {1}
    routes = [fact for fact in facts if isinstance(fact, RouteChanged)]
    generations = [fact.generation for fact in routes]
    assert all(before < later for before, later in pairwise(generations)), "a generation came twice, or out of order"
    same = [msgspec.structs.replace(one, generation=0, reason="", decided_at=None) for one in routes]
    assert all(before != later for before, later in pairwise(same)), "a route was published twice"


def kill(trial: Trial, dice: random.Random) -> None:
    """The controller, at any moment of its life, one time in four while it starts; returns when `up` has started
    another."""
    system = trial.system
    system.wait(lambda: system.children("controller"), PATIENCE_SECONDS)
    (controller,) = system.children("controller")
    if dice.random() > 0.25:
        system.wait(system.console_answers, PATIENCE_SECONDS)
    time.sleep(dice.uniform(0.0, 1.5))
    os.kill(controller, signal.SIGKILL)
    system.wait(lambda: set(system.children("controller")) - {controller}, PATIENCE_SECONDS)


def next_rollout(trial: Trial, callers: Any, number: int, watched: Plan) -> str:
    """Another version, once the champion has a past to be compared with: every third answers a constant."""
    seen = len(callers.answers)
    trial.system.wait(lambda: len(callers.answers) >= seen + 300, PATIENCE_SECONDS)
    kind = "constant" if number % 3 == 2 else "good"
    plan = msgspec.structs.replace(watched, steps=STEPS)
    rollout: str = trial.system.deploy(trial.register(kind), plan)
    return rollout


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5, 50])
def test_a_controller_that_is_killed_over_and_over_loses_and_repeats_nothing(
    trial: Callable[..., Trial], callers: Any, watched: Plan, kills: int
) -> None:
    """At random moments of rollouts under load. Each goes on where it was, bad versions go back and good ones arrive,
    and no caller notices."""
    tried, dice, rollouts = trial("good"), random.Random(kills), list[str]()
    system = tried.system
    with callers(system.port) as made:
        for _ in range(kills):
            if not rollouts or tried.is_over(rollouts[-1]):
                rollouts.append(next_rollout(tried, made, len(rollouts), watched))
            kill(tried, dice)
        system.wait(lambda: tried.is_over(rollouts[-1]) or tried.is_held(rollouts[-1]), PATIENCE_SECONDS)
    assert not tried.is_held(rollouts[-1]), tried.decisions(rollouts[-1])[-1].reason
    assert made.broken == []
    assert {answer.status for answer in made.answers} == {200}
    entries = list(system.context.journal.read())
    asked = asked_of(system)
    ends = Counter(check_rollout(entries, rollout, asked[rollout]) for rollout in rollouts)
    assert ends["rolled_back"] == len(rollouts) // 3
    check_actions(entries)
    assert system.context.journal.verify() >= len(entries)
    print(f"{kills} kills, {len(rollouts)} rollouts: {dict(ends)}, {len(made.answers)} answers")


def asked_of(system: Any) -> Counter[str]:
    """The canary requests of each rollout in the log."""
    reader, found = system.context.open_log(), Counter[str]()
    while batch := reader.poll()[0]:
        found.update(record.rollout for record in batch if record.arm == "canary")
    return found
