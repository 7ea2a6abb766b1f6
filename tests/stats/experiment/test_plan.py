from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit
from statsmodels.stats.power import NormalIndPower, TTestIndPower, normal_sample_size_one_tail
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from fairlead.stats.experiment.plan import (
    Design,
    detectable_difference,
    detectable_rate,
    looking_cost,
    power_for_means,
    power_for_rates,
    units_for_means,
    units_for_rates,
    variance_factor,
    whole_weeks,
)

Check = Callable[[int, int, float], None]
rates = st.floats(0.01, 0.99)
designs = st.builds(
    Design,
    alpha=st.floats(0.001, 0.2),
    power=st.floats(0.5, 0.99),
    sides=st.sampled_from([1, 2]),
    ratio=st.floats(0.1, 10.0),
    comparisons=st.integers(1, 5),
    variance_factor=st.floats(0.2, 3.0),
)


def test_the_plan_of_ten_to_eleven_percent() -> None:
    """10 % -> 11 % at 5 % and 80 % takes 14,748 units an arm, by the formula written out."""
    z = 1.959963984540054 + 0.8416212335729143
    assert units_for_rates(0.10, 0.11) == pytest.approx(z**2 * (0.09 + 0.0979) / 0.01**2, rel=1e-12)
    assert math.ceil(units_for_rates(0.10, 0.11)) == 14_749


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
@pytest.mark.parametrize(("baseline", "target"), [(0.10, 0.11), (0.5, 0.4), (0.01, 0.02)])
def test_units_for_rates_are_those_of_the_unpooled_normal_formula(baseline: float, target: float, ratio: float) -> None:
    """statsmodels agrees to 1e-9 where both standard deviations are given as the unpooled one."""
    sd = math.sqrt(baseline * (1 - baseline) + target * (1 - target) / ratio)
    theirs = normal_sample_size_one_tail(abs(target - baseline), 0.8, 0.025, std_null=sd, std_alternative=sd)
    assert units_for_rates(baseline, target, Design(ratio=ratio)) == pytest.approx(theirs, rel=1e-9)


def test_one_sided_units_are_those_of_the_normal_power_class() -> None:
    """`NormalIndPower` gives the same power to 1e-9 for an effect in units of the root mean variance."""
    effect = 0.01 / math.sqrt((0.09 + 0.0979) / 2)
    found = units_for_rates(0.10, 0.11, Design(sides=1))
    theirs = NormalIndPower().power(effect, found, 0.05, ratio=1, alternative="larger")
    assert theirs == pytest.approx(0.8, abs=1e-9)


def test_the_pooled_null_asks_for_about_as_many() -> None:
    """`samplesize_proportions_2indep_onetail` pools the variance under the null: within 0.5 % of ours, not equal."""
    theirs = samplesize_proportions_2indep_onetail(0.01, 0.10, 0.8, alpha=0.05, alternative="two-sided")
    ours = units_for_rates(0.10, 0.11)
    assert ours != pytest.approx(theirs, rel=1e-6)
    assert ours == pytest.approx(theirs, rel=5e-3)


@pytest.mark.parametrize("units", [3.0, 12.0, 90.0])
@pytest.mark.parametrize("effect", [0.05, 0.2, 0.7])
@pytest.mark.parametrize(("sides", "side"), [(2, "two-sided"), (1, "larger")])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
def test_power_for_means_is_that_of_the_noncentral_t(
    units: float, effect: float, sides: int, side: str, ratio: float
) -> None:
    """statsmodels agrees to 1e-9, both tails counted."""
    theirs = TTestIndPower().power(effect, units, 0.05, ratio=ratio, alternative=side)
    assert power_for_means(effect, 1.0, units, Design(sides=sides, ratio=ratio)) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("effect", [0.02, 0.2, 2.0, -0.2])
def test_units_for_means_have_exactly_the_power_asked_for(effect: float) -> None:
    """By statsmodels' power, to 1e-9."""
    units = units_for_means(effect, 1.0)
    assert TTestIndPower().power(abs(effect), units, 0.05) == pytest.approx(0.8, abs=1e-9)


@given(rates, rates, designs)
def test_power_at_the_planned_units_is_the_planned_power(baseline: float, target: float, design: Design) -> None:
    """Units and power are inverse to each other."""
    if abs(target - baseline) < 1e-4:
        target = baseline + (0.005 if baseline < 0.5 else -0.005)
    units = units_for_rates(baseline, target, design)
    assert power_for_rates(baseline, target, units, design) == pytest.approx(design.power, abs=1e-9)
    detectable = detectable_rate(baseline, units, design, fall=target < baseline)
    assert abs(detectable - baseline) <= abs(target - baseline) + 1e-9


@given(st.floats(0.01, 1.5), designs)
def test_the_detectable_difference_is_the_planned_one(effect: float, design: Design) -> None:
    """Planned for an effect, exactly that effect can be found."""
    units = units_for_means(effect, 1.0, design)
    if units > 3.0 / (1.0 + design.ratio) + 1e-9:  # not where even the least units find it
        assert detectable_difference(1.0, units, design) == pytest.approx(effect, rel=1e-6)


@given(rates, designs)
def test_more_units_find_smaller_effects(baseline: float, design: Design) -> None:
    """The detectable rate comes closer as units are added."""
    near, far = (abs(detectable_rate(baseline, units, design) - baseline) for units in (1e6, 1e5))
    assert near < far or math.isnan(far)


def test_the_options_act_as_their_formulas_say() -> None:
    """Bonferroni over treatments, a margin, a covariate, clusters and unequal arms."""
    plain = units_for_rates(0.10, 0.11)
    assert units_for_rates(0.10, 0.11, Design(comparisons=3)) == units_for_rates(0.10, 0.11, Design(alpha=0.05 / 3))
    assert units_for_rates(0.10, 0.11, Design(variance_factor=variance_factor(0.6))) == pytest.approx(0.64 * plain)
    clustered = Design(variance_factor=variance_factor(cluster_size=11, intra_cluster=0.1))
    assert units_for_rates(0.10, 0.11, clustered) == pytest.approx(2 * plain)
    unequal = units_for_rates(0.10, 0.11, Design(ratio=4.0))
    assert unequal * 5 > 2 * plain  # fewer control units, more in all
    assert unequal < plain
    no_worse = Design(margin=0.01, sides=1)
    assert units_for_rates(0.10, 0.10, no_worse) == pytest.approx(
        (1.6448536269514722 + 0.8416212335729143) ** 2 * 0.18 / 0.01**2
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Design(alpha=0.0), "alpha is 0.0"),
        (lambda: Design(power=1.0), "power is 1.0"),
        (lambda: Design(alpha=0.5, power=0.2), "below alpha"),
        (lambda: Design(sides=3), "1 or 2"),
        (lambda: Design(ratio=0.0), "ratio is 0.0"),
        (lambda: Design(comparisons=0), "at least one treatment"),
        (lambda: Design(margin=-1.0), "margin -1.0"),
        (lambda: units_for_rates(0.0, 0.1), "a rate of 0.0"),
        (lambda: units_for_rates(0.1, 1.0), "a rate of 1.0"),
        (lambda: units_for_rates(0.1, 0.1), "cannot be told apart"),
        (lambda: units_for_rates(0.12, 0.10, Design(margin=0.01)), "with a margin of 0.01"),
        (lambda: units_for_means(0.0, 1.0), "cannot be told apart"),
        (lambda: units_for_means(1.0, 0.0), "a standard deviation of 0.0"),
        (lambda: units_for_means(math.nan, 1.0), "must be finite"),
        (lambda: power_for_rates(0.1, 0.2, 0.0), "0.0 units"),
        (lambda: whole_weeks(10.0, 0.0), "traffic of 0.0"),
        (lambda: variance_factor(1.0), "between -1 and 1"),
        (lambda: variance_factor(cluster_size=0.5), "clusters of 0.5"),
    ],
)
def test_impossible_plans_are_refused(call: Callable[[], object], said: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(ValueError, match=said):
        call()


def test_hopeless_sizes_say_so() -> None:
    """No rate can be found with so few units; two units have no variance."""
    assert math.isnan(detectable_rate(0.5, 1.0))
    assert detectable_difference(1.0, 1.0) == math.inf


def test_the_duration_is_in_whole_weeks() -> None:
    """29,498 units at 2,000 a day are 14.7 days: three weeks; exactly two weeks are two."""
    assert whole_weeks(29_498, 2_000) == 3
    assert whole_weeks(28_000, 2_000) == 2
    assert whole_weeks(1, 2_000) == 1


@pytest.mark.parametrize(("baseline", "target"), [(0.10, 0.11), (0.02, 0.03), (0.5, 0.55)])
@pytest.mark.parametrize("runs", [2_000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_the_planned_units_find_the_effect_as_often_as_planned(baseline: float, target: float, runs: int) -> None:
    """The pooled z-test at the planned n: within 1.5 points of 80 % in simulation, beyond its noise."""
    rng = np.random.default_rng(5)
    units = math.ceil(units_for_rates(baseline, target))
    one, two = rng.binomial(units, target, runs) / units, rng.binomial(units, baseline, runs) / units
    pooled = (one + two) / 2
    z = (one - two) / np.sqrt(pooled * (1 - pooled) * 2 / units)
    found = float((np.abs(z) > 1.959964).mean())
    assert abs(found - 0.8) < 0.015 + 3 * math.sqrt(0.16 / runs)


def test_the_planned_units_find_a_mean_as_often_as_planned() -> None:
    """Student's test with ten units an arm, where the normal formula would fall short."""
    rng, runs = np.random.default_rng(6), 20_000
    units = math.ceil(units_for_means(1.3, 1.0))
    assert units < 12
    one, two = rng.normal(1.3, 1, (runs, units)), rng.normal(0, 1, (runs, units))
    t = (one.mean(1) - two.mean(1)) / np.sqrt((one.var(1, ddof=1) + two.var(1, ddof=1)) / units)
    critical = -float(stdtrit(2 * units - 2, 0.025))
    exact = power_for_means(1.3, 1.0, units)
    assert abs(float((np.abs(t) > critical).mean()) - exact) < 3 * math.sqrt(exact * (1 - exact) / runs)


@pytest.mark.parametrize("runs", [150, pytest.param(3_000, marks=pytest.mark.slow)])
def test_the_cost_of_looking_is_as_forecast(runs: int, at_least: Check) -> None:
    """Read after every unit: by `longest` the planned power has been reached, and the mean of where one stops is as
    forecast, with the planned effect and with none."""
    rng, units, cost = np.random.default_rng(7), 2_000, looking_cost()
    horizon = math.ceil(cost.longest * units)
    t = np.arange(1.0, horizon + 1)
    rate = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / units
    bound = np.sqrt(2 * (t * rate + 1) / (t * rate) * np.log(np.sqrt(t * rate + 1) / 0.05))
    for effect, expected in (((1.959964 + 0.841621) / math.sqrt(units), cost.expected), (0.0, cost.without_effect)):
        stops = np.full(runs, horizon)
        for run in range(runs):
            crossed = np.flatnonzero(np.abs(np.cumsum(rng.normal(effect, 1, horizon))) > bound * np.sqrt(t))
            stops[run] = crossed[0] + 1 if crossed.size else horizon
        assert abs(stops.mean() / units - expected) < 4 * stops.std() / units / math.sqrt(runs) + 0.005
        if effect:
            at_least(int((stops < horizon).sum()), runs, 0.8)
