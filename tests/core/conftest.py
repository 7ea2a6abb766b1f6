"""A rollout to drive, and a seeded traffic that gives it evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from msgspec import structs

from fairlead.config.grammar import guardrail
from fairlead.core.rollout import (
    Baseline,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Rollout,
    ShadowPairs,
    ShadowPlan,
    Step,
    Units,
    share_of,
    start,
)

CELLS = (0.1,) * 10
EDGES = tuple(i / 10 for i in range(1, 10))
RULES = ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25")
STEPS = (Step(0.05, 10.0, 100), Step(0.5, 10.0, 100), Step(1.0))


@pytest.fixture
def begin() -> Callable[..., Rollout]:
    """Starts a rollout of version 3 over champion 2 at instant 0: steps of 5, 50 and 100 %, the three default rules.

    Keywords replace fields of the plan; `rules` are guardrails as text, `champion` and `baseline` their values.
    """

    def make(
        *,
        champion: int | None = 2,
        baseline: Baseline | None = None,
        rules: Sequence[str] = RULES,
        **plan: object,
    ) -> Rollout:
        made = Plan("canary", STEPS, tuple(guardrail(text) for text in rules))
        base = baseline or Baseline(20.0, EDGES, CELLS, EDGES, CELLS, 0.01)
        return start("r-1", "hotel", 3, champion, structs.replace(made, **plan), base, 0.0)

    return make


@pytest.fixture
def shadow() -> ShadowPlan:
    """A shadow phase of 10 seconds and 200 paired requests."""
    return ShadowPlan(10.0, 200)


@pytest.fixture
def traffic() -> Callable[..., Evidence]:
    """One look at a seeded traffic: `requests` at the rollout's share, each a unit of its own.

    `errors` and `slow` are (champion, new version) rates; `cells` and `champion_cells` where their scores fall.
    """
    rng = np.random.default_rng(7)

    def failures(metric: str, share: float, champion: int, canary: int) -> tuple[FirstFailures, ...]:
        return (FirstFailures(metric, share, champion, canary),) if 0 < share < 1 and champion + canary else ()

    def look(
        rollout: Rollout,
        requests: int = 200,
        errors: tuple[float, float] = (0.01, 0.01),
        slow: tuple[float, float] = (0.001, 0.001),
        cells: Sequence[float] = CELLS,
        champion_cells: Sequence[float] = CELLS,
    ) -> Evidence:
        shadowed = Phase.SHADOW in (rollout.phase, rollout.held_in)
        share, arm = share_of(rollout), "shadow" if shadowed else "canary"
        canary = requests if shadowed else int(rng.binomial(requests, share))
        counts = {"champion": requests if shadowed else requests - canary, arm: canary}
        failed = {name: int(rng.binomial(n, p)) for (name, n), p in zip(counts.items(), errors, strict=True)}
        late = {name: int(rng.binomial(n, p)) for (name, n), p in zip(counts.items(), slow, strict=True)}
        scores = {
            name: tuple(int(c) for c in rng.multinomial(counts[name] - failed[name], shares))
            for name, shares in ((arm, cells), ("champion", champion_cells))
        }
        asked = {
            name: Units(counts[name], failed[name], 0 if name == "shadow" else late[name]) for name in ("champion", arm)
        }
        pairs = ShadowPairs(requests, served_failed=failed["champion"], shadow_failed=failed[arm])
        return Evidence(
            requests=counts,
            errors=failed,
            slow=late,
            failures=failures("error_rate", share, failed["champion"], failed[arm])
            + failures("p99_latency", share, late["champion"], late[arm]),
            scores=scores,
            shadow=pairs if shadowed else ShadowPairs(),
            units={"version": asked[arm]} | {name: one for name, one in asked.items() if name != "shadow"},
        )

    return look
