"""Rows to label first, with stated probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.label_sample import chances, drawn, estimated

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(WEIGHTS, st.integers(1, 70), st.integers(0, 1000))
def test_probabilities_are_some_and_sum_to_the_rows(weights: list[float], rows: int, seed: int) -> None:
    """Each is above 0 and at most 1, a heavier row has no lower one, and exactly as many different rows are drawn."""
    pi = chances(weights, rows)
    assert (pi > 0).all()
    assert (pi <= 1).all()
    assert pi.sum() == pytest.approx(min(rows, len(weights)))
    order = np.argsort(weights, kind="stable")
    assert (np.diff(pi[order]) >= -1e-9).all()
    sample = drawn(pi, np.random.default_rng(seed))
    assert len(set(sample.places.tolist())) == sample.places.size == min(rows, len(weights))
    assert sample.probability.tolist() == pi[sample.places].tolist()


def test_rows_are_drawn_as_often_as_is_stated() -> None:
    """Over 4,000 draws each row's share lies within four standard errors of its probability."""
    rng = np.random.default_rng(5)
    pi = chances(rng.exponential(1.0, 50), 12)
    times = np.zeros(50)
    for _ in range(4_000):
        times[drawn(pi, rng).places] += 1
    error = np.sqrt(pi * (1 - pi) / 4_000)
    assert (np.abs(times / 4_000 - pi) <= 4 * error + 1e-9).all()


@pytest.mark.parametrize("kind", ["random", "uncertain", "misleading"])
def test_the_estimate_is_unbiased_and_its_interval_holds(kind: str) -> None:
    """400 samples of 200 from 20,000 rows: the mean is within four standard errors, 92 to 98 % of the 95 % intervals
    hold the truth, also where the weights, and the guess, point the wrong way."""
    rng = np.random.default_rng(17)
    wrong = rng.beta(1.0, 6.0, 20_000)
    loss = (rng.random(20_000) < wrong).astype(float)
    guess = {"random": np.zeros(20_000), "uncertain": wrong, "misleading": 1 - wrong}[kind]
    weights = {"random": np.ones(20_000), "uncertain": wrong, "misleading": 1 - wrong}[kind]
    pi = chances(weights, 200)
    found = []
    for _ in range(400):
        sample = drawn(pi, rng)
        at = sample.places
        found.append(estimated(loss[at], guess[at], sample.probability, 20_000, float(guess.mean())))
    values = np.array([one.value for one in found])
    truth = loss.mean()
    assert abs(values.mean() - truth) <= 4 * values.std() / 20
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.92 <= held <= 0.98


def test_uncertain_rows_tell_more() -> None:
    """With a guess that is worth something and rows drawn by it, the same number of labels gives a narrower interval
    than a random sample alone."""
    rng = np.random.default_rng(23)
    wrong = rng.beta(0.3, 2.0, 20_000)
    loss = (rng.random(20_000) < wrong).astype(float)
    widths = {}
    for name, weights, guess in (
        ("random", np.ones(20_000), np.zeros(20_000)),
        ("uncertain", np.sqrt(wrong * (1 - wrong)), wrong),
    ):
        spans = []
        for _ in range(50):
            sample = drawn(chances(weights, 200), rng)
            at = sample.places
            one = estimated(loss[at], guess[at], sample.probability, 20_000, float(guess.mean()))
            spans.append(one.high - one.low)
        widths[name] = float(np.median(spans))
    assert widths["uncertain"] < 0.85 * widths["random"]


@pytest.mark.parametrize("weights", [[1.0, -1.0, 1.0], [1.0, float("nan"), 2.0], [1.0, float("inf"), 2.0]])
def test_weights_that_mean_nothing_are_refused(weights: list[float]) -> None:
    """Negative, or no number."""
    with pytest.raises(ValueError, match="not negative"):
        chances(weights, 2)


def test_below_two_rows_there_is_no_interval() -> None:
    """One label says nothing of all; all rows labelled say it exactly."""
    assert not estimated([1.0], [0.0], [0.1], 10, 0.0).defined
    whole = estimated([1.0, 0.0], [0.0, 0.0], [1.0, 1.0], 2, 0.0)
    assert (whole.value, whole.low, whole.high) == (0.5, 0.5, 0.5)
