"""Versions that go wrong under load, on real HTTP: each is rolled back by itself, and nobody else is failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.config.grammar import guardrail as parsed
from fairlead.core.rollout import Plan

Trial = Callable[..., Any]  # the fixtures' values: see conftest
Tell = Callable[..., None]
SIDE_BY_SIDE = "serving: {limits: {concurrency: 8}}\n"
CASES = [
    ("unit_error", "good", "prediction_psi < 0.25"),
    pytest.param("constant", "good", "prediction_psi < 0.25", marks=pytest.mark.slow),
    pytest.param("crashes", "good", "error_rate <= 1.25 * champion", marks=pytest.mark.slow),
    pytest.param("slow", "steady", "p99_latency <= 60ms", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "champion", "guardrail"), CASES)
def test_a_bad_version_is_rolled_back_by_its_guardrail(
    trial: Trial, callers: Any, tell: Tell, watched: Plan, kind: str, champion: str, guardrail: str
) -> None:
    """Nobody is asked. The guardrail that knows of the harm ends it; no request of the champion's fails; after the
    route is everywhere the version answers nothing."""
    tried = trial(champion, SIDE_BY_SIDE if kind == "slow" else "")  # else they queue, and a queue is slow by itself
    version = tried.register(kind)
    with callers(tried.system.port, 4 if kind == "slow" else 8) as made:
        # On a busy machine a champion's p99 is many times its median, and five times slower is within twice of it.
        rules = [rule for rule in watched.guardrails if kind != "slow" or rule.metric != "p99_latency"]
        rules += [parsed(guardrail)] if kind == "slow" else []
        ending = tried.roll_out(version, replace(watched, guardrails=tuple(rules)), made)
    tell(tried.system, kind, made, version, ending)
    assert (ending.phase, ending.guardrail) == ("rolled_back", guardrail)
    assert made.by(version), "it was never asked"
    assert made.answers[-1].version != version


def test_a_good_version_is_promoted(trial: Trial, callers: Any, tell: Tell, to_the_end: Plan) -> None:
    """The same system, load and guardrails: all traffic is its own, and not one request failed."""
    tried = trial("good")
    version = tried.register("good")
    with callers(tried.system.port) as made:
        ending = tried.roll_out(version, to_the_end, made)
    tell(tried.system, "good", made, version, ending)
    assert ending.phase == "promoted"
    assert {answer.status for answer in made.answers} == {200}
    assert made.answers[-1].version == version


@pytest.mark.slow
def test_a_version_that_answers_otherwise_than_it_did_never_meets_a_caller(
    trial: Trial, callers: Any, tell: Tell, watched: Plan
) -> None:
    """Its golden rows are asked before anybody is: the worker refuses it, the rollout ends, the champion serves."""
    tried = trial("good")
    version = tried.register("stranger")
    with callers(tried.system.port) as made:
        ending = tried.roll_out(version, watched, made)
    tell(tried.system, "stranger", made, version, ending)
    assert ending.phase == "rolled_back"
    assert "answers its golden rows" in ending.reason
    assert made.by(version) == []


@pytest.mark.slow
def test_a_version_that_changes_its_mind_is_rolled_back_by_its_golden_rows(
    trial: Trial, callers: Any, tell: Tell, watched: Plan
) -> None:
    """After a while it gives other answers whose scores are spread as before. No guardrail can know; within two
    minutes a worker asks it what it answered at its registration, and the controller takes it back."""
    tried = trial("good")
    version = tried.register("forgets")
    with callers(tried.system.port) as made:
        ending = tried.roll_out(version, watched, made, 240.0)
    tell(tried.system, "forgets", made, version, ending)
    assert (ending.phase, ending.guardrail) == ("rolled_back", None)
    assert "fails its golden set" in ending.reason
    assert {answer.status for answer in made.answers} == {200}
    assert made.answers[-1].version != version
