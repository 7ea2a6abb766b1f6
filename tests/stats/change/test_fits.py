"""Regressors are what their names say, for slots with and without gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairlead.stats.change.fits import (
    PLACES,
    explained,
    families,
    fitted,
    phase_means,
    phases,
    ramps,
    returns,
    sinusoids,
    steps,
    trend,
)

SLOTS = np.array([0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16])


def test_rows_are_centred_and_of_length_one() -> None:
    """So that a squared product is a share of variance; pairs and seasons are orthonormal."""
    for rows in (steps(SLOTS), ramps(SLOTS), returns(SLOTS), *sinusoids(SLOTS), phases(SLOTS, 4)[0]):
        assert np.abs(rows.sum(axis=1)).max() < 1e-9
        assert (rows**2).sum(axis=1) == pytest.approx(1.0)
    basis = phases(SLOTS, 4)[0]
    assert basis @ basis.T == pytest.approx(np.eye(3), abs=1e-9)
    cosine, sine = sinusoids(SLOTS)
    assert (cosine * sine).sum(axis=1) == pytest.approx(0.0, abs=1e-9)


def test_a_season_explains_what_its_phase_means_explain() -> None:
    """The basis of contrasts and the means of the phases are one fit."""
    values = np.random.default_rng(0).normal(size=SLOTS.size)
    rest = values - phase_means(values, SLOTS % 4)
    share = explained(values[None], phases(SLOTS, 4))[0]
    assert share == pytest.approx(1.0 - rest.var() / values.var())
    fit = fitted(values, SLOTS, families(SLOTS, 4)[-1])
    assert fit.fit == pytest.approx(phase_means(values, SLOTS % 4))
    assert fit.rss == pytest.approx(float((rest**2).sum()))


def test_the_fit_of_a_step_is_the_two_means() -> None:
    """Against least squares written out."""
    values = np.concatenate([np.zeros(5), np.full(9, 2.0)]) + np.random.default_rng(1).normal(0, 0.1, 14)
    fit = fitted(values, SLOTS, ("step", steps(SLOTS)))
    assert (fit.place, fit.starts) == (5, 6)
    assert fit.fit[:5] == pytest.approx(values[:5].mean())
    assert fit.size == pytest.approx(values[5:].mean() - values[:5].mean())
    assert fit.explained == pytest.approx(1.0 - fit.rss / float(((values - values.mean()) ** 2).sum()))


def test_many_slots_have_as_many_places_as_few() -> None:
    """Ramps and returns break at no more than 48 places: cost does not grow with the square of the slots."""
    most = PLACES * (PLACES - 1) // 2
    assert len(ramps(np.arange(2_000))) <= most
    assert len(returns(np.arange(2_000))) <= most
    assert len(steps(np.arange(2_000))) == 2 * 1_999 - 1


@given(hnp.arrays(np.float64, (3, 14), elements=st.floats(-1e3, 1e3)))
def test_shares_are_shares(series: np.ndarray) -> None:
    """Whatever the series, a family explains between nothing and everything."""
    for _, rows in families(SLOTS, 4) + families(SLOTS, None):
        share = explained(series, rows)
        assert (share >= 0.0).all()
        assert (share <= 1.0 + 1e-9).all()


@given(hnp.arrays(np.float64, (1, 12), elements=st.floats(-1e3, 1e3)))
def test_a_trend_reversed_is_its_negative(series: np.ndarray) -> None:
    """Mann and Kendall's S is antisymmetric in time and bounded by the number of pairs."""
    assert trend(series[:, ::-1])[0] == -trend(series)[0]
    assert abs(trend(series)[0]) <= 66
