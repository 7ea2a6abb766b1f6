"""One simulated rollout at one share, without a record in it: each look's evidence is counted from arrays and given to
`core.advance`, which decides as it does in a controller.

Only for streams in which every request is a unit of its own. `agrees` compares the evidence with that of the
controller's own collector. Looks come whenever the requests have grown by 2 %, a tenth of a second apart at least.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from msgspec import Raw

from benchmarks.rollout_world import HISTORY, TICK_SECONDS, Run, Scene, Stream, draw, heldout, past_of
from fairlead.config.grammar import guardrail
from fairlead.core.advance import advance
from fairlead.core.evidence import merge
from fairlead.core.guard_dealt import SHIFT
from fairlead.core.record import Prediction
from fairlead.core.rollout import (
    EDITION,
    Dealt,
    Decision,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Rollout,
    Units,
    slow_bound_ms,
    start,
)
from fairlead.flows.baseline import Recent, baseline_of
from fairlead.flows.evidence import Collector
from fairlead.stats.sequential.scaled_latency import block_of, latency_cell, upper_ms

_GROWTH = 1.02
_STARTED = 1_000_000.0
_NOTHING = Raw(b"{}")
_LOWEST = latency_cell(0.0)
_UPPER = np.array([upper_ms(cell) for cell in range(_LOWEST, latency_cell(1e6))])


def begun(scene: Scene, rng: np.random.Generator) -> Rollout:
    """The rollout at its start, with the champion's past drawn."""
    past = past_of(scene, rng)
    recent = Recent()
    recent.add((_record(past, number, canary=False, at=number / 500) for number in range(HISTORY)), 1)
    own = heldout()
    plan = Plan(
        "canary", scene.steps, tuple(guardrail(text) for text in scene.rules), alpha=scene.alpha, edition=EDITION
    )
    return start("r", "hotel", 2, 1, plan, baseline_of(recent, own, recent.cells or own), _STARTED)


def _record(stream: Stream, number: int, *, canary: bool, at: float, share: float = 0.0) -> Prediction:
    failed = bool(stream.failed[canary][number])
    return Prediction(
        request_id=f"q{number:07d}",
        model_name="hotel",
        model_version=2 if canary else 1,
        arm="canary" if canary else "champion",
        unit_id=stream.units[number],
        propensity=share if canary else 1.0 - share,
        timestamp=at,
        received_at=at,
        features=_NOTHING,
        prediction=None if failed else 0,
        score=None if failed else float(stream.score[canary][number]),
        latency_ms=float(stream.latency[canary][number]),
        status=500 if failed else 200,
        rollout="r",
    )


class Counts:
    """What a stream adds to the evidence, between any two of its requests."""

    def __init__(self, scene: Scene, rollout: Rollout, stream: Stream, canary: np.ndarray) -> None:
        self._share = scene.steps[0].traffic
        self._arms = canary
        n = len(canary)
        pairs = (stream.failed, stream.latency, stream.score)
        self.failed, self.latency, self.score = (
            np.where(canary, version[:n], champion[:n]) for champion, version in pairs
        )
        base = rollout.baseline
        bound = slow_bound_ms(rollout.plan, base)
        self._slow = self.latency > (np.inf if bound is None else bound)
        self._cells = (
            np.searchsorted(base.champion_edges, self.score, side="right"),
            np.searchsorted(base.canary_edges, self.score, side="right"),
        )
        self._sizes = len(base.champion_cells), len(base.canary_cells)
        rules = {rule.metric: rule for rule in rollout.plan.guardrails}
        self._shift = SHIFT in rules
        factor = rules["p99_latency"].bound
        took = np.where(canary, self.latency / factor, self.latency)
        self._took = _LOWEST + np.searchsorted(_UPPER, took)
        self._block = _blocks(n, scene.per_second)

    def between(self, first: int, last: int) -> Evidence:
        """The evidence of the requests from `first` to before `last`."""
        part = slice(first, last)
        arms, failed, slow = self._arms[part], self.failed[part], self._slow[part]
        masks = {"champion": ~arms, "canary": arms}
        asked, errors, slows = ({arm: int((mask & what).sum()) for arm, mask in masks.items()}
                                for what in (np.True_, failed, slow))  # fmt: skip
        units = {arm: Units(asked[arm], errors[arm], slows[arm]) for arm in masks}
        units["version"] = units["canary"]
        cells = {
            arm: tuple(np.bincount(self._cells[k][part][masks[arm] & ~failed], minlength=self._sizes[k]).tolist())
            for k, arm in enumerate(masks)
        }
        found = Evidence(
            requests=asked,
            errors=errors,
            slow=slows,
            failures=tuple(
                FirstFailures(name, self._share, counts["champion"], counts["canary"])
                for name, counts in (("error_rate", errors), ("p99_latency", slows))
            ),
            scores=cells,
            units=units,
            dealt=(*self._dealt_latency(part), *self._dealt_scores(part)),
        )
        return merge(found, Evidence())

    def _dealt_latency(self, part: slice) -> list[Dealt]:
        arms, blocks, took = self._arms[part], self._block[part], self._took[part]
        found = []
        for block in np.unique(blocks).tolist():
            sides = [_counted(took[(blocks == block) & (arms == arm)]) for arm in (False, True)]
            found.append(Dealt("p99_latency", block, self._share, *sides))
        return found

    def _dealt_scores(self, part: slice) -> list[Dealt]:
        if not self._shift:
            return []
        arms, cells, scored = self._arms[part], self._cells[1][part], ~self.failed[part]
        return [Dealt(SHIFT, 0, self._share, *(_counted(cells[scored & (arms == arm)]) for arm in (False, True)))]


@cache
def _blocks(requests: int, per_second: int) -> np.ndarray:
    return np.array([block_of(number / per_second) for number in range(requests)])


def _counted(cells: np.ndarray) -> tuple[tuple[int, int], ...]:
    values, counts = np.unique(cells, return_counts=True)
    return tuple(zip(values.tolist(), counts.tolist(), strict=True))


@cache
def _looks(requests: int, step: int) -> tuple[int, ...]:
    """After how many requests each look comes."""
    ends, end = [], 0
    while end < requests:
        end = min(requests, max(end + step, int(np.ceil(end * _GROWTH / step)) * step))
        ends.append(end)
    return tuple(ends)


def quick(scene: Scene, seed: tuple[int, ...]) -> Run:
    """One rollout of a scene with one step, until it is over or the stream ends."""
    rng = np.random.default_rng(seed)
    rollout = begun(scene, rng)
    stream = draw(scene, rng)
    canary = rng.random(scene.requests) < scene.steps[0].traffic
    counts = Counts(scene, rollout, stream, canary)
    seen, last = 0, None
    for end in _looks(scene.requests, max(1, int(scene.per_second * TICK_SECONDS))):
        rollout, last = advance(rollout, counts.between(seen, end), _STARTED + end / scene.per_second)
        seen = end
        if rollout.phase is not Phase.CANARY:
            break
    assert last is not None
    return _told(last, seen, canary, counts)


def _told(last: Decision, seen: int, canary: np.ndarray, counts: Counts) -> Run:
    exposed = last.requests.get("canary", 0)
    columns = (canary, counts.failed, counts.latency, counts.score)
    return Run(last.after.value, last.guardrail, exposed, seen, *columns, True)


def agrees(scene: Scene) -> bool:
    """Whether the arrays' evidence is what the controller's collector makes of the same requests."""
    rng = np.random.default_rng(3)
    rollout = begun(scene, rng)
    stream, share = draw(scene, rng), scene.steps[0].traffic
    canary = rng.random(scene.requests) < share
    collector = Collector(rollout)
    collector.add(
        _record(stream, number, canary=bool(arm), at=_STARTED + number / scene.per_second, share=share)
        for number, arm in enumerate(canary)
    )
    return collector.total() == Counts(scene, rollout, stream, canary).between(0, scene.requests)
