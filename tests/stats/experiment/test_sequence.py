from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from fairlead.stats.experiment.compare import Metric, compare, compare_always
from fairlead.stats.experiment.moments import path
from fairlead.stats.experiment.plan import looking_cost, units_for_rates
from fairlead.stats.experiment.sequence import follow
from fairlead.stats.sequential.mean_difference import difference_sequence

Check = Callable[[int, int, float], None]
Draw = Callable[[np.random.Generator, int], Metric]


def rate(p: float) -> Draw:
    return lambda rng, n: Metric((rng.random(n) < p).astype(float))


def ratio(rng: np.random.Generator, n: int) -> Metric:
    views = 1 + rng.poisson(3, n)
    return Metric(rng.binomial(views, rng.beta(2, 8, n)).astype(float), views.astype(float))


def cuped(rng: np.random.Generator, n: int) -> Metric:
    before = rng.normal(10, 2, n)
    return Metric(5 + before + rng.normal(size=n), None, before)


CASES: dict[str, tuple[Draw, float]] = {
    "10 % events": (rate(0.1), 0.5),
    "0.4 % events": (rate(0.004), 0.5),
    "2 % events, a tenth treated": (rate(0.02), 0.1),
    "lognormal": (lambda rng, n: Metric(rng.lognormal(0, 1, n)), 0.5),
    "revenue, a tenth treated": (
        lambda rng, n: Metric(np.where(rng.random(n) < 0.1, rng.lognormal(3, 0.6, n), 0.0)),
        0.1,
    ),
    "counts, a tenth treated": (lambda rng, n: Metric(rng.poisson(2, n).astype(float)), 0.1),
    "ratio": (ratio, 0.5),
    "covariate": (cuped, 0.5),
}


@pytest.mark.parametrize("runs", [40, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_looking_after_every_unit_finds_a_difference_of_equal_arms_in_at_most_alpha(
    name: str, runs: int, at_most: Check
) -> None:
    """8,000 units, a look at each: the interval of the difference, that of the ratio or E ever excludes "equal" in at
    most 5 % of the runs."""
    draw, share = CASES[name]
    rng, crossed = np.random.default_rng(51), 0
    for _ in range(runs):
        _, found, _ = compare_always(draw(rng, 8_000), rng.random(8_000) < share)
        out = found.low.max() > 0 or found.high.min() < 0 or found.log_e.max() > math.log(20)
        crossed += bool(out or found.ratio_low.max() > 1 or found.ratio_high.min() < 1)
    at_most(crossed, runs, 0.05)


@pytest.mark.parametrize("runs", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_the_sequence_covers_a_true_effect_and_its_lift_at_every_look(runs: int, at_least: Check) -> None:
    """10 % against 13 %: difference and ratio are inside at all 6,000 looks in at least 95 % of the runs."""
    rng, both = np.random.default_rng(52), np.zeros(2, dtype=int)
    for _ in range(runs):
        treated = rng.random(6_000) < 0.5
        _, found, _ = compare_always(Metric((rng.random(6_000) < np.where(treated, 0.13, 0.10)).astype(float)), treated)
        both += [
            bool((found.low <= 0.03).all() and (found.high >= 0.03).all()),
            bool((found.ratio_low <= 1.3).all() and (found.ratio_high >= 1.3).all()),
        ]
    for held in both.tolist():
        at_least(held, runs, 0.95)


@pytest.mark.parametrize("runs", [150, pytest.param(600, marks=pytest.mark.slow)])
def test_peeking_at_a_fixed_test_finds_what_is_not_there(runs: int) -> None:
    """The z-test of equal rates, looked at every 100 of 8,000 units: more than 20 % false findings at nominal 5 %."""
    rng, found = np.random.default_rng(53), 0
    looks = np.arange(100, 8_001, 100)
    for _ in range(runs):
        events, treated = rng.random(8_000) < 0.1, rng.random(8_000) < 0.5
        n1, x1, x = (np.cumsum(one)[looks - 1] for one in (treated, events & treated, events))
        n0, pooled = looks - n1, x / looks
        z = (x1 / n1 - (x - x1) / n0) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0))
        found += bool((np.abs(z) > 1.959964).any())
    assert found > 0.2 * runs


@pytest.mark.slow
def test_stopping_when_the_effect_is_found_takes_as_long_as_forecast() -> None:
    """10 % against 11.5 %, planned for 6,690 units an arm: in 120 runs, who stops when it is found, or else at the
    forecast's end, stops where the plan says on average (to four standard errors and 5 %)."""
    rng, cost = np.random.default_rng(54), looking_cost()
    units = round(2 * units_for_rates(0.10, 0.115))
    last = round(cost.longest * units)
    stops = []
    for _ in range(120):
        treated = rng.random(last) < 0.5
        events = rng.random(last) < np.where(treated, 0.115, 0.10)
        _, found, _ = compare_always(Metric(events.astype(float)), treated, tuned_for=units)
        crossed = np.flatnonzero(found.low > 0)
        stops.append(int(crossed[0]) if crossed.size else last)
    assert abs(np.mean(stops) / units - cost.expected) < 4 * np.std(stops) / units / math.sqrt(120) + 0.05


def test_it_agrees_with_the_sequence_for_changing_splits() -> None:
    """At a fixed even split of many units both give nearly the same interval."""
    rng = np.random.default_rng(55)
    treated = rng.random(20_000) < 0.5
    values = rng.normal(10, 3, 20_000) + 0.3 * treated
    found = follow(path(values, treated), 0.05, 5_000)
    low, high = difference_sequence(values, treated.astype(float), 0.5, 0.05, best_at=5_000)
    last = float(np.maximum.accumulate(low)[-1]), float(np.minimum.accumulate(high)[-1])
    assert (float(found.low[-1]), float(found.high[-1])) == pytest.approx(last, abs=0.03)


def test_nothing_is_said_of_few_units_or_few_events() -> None:
    """Before 100 units an arm, or about 25 events of a rare kind, there is no interval."""
    rng = np.random.default_rng(56)
    treated = np.arange(4_000) % 2 == 0
    events = np.zeros(4_000)
    events[rng.choice(4_000, 20, replace=False)] = 1.0
    told, found, _ = compare_always(Metric(events), treated)
    assert (told.low, told.high, told.p_value) == (-math.inf, math.inf, 1.0)
    _, found, along = compare_always(Metric(rng.normal(size=400)), np.arange(400) % 2 == 0)
    assert np.isinf(found.low[along.least < 100]).all()
    assert np.isfinite(found.low[-1])


def test_the_ends_only_close_in() -> None:
    """What was excluded stays excluded."""
    rng = np.random.default_rng(57)
    _, found, _ = compare_always(Metric(rng.normal(size=3_000)), rng.random(3_000) < 0.5)
    for closing in (found.low, -found.high, found.ratio_low, -found.ratio_high):
        assert (np.diff(closing[np.isfinite(closing)]) >= 0).all()


def test_looks_that_contradict_each_other_are_told_by_the_last() -> None:
    """An effect that turns around: the interval is that of the last look alone, and holds its estimate."""
    rng = np.random.default_rng(58)
    treated = np.arange(12_000) % 2 == 0
    effect = np.where(np.arange(12_000) < 1_000, 2.0, -1.0)
    told, found, _ = compare_always(Metric(rng.normal(size=12_000) + effect * treated), treated, tuned_for=1_000)
    assert found.broken
    assert told.low < told.difference < told.high < 0


def test_impossible_levels_are_refused() -> None:
    """alpha and the units to be tuned for."""
    along = path(np.arange(4.0), np.array([True, False] * 2))
    with pytest.raises(ValueError, match="alpha"):
        follow(along, 1.5)
    with pytest.raises(ValueError, match="shortest at 0"):
        follow(along, 0.05, 0.0)


def test_an_arm_without_units_is_refused() -> None:
    """Two measured units in each arm, whatever the metric."""
    for call in (compare, compare_always):
        with pytest.raises(ValueError, match="treatment has 1 measured"):
            call(Metric(np.array([1.0, np.nan, 0.0, 1.0])), np.array([True, True, False, False]))
