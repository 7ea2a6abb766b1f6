"""A relative bound on a quantile of latency, that follows the champion beside the version."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from fairlead.stats.sequential.scaled_latency import Timed, block_of, latency_cell, scaled_log_e

LIMIT = log(300)  # three guardrails at 1 %
SECONDS, PER_SECOND = 240.0, 40.0
P99 = 20.0 * float(np.exp(0.25 * 2.3263))
# What both arms' answers are multiplied with at a time (a part of the whole), and the champion's p99 at the deploy.
WORLDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float | None]] = {
    "calm": (np.ones_like, P99),
    "drift": (lambda time: 1.0 + 3.0 * time, P99),
    "busy spell": (lambda time: np.where((time > 0.4) & (time < 0.6), 5.0, 1.0), P99),
    "slow at the deploy": (lambda time: np.where(time < 0.05, 5.0, 1.0), 5.0 * P99),
    "quick at the deploy": (lambda time: np.where(time < 0.05, 0.3, 1.0), 0.3 * P99),
    "unknown at the deploy": (np.ones_like, None),
}


def rows_of(block: np.ndarray, share: np.ndarray, canary: np.ndarray, cell: np.ndarray) -> list[Timed]:
    """The rows of some units."""
    keys, counts = np.unique(np.stack([block, np.round(100 * share), canary, cell]), axis=1, return_counts=True)
    found: dict[tuple[int, float], tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
    for (at, hundredths, arm, where), count in zip(keys.T.astype(int).tolist(), counts.tolist(), strict=True):
        found.setdefault((at, hundredths / 100), ([], []))[arm].append((where, count))
    return [Timed(at, one, tuple(arms[0]), tuple(arms[1])) for (at, one), arms in sorted(found.items())]


def peak(rng: np.random.Generator, world: str, slower: float, factor: float) -> tuple[float, int]:
    """The largest evidence over 24 looks while the canary grows from 5 to 25 %; and its units when it reached the limit
    (all of them where it did not)."""
    pace, at_deploy = WORLDS[world]
    units = int(SECONDS * PER_SECOND)
    time = np.arange(units) / units
    share = np.where(time < 0.5, 0.05, 0.25)
    canary = rng.random(units) < share
    took = 20.0 * np.exp(0.25 * rng.normal(size=units)) * pace(time) * np.where(canary, slower / factor, 1.0)
    cell = np.array([latency_cell(one) for one in took.tolist()])
    block = np.array([block_of(SECONDS * one) for one in time.tolist()])
    best, seen = -np.inf, int(canary.sum())
    for end in range(units // 24, units + 1, units // 24):
        rows = rows_of(block[:end], share[:end], canary[:end], cell[:end])
        value = scaled_log_e(rows, 0.01, at_deploy).log_e
        if best < LIMIT <= value:
            seen = int(canary[:end].sum())
        best = max(best, value)
    return best, seen


def alarms(world: str, runs: int, slower: float, factor: float) -> int:
    rng = np.random.default_rng(41)
    return sum(peak(rng, world, slower, factor)[0] >= log(100) for _ in range(runs))


@pytest.mark.parametrize("world", WORLDS)
def test_whatever_hits_both_arms_blames_nobody(world: str) -> None:
    """An equal version, and one that is twice as slow where twice is allowed; of 6 runs each, at 1 %."""
    assert alarms(world, 6, 1.0, 1.0) + alarms(world, 6, 2.0, 2.0) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("slower", "factor"), [(1.0, 1.0), (2.0, 2.0)])
@pytest.mark.parametrize("world", WORLDS)
def test_whatever_hits_both_arms_blames_nobody_in_many_runs(world: str, slower: float, factor: float) -> None:
    """300 runs: three are expected at most at 1 %, nine would be more than three deviations more."""
    assert alarms(world, 300, slower, factor) <= 8


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("slower", "most"), [(3.0, 120), (5.0, 60)])
def test_a_slow_version_is_found_in_every_world(world: str, slower: float, most: int) -> None:
    """Three and five times as slow where twice is allowed, also where the champion was as slow at the deploy."""
    rng = np.random.default_rng(43)
    found = [peak(rng, world, slower, 2.0) for _ in range(5)]
    assert all(value >= LIMIT for value, _ in found)
    assert np.median([seen for _, seen in found]) <= most


def test_twenty_percent_more_is_found_where_nothing_more_is_allowed() -> None:
    """Within the 1,400 units that the canary meets."""
    rng = np.random.default_rng(47)
    assert sum(peak(rng, "calm", 1.2, 1.0)[0] >= LIMIT for _ in range(5)) >= 4


def test_the_threshold_is_the_champions_and_comes_from_earlier_blocks() -> None:
    """The first block has the one at the deploy; from then on what the champion took before, never its present."""
    calm, later = ((latency_cell(16.0), 990), (latency_cell(40.0), 10)), ((latency_cell(64.0), 1000),)
    first = scaled_log_e([Timed(0, 0.5, calm, ())], 0.01, 128.0)
    assert first.limit_ms == 128.0
    second = scaled_log_e([Timed(0, 0.5, calm, ()), Timed(1, 0.5, later, ())], 0.01, 100.0)
    assert (second.limit_ms, second.champion) == (16.0, (1000, 2000))


def test_a_champion_that_always_takes_alike_is_not_slow_itself() -> None:
    """Where all its answers lie in one cell, more of them must not count as slow than the quantile leaves above it."""
    alike = (latency_cell(16.0), 2000)
    assert scaled_log_e([Timed(0, 0.5, (alike,), ()), Timed(1, 0.5, (alike,), ())], 0.01).champion == (0, 2000)


def test_few_answers_leave_the_threshold_of_the_deploy_or_none() -> None:
    """A p99 is not read off fewer than 300 answers."""
    few = Timed(0, 0.5, ((latency_cell(16.0), 299),), ())
    now = Timed(1, 0.5, ((latency_cell(16.0), 5),), ((latency_cell(16.0), 5),))
    assert scaled_log_e([few, now], 0.01).limit_ms is None
    assert scaled_log_e([few, now], 0.01).canary == (0, 0)
    assert scaled_log_e([few, now], 0.01, 32.0).limit_ms == 32.0


def test_the_order_of_rows_is_free_and_lost_counts_are_none() -> None:
    """Rows are sorted by block; a count below 0 is a log that lost its end."""
    rows = [Timed(block, 0.2, ((30 + block, 400), (50, 4)), ((30 + block, 90), (50, 30))) for block in range(5)]
    assert scaled_log_e(rows[::-1], 0.01) == scaled_log_e(rows, 0.01)
    assert scaled_log_e([Timed(0, 0.5, ((10, -5),), ((10, -1),))], 0.5, 1.0).canary == (0, 0)
