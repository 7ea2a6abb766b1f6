"""What looking all the time costs, and what it saves: evidence against the peeked and the fixed test."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from fairlead.stats.sequential.failures import failure_path

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RATE, PLANNED_RISK = 0.02, 2.0


def traffic(rng: np.random.Generator, requests: int, share: float, risk: float) -> tuple[Bools, Bools]:
    """(on the canary, failed) of each request."""
    canary = rng.random(requests) < share
    return canary, rng.random(requests) < np.where(canary, RATE * risk, RATE)


def z_values(canary: Bools, failed: Bools, looks: NDArray[np.int64]) -> Floats:
    """The pooled two-sample z of the failure rates at each look."""
    ones, n = np.cumsum(canary)[looks], looks + 1.0
    hits, all_hits = np.cumsum(canary & failed)[looks], np.cumsum(failed)[looks]
    others, pooled = np.maximum(n - ones, 1), all_hits / n
    ones = np.maximum(ones, 1)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / ones + 1 / others))
    z: Floats = (hits / ones - (all_hits - hits) / others) / error
    return z


def planned_size(share: float, alpha: float, power: float = 0.8) -> int:
    """Requests of the fixed one-sided test for the planned risk."""
    p0, p1 = RATE, RATE * PLANNED_RISK
    pooled = share * p1 + (1 - share) * p0
    null = sqrt(pooled * (1 - pooled) * (1 / share + 1 / (1 - share)))
    other = sqrt(p1 * (1 - p1) / share + p0 * (1 - p0) / (1 - share))
    size: int = ceil(((norm.isf(alpha) * null + norm.isf(1 - power) * other) / (p1 - p0)) ** 2)
    return size


def first_alarm(canary: Bools, failed: Bools, share: float, alpha: float) -> float:
    """The request at which the evidence reaches 1 / alpha; infinite if it never does."""
    at = np.flatnonzero(failed)
    over = failure_path(share, canary[at]) >= log(1 / alpha)
    return float(at[over.argmax()] + 1) if over.any() else np.inf


def first_peek(canary: Bools, failed: Bools, limit: float) -> float:
    """The request at which z, looked at every 50 requests, first exceeds `limit`."""
    looks = np.arange(49, canary.size, 50)
    over = z_values(canary, failed, looks) >= limit
    return float(looks[over.argmax()] + 1) if over.any() else np.inf


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "risk", "evidence", "peeked", "found"),
    [
        (0.5, 2.0, 2830, 1200, 0.82),
        (0.5, 3.0, 900, 500, 1.0),
        (0.5, 5.0, 335, 200, 1.0),
        (0.05, 2.0, 14_000, 2550, 0.81),
        (0.05, 3.0, 4370, 750, 1.0),
        (0.05, 5.0, 1480, 250, 1.0),
    ],
)
def test_time_to_detection_beside_the_peeked_and_the_fixed_test(
    share: float, risk: float, evidence: float, peeked: float, found: float
) -> None:
    """Median requests to detection at alpha = 1 %, failures of 2 % on the champion, a fixed test planned for twice that
    at 80 % power: the evidence is there before the fixed test's planned end from three times the failures on."""
    rng, ours, peeks, fixed, runs = np.random.default_rng(181), [], [], 0, 300
    size = planned_size(share, 0.01)
    for _ in range(runs):
        canary, failed = traffic(rng, 4 * size, share, risk)
        ours.append(first_alarm(canary, failed, share, 0.01))
        peeks.append(first_peek(canary, failed, float(norm.isf(0.01))))
        fixed += bool(z_values(canary, failed, np.array([size - 1]))[0] >= norm.isf(0.01))
    assert np.median(ours) == pytest.approx(evidence, rel=0.15)
    assert np.median(peeks) == pytest.approx(peeked, rel=0.25)
    assert fixed / runs == pytest.approx(found, abs=0.07)
    assert risk < 3.0 or np.median(ours) < size


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_peeking_at_a_z_test_finds_what_is_not_there(runs: int, within: Callable[[int, int, float], None]) -> None:
    """Equal arms at 5 %, 10,000 requests, z looked at every 50 of them: more than a quarter of the runs "find" a
    difference (two-sided); the evidence, looked at after every failure, at most alpha."""
    rng, peeked, found = np.random.default_rng(182), 0, 0
    looks = np.arange(49, 10_000, 50)
    for _ in range(runs):
        canary, failed = traffic(rng, 10_000, 0.5, 1.0)
        peeked += bool((np.abs(z_values(canary, failed, looks)) >= norm.isf(0.025)).any())
        found += first_alarm(canary, failed, 0.5, 0.05) < np.inf
    within(found, runs, 0.05)
    assert peeked > 0.25 * runs


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_requests_of_heavy_users_are_no_units(runs: int, within: Callable[[int, int, float], None]) -> None:
    """500 users of very unequal activity, 5 % of whom fail every second time, sticky in a ramp from 1 to 50 %: every
    failed request counted, about one equal canary in seven is rolled back at alpha = 1 %; every unit's first failure,
    at most alpha.
    """
    rng, by_request, by_unit = np.random.default_rng(183), 0, 0
    share = np.repeat((0.01, 0.05, 0.25, 0.5), 1000)
    for _ in range(runs):
        activity = np.cumsum(rng.gamma(0.3, size=500))
        unit = np.searchsorted(activity / activity[-1], rng.random(4000))
        canary = rng.random(500)[unit] < share
        failing = np.where(rng.random(500) < 0.05, 0.5, 0.01)[unit]
        at = np.flatnonzero(rng.random(4000) < failing)
        first = at[np.sort(np.unique(unit[at], return_index=True)[1])]
        by_request += bool(failure_path(share[at], canary[at]).max() >= log(100))
        by_unit += bool(failure_path(share[first], canary[first]).max() >= log(100))
    within(by_unit, runs, 0.01)
    assert by_request > 0.07 * runs
