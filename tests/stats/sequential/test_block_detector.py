"""The e-detector over blocks of time: how rarely it alarms where nothing changes, and how fast where something does."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.block_detector import BlockWatch, add, log_average
from fairlead.stats.sequential.edetector import ODDS, change_path, expected_delay

RATE = 0.02


def steps_to_alarm(
    rng: np.random.Generator, budget: float, most: int, rate: float, units: float, since: int = 0
) -> int:
    """Blocks until M reaches the budget, `most` where it does not. Each has Poisson(`units`) units; each fails with
    RATE until `since`, then with `rate`."""
    watch, limit = BlockWatch(RATE, 0), log(budget)
    for block in range(1, most + 1):
        trials = int(rng.poisson(units))
        watch = watch.update(block, trials, int(rng.binomial(trials, rate if block > since else RATE)))
        if watch.log_m >= limit:
            return block
    return most


def mean_run(runs: int, budget: float, units: float) -> tuple[float, float]:
    """Mean blocks to a false alarm, cut off at six times the budget (so that it is never too long), and its error."""
    rng = np.random.default_rng(23)
    found = np.array([steps_to_alarm(rng, budget, int(6 * budget), RATE, units) for _ in range(runs)])
    return float(found.mean()), float(found.std() / np.sqrt(runs))


@pytest.mark.parametrize(
    ("runs", "budget", "units"),
    [
        (200, 50.0, 20.0),
        pytest.param(1000, 100.0, 2.0, marks=pytest.mark.slow),
        pytest.param(1000, 100.0, 50.0, marks=pytest.mark.slow),
        pytest.param(1000, 100.0, 1000.0, marks=pytest.mark.slow),
    ],
)
def test_the_mean_time_to_a_false_alarm_is_the_stated_one_or_longer(runs: int, budget: float, units: float) -> None:
    """In blocks of time, whether two units come in one or a thousand."""
    mean, error = mean_run(runs, budget, units)
    assert mean + 3 * error >= budget, f"{mean:.0f} blocks, {budget:g} are stated"


BUDGET = 777_600.0  # blocks of ten seconds: 90 days


def mean_delay(times: float, runs: int) -> float:
    """Blocks from a change after 500 blocks until it is found, at 20 units a block of which 2 % failed before."""
    rng = np.random.default_rng(29)
    delays = [steps_to_alarm(rng, BUDGET, 2500, RATE * times, 20.0, since=500) - 500 for _ in range(runs)]
    assert min(delays) > 0, "an alarm before the change"
    return float(np.mean(delays))


@pytest.mark.parametrize("times", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("runs", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_a_change_is_found_as_fast_as_theory_has_it(times: float, runs: int) -> None:
    """Within a quarter of ln(budget) / KL units, under a budget of one false alarm in 90 days."""
    assert mean_delay(times, runs) * 20.0 <= 1.25 * expected_delay(RATE, times * RATE, 1.0 / BUDGET)


def test_without_empty_blocks_one_unit_a_block_is_the_plain_detector() -> None:
    """The same numbers as `change_path`, bet by bet averaged."""
    losses = np.random.default_rng(3).binomial(1, 0.2, 200)
    watch, path = BlockWatch(0.1, 0), change_path(losses, 0.1)
    for place, loss in enumerate(losses):
        watch = watch.update(place + 1, 1, int(loss))
        assert watch.log_m == pytest.approx(path[place], rel=1e-9, abs=1e-9)


def test_a_block_without_units_adds_one() -> None:
    """As each step of a Shiryaev-Roberts detector does whose e is 1; many at once are the same as one by one."""
    first = BlockWatch(0.1, 0).update(1, 30, 6)
    one_by_one = first
    for block in range(2, 12):
        one_by_one = one_by_one.update(block, 0, 0)
    assert one_by_one.log_m == pytest.approx(log(exp(first.log_m) + 10))
    assert first.update(12, 5, 1).log_m == pytest.approx(one_by_one.update(12, 5, 1).log_m)


@given(st.floats(0.001, 0.999), st.integers(1, 6))
def test_a_blocks_e_value_has_mean_one_under_the_allowed_rate(allowed: float, trials: int) -> None:
    """Exactly, over all outcomes of the block: M_1 is the mean of the bets' e."""
    mean = 0.0
    for bad in range(trials + 1):
        ways = np.prod(np.arange(1, trials + 1)) / (
            np.prod(np.arange(1, bad + 1)) * np.prod(np.arange(1, trials - bad + 1))
        )
        weight = ways * allowed**bad * (1 - allowed) ** (trials - bad)
        mean += weight * exp(BlockWatch(allowed, 0).update(1, trials, bad).log_m)
    assert mean == pytest.approx(1.0, rel=1e-6)


def test_the_change_is_put_where_it_began() -> None:
    """Within a few blocks."""
    rng = np.random.default_rng(31)
    watch = BlockWatch(RATE, 0)
    for block in range(1, 400):
        watch = watch.update(block, 50, int(rng.binomial(50, RATE if block < 300 else 4 * RATE)))
    assert abs(watch.changed_at - 300) <= 5


@pytest.mark.parametrize(("block", "trials", "bad"), [(5, 1, 0), (4, 1, 0), (6, 1, 2), (6, 1, -1)])
def test_what_is_no_block_is_refused(block: int, trials: int, bad: int) -> None:
    """One that is not later, and counts that cannot be."""
    with pytest.raises(ValueError, match="is none"):
        BlockWatch(0.1, 5).update(block, trials, bad)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        BlockWatch(1.0, 5).update(6, 1, 0)


def test_sums_and_means_of_logarithms() -> None:
    """Nothing and nothing is nothing; large and small do not meet."""
    assert add(-float("inf"), 2.0) == 2.0
    assert add(800.0, 0.0) == 800.0
    assert log_average([-float("inf")] * len(ODDS)) == -float("inf")
