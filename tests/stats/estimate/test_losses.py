"""Errors of regressions, expected without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm

from fairlead.stats.estimate import by_prediction, error_model, estimate_by_prediction, estimate_error, root
from fairlead.stats.performance import Floats, Measure


def world(n: int, at: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """An input, and the error's size, which grows with its square."""
    x = rng.normal(at, 1.0, n)
    return x, np.abs(rng.normal(size=n)) * (1.0 + 0.5 * x**2)


def fitted(x: Floats, errors: Floats, folds: int = 5) -> tuple[Floats, Callable[[Floats], Floats]]:
    """A small cross-fitted error model: least squares on 1, x, x²."""
    given = np.column_stack([np.ones_like(x), x, x**2])
    fold = np.arange(x.size) % folds
    weights = [np.linalg.lstsq(given[fold != k], errors[fold != k], rcond=None)[0] for k in range(folds)]
    held = np.sum(given * np.stack(weights)[fold], axis=1)
    return held, lambda new: np.stack([np.column_stack([np.ones_like(new), new, new**2]) @ one for one in weights])


def test_intervals_hold_the_realised_error() -> None:
    """95 % intervals of MAE hold what is realised in 95 % of 400 windows, also where the input moved and the error
    rose, and where the reference is as small as the window."""
    rng = np.random.default_rng(0)
    for known_rows, at in ((3000, 0.0), (3000, 0.7), (600, 0.0)):
        hits = 0
        for _ in range(400):
            x, e = world(known_rows, 0.0, rng)
            held, expected = fitted(x, e)
            new, came = world(600, at, rng)
            found = estimate_error(expected(new), error_model(held, e))
            hits += found.low <= came.mean() <= found.high
        assert binom.cdf(hits, 400, 0.945) > 1e-3, (known_rows, at, hits)
        assert binom.sf(hits, 400, 0.96) > 1e-3, (known_rows, at, hits)


def test_a_moved_input_is_foretold() -> None:
    """Where the input moves to larger errors, the estimate follows; MAE and RMSE both."""
    rng = np.random.default_rng(1)
    x, e = world(20_000, 0.0, rng)
    new, came = world(20_000, 1.0, rng)
    for power in (1, 2):
        held, expected = fitted(x, e**power)
        found = estimate_error(expected(new), error_model(held, e**power))
        real = float((came**power).mean())
        shown = found if power == 1 else root(found)
        assert shown.value == pytest.approx(real ** (1 / power), rel=0.08)
        assert shown.value > 1.3 * float((e**power).mean()) ** (1 / power)


def test_the_interval_by_hand() -> None:
    """With one model of constant expectation the interval is the normal one of the rows' own errors."""
    known = error_model(np.full(400, 2.0), np.tile([1.0, 3.0], 200))
    found = estimate_error(np.full(100, 2.0), known, 0.9)
    assert found.high - found.value == pytest.approx(norm.ppf(0.95) / 10, rel=1e-6)
    split = estimate_error(np.stack([np.full(100, 1.9), np.full(100, 2.1)]), known)
    assert split.value == pytest.approx(2.0)
    assert split.high - split.value > 0.3  # the two models' distance counts, with one degree of freedom
    assert root(Measure(-1.0, -2.0, 4.0)) == Measure(0.0, 0.0, 2.0)


def test_the_curve_by_prediction_covers() -> None:
    """Where errors depend on the prediction, its curve's 95 % intervals hold 95 % of 1,000 windows, though the
    predictions moved."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        p, live = rng.uniform(0, 10, 2000), rng.uniform(5, 10, 500)
        e, came = (np.abs(rng.normal(size=x.size)) * (1 + x / 5) for x in (p, live))
        found = estimate_by_prediction(live, by_prediction(p, e))
        hits += found.low <= came.mean() <= found.high
    assert binom.cdf(hits, 1000, 0.93) > 1e-3, hits
    assert hits < 990


def test_constant_predictions_have_a_curve() -> None:
    """One value is one bin; outside the curve it is flat; predictions that are nan are left out."""
    curve = by_prediction(np.ones(100), np.tile([1.0, 3.0], 50))
    found = estimate_by_prediction([1.0, 7.0, np.nan], curve)
    assert found.value == 2.0
    assert found.low < 2.0 < found.high
    assert not estimate_by_prediction([], curve).defined
    assert not estimate_error(np.empty((2, 0)), error_model([1.0, 1.0], [1.0, 1.0])).defined
    assert estimate_error([1.0, 1.0], error_model([1.0, 1.0], [1.0, 1.0])) == Measure(1.0, 1.0, 1.0)


def test_what_is_no_error_is_refused() -> None:
    """Lengths that differ, too few rows, values that are not finite."""
    for expected, realised, words in (([1.0], [1.0], "at least 2"), ([1.0, 2.0], [1.0], "as many")):
        with pytest.raises(ValueError, match=words):
            error_model(expected, realised)
    with pytest.raises(ValueError, match="nan or infinite"):
        error_model([1.0, np.nan], [1.0, 1.0])
    with pytest.raises(ValueError, match="nan or infinite"):
        estimate_error([np.inf], error_model([1.0, 1.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match="at least one"):
        by_prediction([], [])
    with pytest.raises(ValueError, match="nan or infinite"):
        by_prediction([1.0], [np.inf])
