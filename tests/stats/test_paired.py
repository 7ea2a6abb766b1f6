"""Two models on the same rows."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.stats.paired import auroc_difference, loss_difference
from fairlead.stats.performance import auroc

Floats = NDArray[np.float64]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    """Truths with both classes twice at least, and two scores with ties."""
    extra = draw(st.lists(st.integers(0, 1), max_size=30))
    truth = np.array([0, 0, 1, 1, *extra], np.float64)
    score = st.lists(st.integers(0, 6), min_size=truth.size, max_size=truth.size)
    return truth, np.array(draw(score), np.float64), np.array(draw(score), np.float64)


@given(scored())
def test_the_difference_is_that_of_the_two_areas(rows: tuple[Floats, Floats, Floats]) -> None:
    """The value is AUROC minus AUROC, ties counted half, inside its interval."""
    truth, score, other = rows
    found = auroc_difference(truth, score, other)
    assert found.value == pytest.approx(auroc(truth, score) - auroc(truth, other), abs=1e-12)
    assert found.low <= found.value <= found.high


@given(scored())
def test_swapping_the_models_turns_the_interval_round(rows: tuple[Floats, Floats, Floats]) -> None:
    """A gain of one is the loss of the other."""
    truth, score, other = rows
    there, back = auroc_difference(truth, score, other), auroc_difference(truth, other, score)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)


@given(scored())
def test_a_model_does_not_differ_from_itself(rows: tuple[Floats, Floats, Floats]) -> None:
    """Pairing leaves no noise between equal scores: the interval is a point."""
    truth, score, _ = rows
    found = auroc_difference(truth, score, 2 * score + 1)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


@given(scored())
def test_the_variance_is_delongs(rows: tuple[Floats, Floats, Floats]) -> None:
    """Placements by rank agree with the definition, pair by pair."""
    truth, score, other = rows

    def placements(values: Floats) -> tuple[Floats, Floats]:
        high, low = values[truth == 1], values[truth == 0]
        wins = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
        return wins.mean(axis=1), wins.mean(axis=0)

    (over, under), (other_over, other_under) = placements(score), placements(other)
    variance = (over - other_over).var(ddof=1) / over.size + (under - other_under).var(ddof=1) / under.size
    found = auroc_difference(truth, score, other)
    assert (found.high - found.low) / 2 == pytest.approx(1.959963984540054 * np.sqrt(variance), abs=1e-9)


def test_the_interval_agrees_with_a_paired_bootstrap() -> None:
    """On rows of the size of a held-out set, DeLong's interval is the bootstrap's, to a fifth of its width."""
    rng = np.random.default_rng(3)
    truth = (rng.random(800) < 0.4).astype(float)
    shared = rng.normal(size=800)
    score = 1.2 * truth + shared + 0.5 * rng.normal(size=800)
    other = 0.9 * truth + shared + 0.5 * rng.normal(size=800)
    draws = []
    for _ in range(400):
        picked = rng.integers(0, 800, 800)
        draws.append(auroc(truth[picked], score[picked]) - auroc(truth[picked], other[picked]))
    found = auroc_difference(truth, score, other)
    width = found.high - found.low
    assert found.low == pytest.approx(np.quantile(draws, 0.025), abs=0.2 * width)
    assert found.high == pytest.approx(np.quantile(draws, 0.975), abs=0.2 * width)


@pytest.mark.slow
def test_the_interval_covers_as_often_as_it_says() -> None:
    """Two equally good models: the 95 % interval holds 0 in 95 % of 2,000 samples, within 3 standard errors."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(2000):
        truth = np.repeat([0.0, 1.0], 150)
        shared = rng.normal(size=300)
        one, two = (truth + shared + rng.normal(size=300) for _ in range(2))
        found = auroc_difference(truth, one, two)
        covered += found.low <= 0.0 <= found.high
    assert covered / 2000 == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 2000))


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1], [0, 0, 1], [], [1, 0]])
def test_too_few_of_a_class_have_no_difference(truth: list[float]) -> None:
    """Without two rows of each class there is no variance, and no interval is made up."""
    assert isnan(auroc_difference(truth, np.arange(len(truth)), np.arange(len(truth))).value)


def test_the_lower_loss_gains() -> None:
    """The gain is the other's loss minus one's own, with the interval of a paired mean."""
    found = loss_difference([1.0, 1.0, 2.0, 2.0], [2.0, 1.0, 3.0, 2.0])
    assert found.value == 0.5
    assert found.high - found.value == pytest.approx(1.959963984540054 * np.sqrt((1 / 3) / 4))
    assert isnan(loss_difference([1.0], [2.0]).value)
