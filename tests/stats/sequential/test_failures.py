from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.failures import canary_fraction, failure_log_e, failure_path

shares = st.sampled_from([0.01, 0.05, 0.25, 0.5])
groups = st.lists(st.tuples(shares, st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(groups, st.sampled_from([0.0, 0.25, 1.0]))
def test_order_and_grouping_do_not_matter(found: list[tuple[float, int, int]], tolerance: float) -> None:
    """Only the sums per share enter: groups may be reordered, split or merged."""
    sums: Counter[tuple[float, int]] = Counter()
    for share, champion, canary in found:
        sums[share, 0] += champion
        sums[share, 1] += canary
    merged = [(share, sums[share, 0], sums[share, 1]) for share in sorted({group[0] for group in found}, reverse=True)]
    assert failure_log_e(merged, tolerance) == pytest.approx(failure_log_e(found, tolerance), abs=1e-9)


@given(shares, st.integers(1, 30), st.floats(0.0, 1.0), st.sampled_from([-0.5, 0.0, 0.25, 3.0]))
def test_expectation_is_at_most_one_for_every_risk_within_the_tolerance(
    share: float, failures: int, part: float, tolerance: float
) -> None:
    """Summed over all ways to split the failures, E has expectation at most 1 whenever R <= 1 + tolerance."""
    theta = canary_fraction(share, part * (1 + tolerance))
    expected = sum(
        comb(failures, x)
        * theta**x
        * (1 - theta) ** (failures - x)
        * exp(failure_log_e([(share, failures - x, x)], tolerance))
        for x in range(failures + 1)
    )
    assert expected <= 1 + 1e-9


@given(groups)
def test_shares_that_compare_nothing_add_nothing(found: list[tuple[float, int, int]]) -> None:
    """Failures while one arm had all the traffic say nothing about the other."""
    assert failure_log_e([*found, (0.0, 50, 3), (1.0, 0, 90)]) == failure_log_e(found)


def test_no_failure_is_no_evidence() -> None:
    """E is 1 before the first failure."""
    assert failure_log_e([]) == pytest.approx(0.0)


def test_refuses_a_tolerance_that_allows_no_risk_at_all() -> None:
    """A tolerance of -1 would divide by zero; the error says what it must be."""
    with pytest.raises(ValueError, match="above -1"):
        failure_log_e([(0.5, 1, 1)], tolerance=-1.0)


def first_failures(
    rng: np.random.Generator, risk: float, rate: float, outage: float = 1.0, units: int = 4000
) -> Iterator[tuple[float, bool]]:
    """(share, on the canary) of each unit that fails, in order: sticky units of very unequal activity, a ramp from
    1 to 5, 25 and 50 % over four unit spans of time, and an outage that multiplies both arms' rates in the second.
    """
    ramp, speed = (0.01, 0.05, 0.25, 0.5), np.array([1.0, outage, 1.0, 1.0])
    hazard = rate * rng.gamma(0.5, 2.0, units)
    place = rng.random(units)
    # A unit's accumulated hazard at the end of each span, on the arm that it is on there.
    on_canary = place[:, None] < np.array(ramp)
    added = hazard[:, None] * speed * np.where(on_canary, risk, 1.0)
    reached = np.cumsum(added, axis=1)
    clock = rng.exponential(1.0, units)
    span = (reached < clock[:, None]).sum(axis=1)
    failed = np.flatnonzero(span < len(ramp))
    into = (clock[failed] - (reached[failed, span[failed]] - added[failed, span[failed]])) / added[failed, span[failed]]
    for i in np.argsort(span[failed] + into):
        unit = failed[i]
        yield ramp[span[unit]], bool(on_canary[unit, span[unit]])


def alarms_on(failures: Iterator[tuple[float, bool]], alpha: float, tolerance: float) -> bool:
    """Whether the evidence, looked at after each failure, ever reaches 1 / alpha."""
    shares, on_canary = zip(*failures, strict=True)
    return bool(failure_path(shares, on_canary, tolerance).max() >= log(1 / alpha))


@pytest.mark.parametrize(
    ("risk", "outage", "tolerance"),
    [(1.0, 1.0, 0.0), (1.0, 8.0, 0.0), (1.25, 1.0, 0.25)],
    ids=["ramp", "outage on both arms", "at the tolerated risk"],
)
def test_false_rollbacks_stay_within_alpha_while_the_split_ramps(
    runs: int, within: Callable[[int, int, float], None], risk: float, outage: float, tolerance: float
) -> None:
    """With a ramp from 1 to 50 %, sticky units and a look at every failure, at most alpha of the runs roll back; an
    8x outage on both arms changes nothing.
    """
    rng, alpha = np.random.default_rng(5), 0.01
    alarms = sum(alarms_on(first_failures(rng, risk, 0.012, outage), alpha, tolerance) for _ in range(runs))
    within(alarms, runs, alpha)


def test_a_threefold_failure_rate_is_found_in_the_ramp() -> None:
    """Power: at three times the failures, at least 95 of 100 ramps roll back."""
    rng = np.random.default_rng(6)
    assert sum(alarms_on(first_failures(rng, 3.0, 0.012), 0.01, 0.0) for _ in range(100)) >= 95


def test_a_threefold_failure_rate_is_found_within_a_few_hundred_canary_requests_at_five_percent() -> None:
    """Power: at a 5 % share, 4 % against 12 % failures, the median rollback comes within 400 canary requests."""
    rng, needed = np.random.default_rng(7), []
    fraction = canary_fraction(0.05, 3.0)
    for _ in range(60):
        champion = canary = 0
        while failure_log_e([(0.05, champion, canary)], 0.25) < log(3 / 0.01):
            hit = rng.random() < fraction
            champion, canary = champion + (not hit), canary + hit
        requests = (champion + canary) / (0.05 * 0.12 + 0.95 * 0.04)
        needed.append(0.05 * requests)
    assert np.median(needed) < 400


@given(groups, st.sampled_from([-0.5, 0.0, 0.25, 3.0]))
def test_the_path_is_the_counts_at_every_failure(found: list[tuple[float, int, int]], tolerance: float) -> None:
    """Failure by failure the path is what the counts so far give, in whatever groups; also for shares of 0 and 1."""
    rows = [
        (share, hit) for share, champion, canary in found[:6] for hit in [0] * min(champion, 5) + [1] * min(canary, 5)
    ]
    rows += [(0.0, 0), (1.0, 1)]
    shares, hits = zip(*rows, strict=True)
    path = failure_path(shares, hits, tolerance)
    for n in range(1, len(rows) + 1):
        counts = [(share, 1 - hit, hit) for share, hit in rows[:n]]
        assert path[n - 1] == pytest.approx(failure_log_e(counts, tolerance), abs=1e-9)


@pytest.mark.parametrize(("risk", "least", "most"), [(3.0, 97, 100), (2.0, 65, 95)])
def test_power_in_the_ramp_at_one_percent(risk: float, least: int, most: int) -> None:
    """Of 100 ramps from 1 to 50 % at alpha = 1 %, with some 48 failures of the champion's kind to be had: nearly all
    find three times the failures, four in five twice as many."""
    rng = np.random.default_rng(8)
    found = sum(alarms_on(first_failures(rng, risk, 0.012), 0.01, 0.0) for _ in range(100))
    assert least <= found <= most


def test_a_tolerance_of_minus_one_is_refused_by_the_path_too() -> None:
    """The same message, also for nan."""
    for tolerance in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="above -1"):
            failure_path(0.5, [1], tolerance)
