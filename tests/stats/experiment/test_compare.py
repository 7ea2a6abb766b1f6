from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats.experiment.compare import Kind, Metric, compare, compare_always, looks

TREATED = np.arange(400) % 2 == 0


def test_the_kind_follows_from_the_values() -> None:
    """0 and 1 are a proportion, unless a covariate adjusts them; a denominator makes a ratio; else it is a mean."""
    ones, some = Metric(np.array([0.0, 1.0, np.nan])), np.array([0.5, 1.0, 2.0])
    assert ones.kind is Kind.RATE
    assert Metric(ones.values, None, some).kind is Kind.MEAN
    assert Metric(ones.values, some).kind is Kind.RATIO
    assert Metric(some).kind is Kind.MEAN


def test_units_that_were_not_measured_are_left_out() -> None:
    """NaN in the value or the denominator; not in the covariate."""
    rng = np.random.default_rng(0)
    values, views = rng.poisson(3, 400).astype(float), rng.poisson(2, 400).astype(float) + 1.0
    values[3], views[10] = np.nan, np.nan
    found = compare(Metric(values, views), TREATED)
    assert (found.treatment_units, found.control_units) == (199, 199)
    before = rng.normal(size=400)
    before[5] = np.nan
    assert compare(Metric(values, None, before), TREATED).treatment_units == 200


@pytest.mark.parametrize("always", [False, True])
def test_figures_fit_together(always: bool) -> None:
    """difference = treatment - control, lift = difference / control, both inside their intervals."""
    rng = np.random.default_rng(1)
    metrics = (
        Metric((rng.random(400) < 0.4).astype(float)),
        Metric(rng.gamma(4, 2, 400)),
        Metric(rng.poisson(2, 400).astype(float), rng.poisson(3, 400).astype(float) + 1.0),
        Metric(rng.gamma(4, 2, 400), None, rng.normal(size=400)),
    )
    for metric in metrics:
        found = compare_always(metric, TREATED)[0] if always else compare(metric, TREATED)
        assert found.difference == pytest.approx(found.treatment - found.control)
        assert found.lift == pytest.approx(found.difference / found.control)
        assert found.low <= found.difference <= found.high
        assert found.lift_low <= (found.lift or 0.0) <= found.lift_high
        assert 0.0 <= found.p_value <= 1.0


def test_a_mean_that_is_not_positive_has_no_lift() -> None:
    """A change relative to 0 or less says nothing."""
    found = compare(Metric(np.random.default_rng(2).normal(-1, 1, 400)), TREATED)
    assert found.lift is None
    assert (found.lift_low, found.lift_high) == (-np.inf, np.inf)


def test_looks_are_spread_and_end_with_the_last() -> None:
    """At most as many as asked for, in order, none without an interval; none at all for too few units."""
    rng = np.random.default_rng(3)
    _, found, along = compare_always(Metric(rng.normal(size=5_000)), np.arange(5_000) % 2 == 0)
    shown = looks(found, along, most=50)
    assert len(shown) == 50
    assert [one.units for one in shown] == sorted({one.units for one in shown})
    assert shown[0].units == 200
    assert shown[-1].units == 5_000
    _, found, along = compare_always(Metric(rng.normal(size=50)), np.arange(50) % 2 == 0)
    assert looks(found, along) == ()
