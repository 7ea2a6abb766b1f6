"""Errors of regressions, expected without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from fairlead.stats.estimate import by_prediction, error_model, estimate_by_prediction, estimate_error, root
from fairlead.stats.performance import Floats, Measure

Nominal = Callable[[dict[str, int], int], None]


def world(n: int, at: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """An input, and the error's size, which grows with its square."""
    x = rng.normal(at, 1.0, n)
    return x, np.abs(rng.normal(size=n)) * (1.0 + 0.5 * x**2)


def fitted(x: Floats, errors: Floats, power: int = 1, folds: int = 5) -> tuple[Floats, Callable[[Floats], Floats]]:
    """A small cross-fitted error model, with the terms that the error's mean has: least squares on 1, x, x², and x⁴ for
    the squared error."""

    def terms(given: Floats) -> Floats:
        return np.column_stack([np.ones_like(given), given, given**2, *([given**4] if power == 2 else [])])

    fold = np.arange(x.size) % folds
    weights = [np.linalg.lstsq(terms(x[fold != k]), errors[fold != k], rcond=None)[0] for k in range(folds)]
    held = np.sum(terms(x) * np.stack(weights)[fold], axis=1)
    return held, lambda new: np.stack([terms(new) @ one for one in weights])


def hits_of(runs: int, known_rows: int, live_rows: int, seed: int) -> dict[str, int]:
    """How often the intervals of MAE and RMSE hold what is realised: by an error model, its input moved or not, and by
    the prediction alone, the predictions moved."""
    rng = np.random.default_rng(seed)
    hits: dict[str, int] = {}
    for _ in range(runs):
        x, e = world(known_rows, 0.0, rng)
        for at in (0.0, 0.5):
            new, came = world(live_rows, at, rng)
            for name, power in (("MAE", 1), ("RMSE", 2)):
                held, expected = fitted(x, e**power, power)
                found = estimate_error(expected(new), error_model(held, e**power))
                place = f"{name}, input moved by {at}"
                hits[place] = hits.get(place, 0) + (found.low <= (came**power).mean() <= found.high)
        p, live = rng.uniform(0, 10, known_rows), rng.uniform(5, 10, live_rows)
        e, came = (np.abs(rng.normal(size=each.size)) * (1 + each / 5) for each in (p, live))
        for name, power in (("MAE", 1), ("RMSE", 2)):
            found = estimate_by_prediction(live, by_prediction(p, e**power))
            place = f"{name}, by prediction"
            hits[place] = hits.get(place, 0) + (found.low <= (came**power).mean() <= found.high)
    return hits


def test_intervals_hold_the_realised_error(nominal: Nominal) -> None:
    """95 % intervals hold what is realised in 93 to 97 % of 100 windows, whatever the inputs did."""
    nominal(hits_of(100, 1000, 500, 0), 100)


@pytest.mark.slow
@pytest.mark.parametrize(("known_rows", "live_rows"), [(1000, 500), (3000, 600)])
def test_intervals_cover_near_nominally(nominal: Nominal, known_rows: int, live_rows: int) -> None:
    """The same in 2,000 windows, at two sizes: error models and the mean error by prediction, MAE and RMSE."""
    nominal(hits_of(2000, known_rows, live_rows, 1), 2000)


def test_a_moved_input_is_foretold() -> None:
    """Where the input moves to larger errors, the estimate follows; MAE and RMSE both."""
    rng = np.random.default_rng(1)
    x, e = world(20_000, 0.0, rng)
    new, came = world(20_000, 1.0, rng)
    for power in (1, 2):
        held, expected = fitted(x, e**power, power)
        found = estimate_error(expected(new), error_model(held, e**power))
        real = float((came**power).mean())
        shown = found if power == 1 else root(found)
        assert shown.value == pytest.approx(real ** (1 / power), rel=0.08)
        assert shown.value > 1.3 * float((e**power).mean()) ** (1 / power)


def test_the_interval_by_hand() -> None:
    """With one model of constant expectation the interval is the normal one of the rows' own errors, on the log scale;
    an expectation of 0 has no logarithm, and gets the normal one."""
    known = error_model(np.full(400, 2.0), np.tile([1.0, 3.0], 200))
    found = estimate_error(np.full(100, 2.0), known, 0.9)
    times = np.exp(norm.ppf(0.95) * np.sqrt(np.log1p((0.1 / 2) ** 2)))
    assert [found.low, found.high] == pytest.approx([2 / times, 2 * times], rel=1e-6)
    nothing = estimate_error(np.zeros(100), error_model(np.zeros(4), [1.0, 3.0, 2.0, 2.0]), 0.9)
    assert nothing.low == nothing.value == 0.0 < nothing.high
    split = estimate_error(np.stack([np.full(100, 1.9), np.full(100, 2.1)]), known)
    assert split.value == pytest.approx(2.0)
    assert split.high - split.value > 0.3  # the two models' distance counts, with one degree of freedom
    assert root(Measure(-1.0, -2.0, 4.0)) == Measure(0.0, 0.0, 2.0)


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
