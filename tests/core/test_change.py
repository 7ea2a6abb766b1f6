"""By how much the primary metric got worse, with its interval and money."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.change import change_of, less
from fairlead.core.quadrant import Band
from fairlead.core.report import MetricReading, Performance
from fairlead.stats.intervals import wilson

AUROC = Performance("auroc", 0.81, 0.80, 0.82, 0.78, 0.76, 0.80, 0.74, 0.72, 0.76, labels=900)
COST = MetricReading("cost", 2.0, 1.9, 2.1, 2.2, 2.0, 2.4, 3.0, 2.8, 3.2)


def test_realised_where_labels_came_else_estimated() -> None:
    """A fall of AUROC is positive; the estimate stands in until the labels have matured."""
    realised, estimated = change_of(AUROC, ripe=True), change_of(AUROC, ripe=False)
    assert realised is not None
    assert estimated is not None
    assert (realised.metric, round(realised.value, 9), realised.realised) == ("auroc", 0.07, True)
    assert (round(estimated.value, 9), estimated.realised) == (0.03, False)
    assert 0 < realised.low < 0.07 < realised.high < 0.1
    assert realised.money is None


def test_an_error_that_rises_is_worse_too() -> None:
    """Of errors, positive is a rise."""
    mae = Performance("mae", 10.0, 9.0, 11.0, realised=14.0, low=13.0, high=15.0)
    found = change_of(mae, ripe=True)
    assert found is not None
    assert (found.value, round(found.low, 3)) == (4.0, 2.586)


def test_money_is_given_for_a_thousand_predictions() -> None:
    """With a cost matrix, what a decision costs in the mean is a reading beside the metric."""
    found = change_of(replace(AUROC, also=(COST,)), ripe=True)
    assert found is not None
    assert (found.money, round(found.money_low or 0), round(found.money_high or 0)) == (1_000.0, 776, 1_224)


def test_what_is_unknown_changes_nothing() -> None:
    """Without a reference, or without its other side, there is no change to tell."""
    assert change_of(None, ripe=True) is None
    assert change_of(replace(AUROC, reference=None), ripe=True) is None
    assert change_of(replace(AUROC, estimated=None), ripe=False) is None
    assert change_of(replace(AUROC, low=None), ripe=True) is None


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6))
def test_turning_both_sides_turns_the_difference(ends: list[float]) -> None:
    """a - b and b - a are one interval, seen from either side; the value lies in it."""
    low, value, high = sorted(ends[:3])
    other_low, other, other_high = sorted(ends[3:])
    one, two = Band(value, low, high), Band(other, other_low, other_high)
    found, back = less(one, two), less(two, one)
    assert found.low <= found.value <= found.high
    assert (back.value, back.low, back.high) == (-found.value, -found.high, -found.low)


def test_the_interval_of_a_difference_covers() -> None:
    """Of 2,000 pairs of skewed shares, the interval of the difference misses the truth in about 5 %."""
    rng = np.random.default_rng(0)
    missed = 0
    for right, wrong in zip(
        rng.binomial(400, 0.9, 2_000).tolist(), rng.binomial(150, 0.8, 2_000).tolist(), strict=True
    ):
        one, two = wilson(right, 400), wilson(wrong, 150)
        found = less(Band(right / 400, *one), Band(wrong / 150, *two))
        missed += not found.low <= 0.1 <= found.high
    assert 0.03 <= missed / 2_000 <= 0.07
