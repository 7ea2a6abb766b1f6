"""Simulated rollouts on the controller's own code: an equal version stays, a bad one goes."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rollout_practice import Rule, first_over, path, tuned
from benchmarks.rollout_quick import agrees, quick
from benchmarks.rollout_world import BOTH, STRICT, Run, Scene, run
from benchmarks.rollouts import EQUAL, upper
from scipy.stats import binom

from fairlead.core.rollout import Step

ALPHA = 0.01
BAD = Scene("bad", (Step(0.1, 0.0, 10**9), Step(1.0)), 20_000)


def seen(failed: list[int], canary: list[int]) -> Run:
    """What callers saw of a rollout: failed or not, and whether the canary answered."""
    marks = np.asarray(failed, dtype=bool)
    values = np.zeros(len(failed))
    return Run("canary", None, 0, len(failed), np.asarray(canary, dtype=bool), marks, values, values, True)


@pytest.mark.parametrize("runs", [4, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scene", EQUAL, ids=[scene.name for scene in EQUAL])
def test_an_equal_version_is_rolled_back_within_the_budget(scene: Scene, runs: int) -> None:
    """At most alpha of the rollouts, by an exact binomial test; each replays, and most reach their end."""
    found = [run(scene, (31, number)) for number in range(runs)]
    back = sum(one.phase == "rolled_back" for one in found)
    assert binom.sf(back - 1, runs, ALPHA) >= 0.001
    assert all(one.replays for one in found)
    assert sum(one.phase == "promoted" for one in found) >= 0.8 * runs


@pytest.mark.parametrize(
    ("harm", "guardrail"),
    [
        ({"risk": 3.0}, "error_rate <= 1 * champion"),
        ({"slower": 1.3}, "p99_latency <= 1 * champion"),
        ({"shift": 1.0}, "prediction_psi < 0.25"),
    ],
    ids=["failures", "latency", "scores"],
)
def test_a_bad_version_is_rolled_back_by_its_guardrail(harm: dict[str, float], guardrail: str) -> None:
    """Three times the failures, 30 % slower or other scores: gone within 1,500 requests, for the right reason."""
    for number in range(3):
        one = run(BAD._replace(**harm), (41, number))  # type: ignore[arg-type]  # floats, all of them
        assert (one.phase, one.guardrail, one.replays) == ("rolled_back", guardrail, True)
        assert 0 < one.exposed <= 1_500
        assert one.requests < len(one.canary) == BAD.requests, "the stream goes on for the other rules"


def test_a_threshold_looks_at_the_canary_alone() -> None:
    """It fires at the first full window over its limit, counted in canary requests."""
    one = seen(failed=[1, 0, 1, 0, 1, 1], canary=[0, 1, 1, 1, 1, 1])
    assert path(one, "errors", 2).tolist() == [0.5, 0.5, 0.5, 1.0]
    assert first_over(one, Rule("", "errors", 2, 0.5)) == 5
    assert first_over(one, Rule("", "errors", 2, 1.0)) is None
    assert first_over(one, Rule("", "errors", 6, 0.0)) is None


def test_a_threshold_beside_the_champion_compares_the_same_time() -> None:
    """The canary's rate over the champion's between the window's first and last canary request."""
    one = seen(failed=[1, 1, 0, 1, 0, 1, 0], canary=[0, 1, 0, 1, 0, 1, 1])
    assert path(one, "errors_ratio", 2).tolist() == [0.0, 0.0, 0.0]
    mixed = seen(failed=[1, 1, 0, 1], canary=[1, 0, 0, 1])
    assert path(mixed, "errors_ratio", 2).tolist() == [2.0]


def test_a_tuned_threshold_spares_calm_traffic() -> None:
    """Its limit is passed by few equal versions, and by nearly all that fail ten times as often."""
    rule = tuned(BAD, 0.1, "errors", 100, runs=100)
    rng = np.random.default_rng(2)
    fired = []
    for rate in (0.02, 0.2):
        runs = [seen((rng.random(2_000) < rate).tolist(), [1] * 2_000) for _ in range(50)]
        fired.append(sum(first_over(one, rule) is not None for one in runs) / 50)
    assert fired[0] <= 0.1
    assert fired[1] == 1.0


def test_the_bound_is_exact() -> None:
    """No event in 2,000 trials leaves at most 0.15 %."""
    assert upper(0, 2_000) == pytest.approx(1.0 - 0.05 ** (1 / 2_000))
    assert upper(5, 5) == 1.0


@pytest.mark.parametrize("rules", [BOTH, STRICT], ids=["with score_shift", "without"])
def test_evidence_from_arrays_is_the_collectors(rules: tuple[str, ...]) -> None:
    """What the quick simulation counts is what the controller makes of the same requests, and leads to the same end."""
    scene = BAD._replace(requests=3_000, rules=rules, risk=2.0, slower=1.2, shift=0.5)
    assert agrees(scene)
    one = quick(BAD._replace(risk=3.0), (43,))
    assert (one.phase, one.guardrail) == ("rolled_back", "error_rate <= 1 * champion")
    assert 0 < one.exposed <= 1_500
