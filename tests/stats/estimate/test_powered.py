"""Early labels and estimates together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from fairlead.stats.estimate import prediction_powered
from fairlead.stats.performance import Floats


def rows(n: int, rng: np.random.Generator, worth: float) -> tuple[Floats, Floats]:
    """Losses of mean 1, and estimates of them: biased, and informative by `worth`."""
    loss = rng.exponential(1.0, n)
    return loss, worth * loss + rng.normal(0.4, 0.3, n)


@pytest.mark.parametrize("worth", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("tuned", [False, True])
def test_intervals_cover_whatever_the_estimate_is_worth(worth: float, tuned: bool) -> None:
    """95 % intervals hold the expected loss in 95 % of 2,000 runs, be the estimate biased, useless or good, of 100
    labels or 250."""
    rng = np.random.default_rng(0)
    for labels, least in ((250, 0.945), (100, 0.93)):
        hits = 0
        for _ in range(2000):
            loss, f = rows(4 * labels, rng, worth)
            found = prediction_powered(loss[:labels], f[:labels], f[labels:], tuned=tuned).measure
            hits += found.low <= 1.0 <= found.high
        assert binom.cdf(hits, 2000, least) > 1e-3, hits
        assert binom.sf(hits, 2000, 0.96) > 1e-3, hits


def test_a_good_estimate_saves_labels_and_a_useless_one_costs_none() -> None:
    """Tuned, the interval is never wider than that of the labels alone by more than chance; a good estimate's is half
    as wide, as the gain says."""
    rng = np.random.default_rng(1)
    for worth, least, most in ((0.0, 0.98, 1.05), (0.9, 2.5, 12.0)):
        gains = []
        for _ in range(200):
            loss, f = rows(2000, rng, worth)
            gains.append(prediction_powered(loss[:200], f[:200], f[200:]).gain)
        assert least < float(np.mean(gains)) < most, (worth, np.mean(gains))


def test_untuned_is_the_mean_of_all_estimates_plus_the_labelled_misses() -> None:
    """mean over all of f + mean over labelled of (l - f), to rounding."""
    rng = np.random.default_rng(2)
    loss, f = rows(100, rng, 0.5)
    found = prediction_powered(loss[:30], f[:30], f[30:], tuned=False)
    assert found.measure.value == pytest.approx(f.mean() + (loss[:30] - f[:30]).mean(), abs=1e-12)
    assert (found.share, found.labels) == (0.3, 30)


def test_without_estimates_it_is_students_interval() -> None:
    """A constant estimate, or no unlabelled row, leaves the mean of the labels with Student's interval."""
    rng = np.random.default_rng(3)
    loss = rng.normal(size=40)
    known = ttest_1samp(loss, 0.0).confidence_interval(0.95)
    for more in (np.ones(60), np.empty(0)):
        found = prediction_powered(loss, np.ones(40), more)
        assert found.weight == 0.0
        assert [found.measure.low, found.measure.high] == pytest.approx([known.low, known.high], abs=1e-9)
    assert prediction_powered(loss, loss, np.empty(0)).share == 1.0


def test_too_few_labels_say_nothing() -> None:
    """Fewer than two labels have no measure; what is nan or of another length is refused."""
    assert not prediction_powered([1.0], [1.0], [1.0, 2.0]).measure.defined
    assert prediction_powered([], [], [1.0]).share == 0.0
    with pytest.raises(ValueError, match="as many"):
        prediction_powered([1.0], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="nan or infinite"):
        prediction_powered([1.0, np.nan], [1.0, 2.0], [1.0])
    assert prediction_powered([1.0, 1.0], [1.0, 1.0], [1.0, 1.0]).gain == 1.0
