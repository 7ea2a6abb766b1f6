"""The thresholded practice, on the same streams: roll back when a figure over the canary's last requests exceeds x.

At a steady rate a window of time and one of so many canary requests are the same window. A rule is looked at after
every canary request once its window is full, which is more often than any dashboard does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.rollout_world import LATENCY_MS, LATENCY_SPREAD, Run, Scene, draw

WINDOWS = (100, 500, 2_000)  # canary requests
CELLS = 10
P99_MS = LATENCY_MS * float(np.exp(2.3263 * LATENCY_SPREAD))  # what the champion's p99 really is
_FLOOR = 1e-4
_EDGES = 1.0 / (1.0 + np.exp(-np.array([-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816])))


class Rule(NamedTuple):
    """`figure` over the last `window` canary requests, above `limit`."""

    name: str
    figure: str  # errors | slow | psi | errors_ratio
    window: int
    limit: float


def figure_of(scene: Scene) -> str:
    """What a person would watch to see the scene's harm."""
    if scene.slower != 1.0:
        return "slow"
    return "psi" if scene.shift else "errors"


def path(run: Run, figure: str, window: int) -> np.ndarray:
    """The figure after each canary request from the window's first full one, shape (canary requests - window + 1,)."""
    at = np.flatnonzero(run.canary)
    if len(at) < window:
        return np.zeros(0)
    if figure == "psi":
        return _psi(run.score[at], window)
    if figure == "errors_ratio":
        return _ratio(run, at, window)
    marks = run.failed[at] if figure == "errors" else run.latency[at] > P99_MS
    return _sums(marks.astype(np.float64), window) / window


def first_over(run: Run, rule: Rule) -> int | None:
    """The canary requests that were exposed when the rule fired, if it did."""
    over = path(run, rule.figure, rule.window) > rule.limit
    return int(np.argmax(over)) + rule.window if over.any() else None


def tuned(scene: Scene, share: float, figure: str, window: int, runs: int = 400) -> Rule:
    """The lowest limit that rolls back at most alpha of equal versions, in calm traffic of the scene's length: known
    only in hindsight, so better than anybody can choose it."""
    calm = scene._replace(risk=1.0, slower=1.0, shift=0.0, requests=max(window, int(scene.requests * share)))
    peaks = []
    for number in range(runs):
        stream = draw(calm, np.random.default_rng((77, number)))
        columns = (stream.failed[0], stream.latency[0], stream.score[0])
        every = np.ones(calm.requests, dtype=bool)
        peaks.append(path(Run("", None, 0, 0, every, *columns, True), figure, window).max())
    limit = float(np.quantile(peaks, 1.0 - scene.alpha, method="higher"))
    return Rule(f"tuned in hindsight, last {window:,}", figure, window, limit)


def _sums(values: np.ndarray, window: int) -> np.ndarray:
    total = np.concatenate(([0.0], np.cumsum(values)))
    sums: np.ndarray = total[window:] - total[:-window]
    return sums


def _ratio(run: Run, at: np.ndarray, window: int) -> np.ndarray:
    """The canary's error rate as a multiple of the champion's in the same time; none without a champion's error."""
    champion = ~run.canary
    failed = np.concatenate(([0.0], np.cumsum(run.failed & champion)))
    asked = np.concatenate(([0.0], np.cumsum(champion)))
    first, last = at[: len(at) - window + 1], at[window - 1 :] + 1
    beside = (failed[last] - failed[first]) / np.maximum(asked[last] - asked[first], 1.0)
    mine = _sums(run.failed[at].astype(np.float64), window) / window
    return np.where(beside > 0.0, mine / np.where(beside > 0.0, beside, 1.0), 0.0)


def _psi(scores: np.ndarray, window: int) -> np.ndarray:
    cells = np.searchsorted(_EDGES, scores)
    psi = np.zeros(len(scores) - window + 1)
    for cell in range(CELLS):
        share = np.maximum(_sums((cells == cell).astype(np.float64), window) / window, _FLOOR)
        psi += (share - 0.1) * np.log(share / 0.1)
    return psi
