"""Rollouts, simulated on the controller's own code: how often an equal version is rolled back, and how many requests a
bad one answers before it is; beside thresholds on the same streams.

    python -m benchmarks.rollouts [--runs 300] [--power-runs 100] [--jobs 2] [--only "heavy users"]

Seeded. An equal version's rollout goes through the whole controller, and its journal is replayed byte for byte; one
that does not ends the benchmark. A bad version's goes through `core.advance`, on evidence that is counted from arrays
(`rollout_quick`); that it is the controller's own is checked first.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.stats import beta

from benchmarks.rollout_practice import WINDOWS, Rule, figure_of, first_over, tuned
from benchmarks.rollout_quick import agrees, quick
from benchmarks.rollout_world import BOTH, DEFAULT, STRICT, Run, Scene, run
from fairlead.core.rollout import Step

STEPS = (Step(0.05, 3.0, 50), Step(0.25, 3.0, 150), Step(0.5, 3.0, 250), Step(1.0))
EQUAL = (
    Scene("no difference", STEPS, 6_000, rules=BOTH),
    Scene("outage on both arms", STEPS, 6_000, rules=BOTH, outage=True),
    Scene("heavy users", STEPS, 6_000, rules=BOTH, heavy_users=True),
    Scene("champion slow before", STEPS, 6_000, rules=BOTH, before=5.0),
)
# share of the canary -> requests of a run, requests a second
SHARES = {0.01: (400_000, 2_000), 0.05: (120_000, 1_000), 0.10: (60_000, 500)}
EFFECTS: tuple[tuple[str, tuple[str, ...], dict[str, float]], ...] = (
    ("failures 1.5x", STRICT, {"risk": 1.5}),
    ("failures 2x", STRICT, {"risk": 2.0}),
    ("failures 3x", STRICT, {"risk": 3.0}),
    ("failures 2x, 1.25x allowed", DEFAULT, {"risk": 2.0}),
    ("failures 3x, 1.25x allowed", DEFAULT, {"risk": 3.0}),
    ("latency +10 %", STRICT, {"slower": 1.1}),
    ("latency 3x, 2x allowed", DEFAULT, {"slower": 3.0}),
    ("latency 5x, champion slow before", DEFAULT, {"slower": 5.0, "before": 5.0}),
    ("scores +1 sd (psi 0.93)", BOTH, {"shift": 1.0}),
    ("scores +0.7 sd (psi 0.46)", BOTH, {"shift": 0.7}),
    ("scores +0.5 sd (psi 0.24)", BOTH, {"shift": 0.5}),
)
FIXED = (
    Rule("over 5 %, last 100", "errors", 100, 0.05),
    Rule("over 5 %, last 500", "errors", 500, 0.05),
    Rule("over 2x the champion's, last 500", "errors_ratio", 500, 2.0),
)


class Told(NamedTuple):
    """What is kept of a run: its end, and when each rule would have fired (canary requests)."""

    phase: str
    guardrail: str | None
    exposed: int
    replays: bool
    rules: tuple[int | None, ...]


def told(job: tuple[Scene, tuple[int, ...], tuple[Rule, ...]]) -> Told:
    """One run and the rules beside it."""
    scene, seed, rules = job
    found: Run = quick(scene, seed) if len(scene.steps) == 2 else run(scene, seed)
    fired = tuple(first_over(found, rule) for rule in rules)
    return Told(found.phase, found.guardrail, found.exposed, found.replays, fired)


def simulate(scene: Scene, runs: int, rules: Sequence[Rule], pool: ProcessPoolExecutor) -> list[Told]:
    """Seeded runs of a scene, on all processes. Raises `SystemExit` where a journal does not replay."""
    mark = sum(map(ord, scene.name))
    jobs = [(scene, (mark, int(scene.steps[0].traffic * 100), number), tuple(rules)) for number in range(runs)]
    found = list(pool.map(told, jobs, chunksize=max(1, min(10, runs // 20))))
    if not all(one.replays for one in found):
        raise SystemExit(f"{scene.name}: a journal does not replay byte for byte")
    return found


def upper(events: int, trials: int, level: float = 0.95) -> float:
    """The exact (Clopper and Pearson) upper bound of a share."""
    return 1.0 if events >= trials else float(beta.ppf(level, events + 1, trials - events))


def equal(runs: int, pool: ProcessPoolExecutor, only: str) -> None:
    """Prints how often a version that is equal is rolled back."""
    calm = [tuned(EQUAL[0], 0.25, "errors", window) for window in WINDOWS[:2]]
    rules = [*FIXED, *calm]
    print(f"\nAn equal version: {runs:,} rollouts a row; steps of 5, 25 and 50 %, at most 6,000 requests, alpha 1 %")
    print("rules: " + "; ".join(BOTH))
    print(f"{'':22s}{'rolled back':>12s}{'95 % bound':>12s}{'held':>6s}{'promoted':>9s}   thresholds roll back")
    for scene in (one for one in EQUAL if only in one.name):
        found = simulate(scene, runs, rules, pool)
        phases = Counter(one.phase for one in found)
        back = phases["rolled_back"]
        beside = [f"{rule.name}: {sum(one.rules[i] is not None for one in found) / runs:.1%}"
                  for i, rule in enumerate(rules)]  # fmt: skip
        bound, held = upper(back, runs), phases["held"]
        print(f"{scene.name:22s}{back / runs:12.2%}{bound:12.2%}{held:6d}{phases['promoted']:9d}   {'; '.join(beside)}",
              flush=True)  # fmt: skip


def scenes() -> Iterator[tuple[str, float, Scene]]:
    """The bad versions, each at each share, with a step that lasts as long as the stream."""
    for name, rules, effect in EFFECTS:
        for share, (requests, per_second) in SHARES.items():
            steps = (Step(share, 0.0, 10**9), Step(1.0))
            yield name, share, Scene(name, steps, requests, per_second, rules, **effect)  # type: ignore[arg-type]


def power(runs: int, pool: ProcessPoolExecutor, only: str) -> None:
    """Prints what a bad version answers before it is rolled back."""
    print(f"\nA bad version: {runs:,} rollouts a row; canary requests until the rollback, median (and 90 % of runs)")
    print("thresholds: found by, median; the tuned one has the best of its three windows, known in hindsight")
    print(f"{'':33s}{'share':>5s}{'of at most':>11s}{'found':>7s}{'median':>8s}{'90 %':>8s}   beside")
    checked = Scene("check", (Step(0.1, 0.0, 10**9), Step(1.0)), 4_000, rules=BOTH, risk=2.0, slower=1.2, shift=0.5)
    if not agrees(checked):
        raise SystemExit("the arrays' evidence is not what the controller's collector makes of the same requests")
    chosen = [one for one in scenes() if only in one[0]]
    keys = sorted({(share, figure_of(scene)) for _, share, scene in chosen})
    limits = dict(zip(keys, pool.map(_tuned, keys), strict=True))
    for name, share, scene in chosen:
        figure = figure_of(scene)
        rules = [*(FIXED if figure == "errors" else ()), *limits[share, figure]]
        found = simulate(scene, runs, rules, pool)
        mine = [one.exposed if one.phase == "rolled_back" else None for one in found]
        beside = [(rule.name, [one.rules[i] for one in found]) for i, rule in enumerate(rules)]
        best = max(beside[-len(WINDOWS) :], key=lambda one: _rank(one[1]))
        line = "; ".join(f"{said}: {_short(fired)}" for said, fired in [*beside[: -len(WINDOWS)], best])
        most = int(scene.requests * share)
        print(f"{name:33s}{share:5.0%}{most:11,d}{_row(mine)}   {line}{_by(found)}", flush=True)


def _tuned(key: tuple[float, str]) -> list[Rule]:
    """The best threshold of each window for a figure at a share: calm traffic is the same whatever the version does."""
    share, figure = key
    requests, per_second = SHARES[share]
    calm = Scene("calm", (Step(share),), requests, per_second)
    return [tuned(calm, share, figure, window) for window in WINDOWS]


def _by(found: Sequence[Told]) -> str:
    """Which guardrails rolled back, where more than one did."""
    by = Counter(one.guardrail for one in found if one.guardrail is not None)
    return f"   [{', '.join(f'{rule} {count}' for rule, count in by.most_common())}]" if len(by) > 1 else ""


def _rank(exposed: Sequence[int | None]) -> tuple[int, float]:
    known = [one for one in exposed if one is not None]
    return len(known) * 10 // max(1, len(exposed)), -float(np.median(known)) if known else 0.0


def _quantile(exposed: Sequence[int | None], q: float) -> str:
    value = float(np.quantile([np.inf if one is None else one for one in exposed], q, method="higher"))
    return "-" if value == np.inf else f"{value:,.0f}"


def _row(exposed: Sequence[int | None]) -> str:
    share = sum(one is not None for one in exposed) / len(exposed)
    return f"{share:7.0%}{_quantile(exposed, 0.5):>8s}{_quantile(exposed, 0.9):>8s}"


def _short(exposed: Sequence[int | None]) -> str:
    share = sum(one is not None for one in exposed) / len(exposed)
    return f"{share:.0%}, {_quantile(exposed, 0.5)}"


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--power-runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    chosen = parser.parse_args()
    start = time.perf_counter()
    with ProcessPoolExecutor(chosen.jobs) as pool:
        if chosen.runs:
            equal(chosen.runs, pool, chosen.only)
        if chosen.power_runs:
            power(chosen.power_runs, pool, chosen.only)
    print(f"\n{time.perf_counter() - start:.0f} s on {chosen.jobs} processes")


if __name__ == "__main__":
    main()
