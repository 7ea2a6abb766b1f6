from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fairlead.errors import UsageError
from fairlead.operations.experiment_plan import sample_size


def test_a_plan_says_units_weeks_and_what_they_can_find() -> None:
    """10 % to 11 % at 2,000 a day: three whole weeks, by which a smaller step can be told."""
    plan = sample_size(0.10, 0.11, traffic=2_000)
    assert (plan.metric, plan.control_units, plan.treatment_units, plan.total) == ("proportion", 14_749, 14_749, 29_498)
    assert plan.weeks == 3
    assert plan.detectable is not None
    assert 0.10 < plan.detectable < 0.11
    assert [row.weeks for row in plan.by_week] == [1, 2, 3, 4, 6, 8]
    told = [row.detectable for row in plan.by_week if row.detectable is not None]
    assert told == sorted(told, reverse=True)
    powers = {round(row.value, 4): row.power for row in plan.powers}
    assert powers[0.11] == pytest.approx(0.8, abs=1e-3)
    assert plan.looking.expected < plan.looking.longest


def test_a_mean_is_planned_by_its_standard_deviation() -> None:
    """Student's law; a fall is planned as a rise is."""
    up, down = sample_size(50, 52, sd=20), sample_size(50, 48, sd=20)
    assert up.metric == "mean"
    assert up.control_units == down.control_units == 1571
    assert (sample_size(50, 48, sd=20, traffic=100).detectable or 50.0) < 50


def test_what_can_be_found_in_the_time_there_is() -> None:
    """Traffic and weeks in place of an effect."""
    plan = sample_size(0.10, traffic=2_000, weeks=2)
    assert plan.total == 28_000
    assert plan.detect == pytest.approx(0.1103, abs=1e-4)


def test_not_to_be_worse_is_a_one_sided_plan() -> None:
    """A margin without an effect; its power table is about the true value, not about effects."""
    plan = sample_size(0.10, margin=0.01, traffic=1_000)
    assert (plan.sides, plan.detect, plan.control_units) == (1, 0.10, 11_129)
    assert (plan.weeks, plan.detectable, plan.by_week) == (4, None, ())
    assert [row.value for row in plan.powers] == pytest.approx([0.095, 0.0975, 0.10, 0.1025, 0.105])


def test_arms_of_other_sizes() -> None:
    """Three arms at Bonferroni's level; twice as many treatment units; the total adds up."""
    plan = sample_size(0.10, 0.12, arms=3, ratio=2.0)
    assert plan.treatment_units == pytest.approx(2 * plan.control_units, abs=2)
    assert plan.total == plan.control_units + 2 * plan.treatment_units
    assert plan.design.tail == pytest.approx(0.05 / 2 / 2)


def test_a_plan_is_plain_values_and_a_frame() -> None:
    """Fit for JSON; a row a week, or a row a power without traffic."""
    plan = sample_size(0.10, 0.11, traffic=2_000)
    assert json.loads(json.dumps(plan.to_dict()))["control_units"] == 14_749
    assert list(plan.to_frame().columns) == ["weeks", "control_units", "detectable"]
    assert list(sample_size(0.10, 0.11).to_frame().columns) == ["value", "power"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sample_size(0.10), "nothing says what is to be found"),
        (lambda: sample_size(0.10, traffic=100), "nothing says what is to be found"),
        (lambda: sample_size(0.10, 0.10), "cannot be told apart"),
        (lambda: sample_size(0.10, 1.2), "a rate of 1.2"),
        (lambda: sample_size(0.10, 0.11, arms=1), "1 arm: an experiment"),
        (lambda: sample_size(0.10, 0.11, alpha=0), "alpha is 0"),
        (lambda: sample_size(0.10, 0.11, traffic=0), "traffic of 0"),
        (lambda: sample_size(0.10, traffic=1e-3, weeks=1), "can tell no value"),
        (lambda: sample_size(50, 52, sd=-1), "standard deviation of -1"),
        (lambda: sample_size(0.10, 0.11, correlation=2), "a correlation of 2"),
    ],
)
def test_plans_that_cannot_be_are_refused(call: Callable[[], object], said: str) -> None:
    """As wrong usage, with what is wrong."""
    with pytest.raises(UsageError, match=said):
        call()
