"""Whether groups are treated alike, against Fairlearn's own figures and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.fairness import NO_GAP, Counts, fairness, worst

# Fairlearn 0.15.0 (with scikit-learn 1.9.1): `demographic_parity_ratio`, and `MetricFrame.difference()` of
# `true_positive_rate` and `false_positive_rate`, of the labels that these counts stand for.
FAIRLEARN = [
    (
        {"0": (53, 38, 34, 157), "1": (86, 44, 44, 144)},
        (0.7893617021276595, 0.05234305923961091, 0.03917075831969449),
    ),
    (
        {"0": (28, 30, 29, 123), "1": (47, 30, 20, 96), "2": (83, 29, 22, 63)},
        (0.48579931972789114, 0.2992481203007519, 0.11913895993179882),
    ),
    (
        {"0": (69, 47, 30, 173), "1": (80, 53, 33, 115)},
        (0.7682843472317157, 0.010994904800214478, 0.10183982683982684),
    ),
    (
        {"0": (36, 31, 22, 109), "1": (44, 41, 28, 83), "2": (80, 33, 25, 68)},
        (0.6168767319209798, 0.1507936507936507, 0.10921658986175115),
    ),
]


@pytest.mark.parametrize(("groups", "theirs"), FAIRLEARN)
def test_the_figures_are_fairlearns(
    groups: dict[str, tuple[int, int, int, int]], theirs: tuple[float, float, float]
) -> None:
    """Impact and gaps to the last digits, each inside its interval."""
    found = fairness({name: Counts(*counts) for name, counts in groups.items()})
    gaps = (found.impact, found.tpr, found.fpr)
    assert [gap.measure.value for gap in gaps] == pytest.approx(theirs, abs=1e-12)
    assert all(gap.measure.low <= gap.measure.value <= gap.measure.high for gap in gaps)


COUNTS = st.builds(Counts, *(st.integers(0, 60) for _ in range(4)))


@given(st.dictionaries(st.sampled_from("abcd"), COUNTS, max_size=4))
def test_gaps_lie_where_they_must(groups: dict[str, Counts]) -> None:
    """Impact in [0, 1], gaps in [0, 1], values inside their intervals; small groups are named, not asked."""
    found = fairness(groups)
    assert set(found.few) == {name for name, one in groups.items() if one.rows < 30}
    for gap in (found.impact, found.tpr, found.fpr):
        if gap.measure.defined:
            assert 0 <= gap.measure.value <= 1
            assert gap.measure.low <= gap.measure.value <= gap.measure.high
            assert gap.rows >= 30


def test_what_cannot_be_compared_is_not_defined() -> None:
    """One group, groups that are too small, and a class that is never decided for."""
    one = Counts(40, 10, 10, 40)
    assert fairness({"a": one}).impact == NO_GAP
    assert fairness({"a": one, "b": Counts(1, 1, 1, 1)}).tpr == NO_GAP
    assert fairness({"a": Counts(0, 0, 50, 50), "b": Counts(0, 0, 50, 50)}).impact == NO_GAP
    assert fairness({"a": one, "b": Counts(5, 1, 5, 90)}).tpr == NO_GAP


def test_the_worst_of_several_counts() -> None:
    """The least impact and the greatest gaps; what is defined nowhere stays undefined."""
    mild = fairness({"a": Counts(40, 10, 10, 40), "b": Counts(38, 10, 12, 40)})
    bad = fairness({"a": Counts(40, 10, 10, 40), "b": Counts(10, 2, 40, 48)})
    assert worst({"x": mild, "y": bad}) == (bad.impact, bad.tpr, bad.fpr)
    assert worst({}) == (NO_GAP, NO_GAP, NO_GAP)


def _missed(runs: int, rows: int, rates: tuple[float, ...], seed: int) -> tuple[int, int]:
    """Of simulated samples of groups with these selection rates (and true positive rates): how often the interval of
    the impact lies below 80 %, or that of the gap above 10 points."""
    rng, impact, gap = np.random.default_rng(seed), 0, 0
    for _ in range(runs):
        groups = {}
        for number, rate in enumerate(rates):
            positives = rows // 2
            hits, alarms = int(rng.binomial(positives, rate)), int(rng.binomial(rows - positives, rate))
            groups[str(number)] = Counts(hits, alarms, positives - hits, rows - positives - alarms)
        found = fairness(groups)
        impact += found.impact.measure.high < 0.8
        gap += found.tpr.measure.low > 0.1
    return impact, gap


def test_a_model_at_the_bound_is_seldom_called_unfair() -> None:
    """With an impact of exactly 80 % and a gap of 10 points: one-sided, so about 2.5 % of the samples."""
    impact, gap = _missed(400, 400, (0.4, 0.5), 11)
    assert impact <= 22
    assert gap <= 22


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(0.4, 0.5), (0.4, 0.5, 0.5, 0.5), (0.08, 0.1)])
def test_the_intervals_keep_their_level(rates: tuple[float, ...]) -> None:
    """5,000 samples at the bound of the impact: called unfair in at most 3 % of them, whatever the number of groups."""
    impact, _ = _missed(5000, 600, rates, 12)
    assert impact <= 150


def test_an_unfair_model_is_found() -> None:
    """An impact of 50 % on 600 rows a group is always found."""
    impact, gap = _missed(50, 600, (0.3, 0.6), 13)
    assert (impact, gap) == (50, 50)
