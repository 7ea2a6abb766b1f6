"""The delay curve against statsmodels, and what was known when."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from statsmodels.duration.survfunc import SurvfuncRight

from fairlead.stats.performance import Floats
from fairlead.stats.performance.maturity import (
    delay_curve,
    early_against_late,
    known_by,
    matured_share,
    waited,
)


def test_the_curve_is_that_of_statsmodels() -> None:
    """Shares, and Greenwood's error behind the interval, to 1e-9, with ties."""
    rng = np.random.default_rng(0)
    delay, age = np.round(rng.exponential(4, 300), 1), np.round(rng.uniform(0, 10, 300), 1)
    known = delay <= age
    seen = np.minimum(delay, age)
    ours, theirs = delay_curve(seen, known), SurvfuncRight(seen, known.astype(int))
    assert ours.delays == pytest.approx(theirs.surv_times, abs=1e-12)
    assert 1 - ours.share == pytest.approx(theirs.surv_prob, abs=1e-9)
    inner = theirs.surv_prob > 0
    stay = theirs.surv_prob[inner]
    error = theirs.surv_prob_se[inner] / (stay * np.abs(np.log(stay)))
    assert ours.low[inner] == pytest.approx(1 - stay ** np.exp(-1.959963984540054 * error), abs=1e-9)
    assert ours.high[inner] == pytest.approx(1 - stay ** np.exp(1.959963984540054 * error), abs=1e-9)


@given(arrays(np.float64, 30, elements=st.integers(0, 9).map(float)), arrays(np.bool_, 30))
def test_the_curve_climbs_inside_its_interval(delay: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """It never falls, lies in [0, 1], and without censoring it is the plain share."""
    curve = delay_curve(delay, known)
    assert (np.diff(curve.share) > 0).all()
    assert ((curve.low <= curve.share + 1e-12) & (curve.share <= curve.high + 1e-12)).all()
    assert curve.known + curve.waiting == 30
    whole = delay_curve(delay, np.ones(30, np.bool_))
    assert whole.within(4.0).value == pytest.approx(
        float(np.mean(delay <= 4)) if delay.max() >= 4 else np.nan, nan_ok=True
    )


def test_leaving_out_those_who_wait_would_flatter() -> None:
    """Of labels that take 10 days on average, seen after 6, the curve tells the truth and the plain share does not."""
    rng = np.random.default_rng(1)
    delay, age = rng.exponential(10, 20_000), rng.uniform(0, 12, 20_000)
    known = delay <= age
    true = 1 - np.exp(-0.6)
    assert delay_curve(np.minimum(delay, age), known).within(6.0).value == pytest.approx(true, abs=0.02)
    assert np.mean(delay[known] <= 6) > true + 0.2


def test_edges_of_the_curve() -> None:
    """Nothing known beyond the oldest, a bound before the first label, no label, no row, all at once."""
    curve = delay_curve([2.0, 3.0, 5.0], [True, False, False])
    assert [curve.within(1.0).value, curve.within(2.0).value] == pytest.approx([0.0, 1 / 3])
    assert 0 < curve.within(1.0).high < 1
    assert isnan(curve.within(6.0).value)
    assert (curve.until(0.3), curve.until(0.9)) == (2.0, inf)
    silent = delay_curve([1.0, 2.0], [False, False])
    assert (silent.within(1.5).value, silent.until(0.1)) == (0.0, inf)
    assert not delay_curve([], []).within(0.0).defined
    at_once = delay_curve([1.0, 1.0], [True, True])
    assert (at_once.share.tolist(), at_once.low.tolist(), at_once.high.tolist()) == ([1.0], [0.0], [1.0])


@pytest.mark.parametrize("delay", [[-1.0], [float("nan")]])
def test_an_impossible_delay_is_refused(delay: list[float]) -> None:
    """A label before its prediction, or a delay that is no number."""
    with pytest.raises(ValueError, match="negative or no number"):
        delay_curve(delay, [True])


def test_what_was_known_then_is_less_than_now() -> None:
    """A label counts from the instant it was observed; one never observed never counts."""
    observed = [5.0, 20.0, float("nan")]
    assert known_by(observed, 5.0).tolist() == [True, False, False]
    assert matured_share(observed, 5.0).value < matured_share(observed, 20.0).value < 1
    delay, known = waited([0.0, 1.0, 2.0], observed, 10.0)
    assert (delay.tolist(), known.tolist()) == ([5.0, 9.0, 8.0], [True, False, False])


def test_early_labels_unlike_late_ones_are_noticed() -> None:
    """Defaults that come first, and values that grow with their delay."""
    rng = np.random.default_rng(2)
    label = (rng.random(2_000) < 0.3).astype(np.float64)
    found = early_against_late(label, rng.exponential(np.where(label > 0, 2, 8)))
    assert found.differs
    assert found.early.value > found.late.value
    delay = rng.exponential(5, 2_000)
    assert early_against_late(10 + delay + rng.normal(size=2_000), delay).gap.high < 0
    assert not early_against_late([1.0], [1.0]).differs
    assert not early_against_late([1.0, 0.0], [2.0, 2.0]).gap.defined


@pytest.mark.parametrize("runs", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_alike_labels_raise_no_alarm(runs: int) -> None:
    """Where labels and delays are independent, at most 5 % of looks see a difference, give or take a percent."""
    rng = np.random.default_rng(3)
    alarms = sum(early_against_late(rng.random(300) < 0.2, rng.exponential(1, 300)).differs for _ in range(runs))
    assert binom.sf(alarms - 1, runs, 0.06) > 1e-4
