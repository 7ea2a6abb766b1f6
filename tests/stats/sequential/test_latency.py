from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.failures import failure_log_e
from fairlead.stats.sequential.latency import SLOW_SHARE, TOLERANCE, latency_log_e, latency_path
from fairlead.stats.sequential.rates import rate_log_e


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 2000))
def test_is_never_more_than_either_of_its_two_evidences(champion: int, canary: int, others: int) -> None:
    """The minimum keeps the guarantee of whichever null is true."""
    groups = [(0.25, champion, canary)]
    log_e = latency_log_e(groups, canary, canary + others)
    assert log_e <= failure_log_e(groups, TOLERANCE)
    assert log_e <= rate_log_e(canary, canary + others, SLOW_SHARE)


def test_a_slow_machine_under_both_arms_is_not_the_canarys_doing() -> None:
    """A tenth of all requests slow on both arms, at an even split, is no evidence."""
    assert latency_log_e([(0.5, 200, 200)], slow=200, units=2000) < 0


def test_a_canary_that_is_slower_but_within_its_limit_is_no_break() -> None:
    """Many times slower than the champion, yet fewer than 1 % over the limit: no evidence."""
    assert latency_log_e([(0.5, 5, 60)], slow=60, units=10_000) < 0


def ever_alarms(rng: np.random.Generator, scale: float, limit_factor: float, alpha: float, stall: bool) -> bool:
    """One canary at 20 % of 6,000 requests of heavy-tailed latency, looked at after every slow canary request."""
    requests, share = 6000, 0.2
    latency = np.exp(rng.normal(2.0, 1.2, requests))
    if stall:
        latency[3000:3300] *= 20.0
    canary = rng.random(requests) < share
    limit = limit_factor * np.exp(2.0 + 1.2 * 2.326347874)
    slow = np.where(canary, latency * scale, latency) > limit
    slow_canary, slow_champion = np.cumsum(slow & canary), np.cumsum(slow & ~canary)
    for i in np.flatnonzero(slow & canary):
        hits, others = int(slow_canary[i]), int(slow_champion[i])
        if latency_log_e([(share, others, hits)], hits, int(canary[: i + 1].sum())) >= log(1 / alpha):
            return True
    return False


@pytest.mark.parametrize("stall", [False, True], ids=["steady", "a stall of both arms"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_equal_arms_with_a_heavy_tail_are_rarely_blamed(
    runs: int, within: Callable[[int, int, float], None], factor: float, stall: bool
) -> None:
    """A/A with log-normal latencies: at most alpha of the runs ever alarm, also when the machine stalls."""
    rng = np.random.default_rng(21)
    alarms = sum(ever_alarms(rng, 1.0, factor, 0.05, stall) for _ in range(runs))
    within(alarms, runs, 0.05)


def test_a_fourfold_latency_is_found() -> None:
    """Power: a canary four times slower breaks a limit of twice the champion's p99 in at least 95 of 100 runs."""
    rng = np.random.default_rng(22)
    assert sum(ever_alarms(rng, 4.0, 2.0, 0.01 / 3, stall=False) for _ in range(100)) >= 95


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=1, max_size=60))
def test_the_path_is_the_counts_at_every_observation(rows: list[tuple[int, int]]) -> None:
    """Observation by observation the path is what the counts so far give."""
    slow, answers = zip(*rows, strict=True)
    path = latency_path(0.25, slow, answers)
    for n in range(1, len(rows) + 1):
        groups = [(0.25, slow[:n].count(0), slow[:n].count(1))]
        asked = answers[:n].count(0) + answers[:n].count(1)
        assert path[n - 1] == pytest.approx(latency_log_e(groups, answers[:n].count(1), asked), abs=1e-9)


def test_a_mark_is_one_zero_or_none() -> None:
    """Anything but 1, 0 and -1 is refused, nan too."""
    for wrong in (2.0, -2.0, float("nan")):
        with pytest.raises(ValueError, match="-1 where there was none"):
            latency_path(0.5, [wrong], [0])
