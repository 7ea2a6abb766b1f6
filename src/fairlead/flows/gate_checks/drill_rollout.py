"""A rollout's judge, shown streams of requests: one that is as good as the champion's, one that fails, and one whose
scores have collapsed to where this version's own seldom lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairlead.config.rollout import RolloutSettings
from fairlead.core.advance import advance
from fairlead.core.judge_drill import Drill
from fairlead.core.rollout import (
    Baseline,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Step,
    Units,
    start,
)
from fairlead.flows.baseline import heldout_cells
from fairlead.flows.gate_checks.subject import Subject

LOOKS = 40
EACH = 100  # requests of each arm a look
BAD = 0.3  # of the failing stream's requests
GOOD = 0.01  # of the champion's
_SHARE = 0.5
_VERSION, _CHAMPION = 2, 1

Stream = Callable[[np.random.Generator], tuple[int, tuple[int, ...]]]  # failures and score cells of a look


def rollout_drills(subject: Subject) -> list[Drill]:
    """What the judge made of each stream, by the version's own score cells."""
    edges, cells = heldout_cells(subject.bundles, subject.info.bundle)
    rare = int(np.argmin(cells))

    def as_good(rng: np.random.Generator) -> tuple[int, tuple[int, ...]]:
        return int(rng.binomial(EACH, GOOD)), _dealt(rng, cells)

    def failing(rng: np.random.Generator) -> tuple[int, tuple[int, ...]]:
        return int(rng.binomial(EACH, BAD)), _dealt(rng, cells)

    def collapsed(rng: np.random.Generator) -> tuple[int, tuple[int, ...]]:
        return int(rng.binomial(EACH, GOOD)), tuple(EACH * (place == rare) for place in range(len(cells)))

    baseline = Baseline(20.0, edges, cells, edges, cells, GOOD)
    return [
        _drill("a stream as good as the champion's", baseline, as_good, must_fire=False),
        _drill("a stream that fails", baseline, failing, must_fire=True),
        _drill("collapsed scores", baseline, collapsed, must_fire=True),
    ]


def _drill(name: str, baseline: Baseline, stream: Stream, *, must_fire: bool) -> Drill:
    plan = Plan("canary", (Step(_SHARE, 0.0, LOOKS * EACH), Step(1.0)), RolloutSettings().plan().guardrails)
    rollout = start("drill", "drill", _VERSION, _CHAMPION, plan, baseline, 0.0)
    rng, reason = np.random.default_rng(0), ""
    for look in range(1, LOOKS + 1):
        rollout, decision = advance(rollout, _evidence(rng, baseline, stream), float(look))
        reason = decision.reason
        if rollout.phase not in (Phase.SHADOW, Phase.CANARY):
            break
    return Drill(name, must_fire, rollout.phase is Phase.ROLLED_BACK, reason)


def _evidence(rng: np.random.Generator, baseline: Baseline, stream: Stream) -> Evidence:
    """One look: each request is of a unit of its own."""
    failed, cells = stream(rng)
    usual = int(rng.binomial(EACH, GOOD))
    new = Units(EACH, failed, 0)
    first = (FirstFailures("error_rate", _SHARE, usual, failed),) if usual + failed else ()
    return Evidence(
        requests={"champion": EACH, "canary": EACH},
        errors={"champion": usual, "canary": failed},
        failures=first,
        scores={"champion": _dealt(rng, baseline.champion_cells), "canary": cells},
        units={"version": new, "canary": new, "champion": Units(EACH, usual, 0)},
    )


def _dealt(rng: np.random.Generator, cells: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(int(count) for count in rng.multinomial(EACH, np.asarray(cells) / sum(cells)))
