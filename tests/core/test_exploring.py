"""Decisions that chance takes: the chance of each is known, so that what others would have earned can be told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.exploring import Draws, chance_of, draws_of
from fairlead.core.route import place
from fairlead.stats.policy.log import Log
from fairlead.stats.policy.values import Estimator, Floats, value

SHARES = st.floats(0.001, 0.5)
SCORES = st.floats(0.0, 1.0)


@given(SHARES, SCORES, SCORES, SCORES, st.integers(2, 9))
def test_the_chances_of_all_decisions_add_up_to_one(
    share: float, low: float, high: float, score: float, classes: int
) -> None:
    """At every score, in the band and beyond it."""
    draws = Draws(share, low, high)
    mine = chance_of(draws, score, classes, as_decided=True)
    other = chance_of(draws, score, classes, as_decided=False)
    assert mine + (classes - 1) * other == pytest.approx(1.0)
    assert mine > other


@given(SHARES, SCORES, SCORES)
def test_a_tag_is_read_as_it_was_written(share: float, low: float, high: float) -> None:
    """To the last digit."""
    draws = Draws(share, low, high)
    assert draws_of(draws.tag) == draws


@given(st.text(max_size=30))
def test_no_other_salt_is_taken_for_one(text: str) -> None:
    """A rollout's id, whatever it is."""
    found = draws_of(text)
    assert found is None or text.startswith("draws:")


def test_nothing_is_drawn_of_an_answer_without_a_score() -> None:
    """A default that stood in."""
    assert not Draws(0.5).among(None)


# -- what it is for: a lender learns of those it lends to, and of nobody else ------------------------------------------

DRAWS = Draws(0.1, 0.2, 0.6)
GAIN, LOSS = 1.0, -1.5  # of a loan that is paid back, of one that is not; who is refused pays nothing


class Lending(NamedTuple):
    """A log of a lender: rewards, chances of the logged decisions, whether the other policy decides so too, and what a
    model says of the logged and of the other policy's decision; the truth of what it would have earned."""

    rewards: Floats
    chance: Floats
    target: Floats
    predicted: Floats
    expected: Floats
    truth: float


def lending(rng: np.random.Generator, rows: int, salt: str) -> Lending:
    """A lender that refuses from a score of 0.35 on, and a challenger that does from 0.5: below 0.6 it would pay. The
    lender's own score says too much risk (it was trained on accepted ones), and the decision to lend decides whether
    anything is learnt."""
    score = rng.uniform(0.0, 1.0, rows)
    defaults = rng.random(rows) < 0.8 * score**1.5
    own, other = score < 0.35, score < 0.5  # lends
    at = np.array([place(salt, f"r{number}") for number in range(rows)])
    drawn = (at < DRAWS.share) & (score >= DRAWS.low) & (score <= DRAWS.high)
    lends = np.where(drawn, (at / DRAWS.share * 2).astype(int) == 1, own)
    worth = np.where(defaults, LOSS, GAIN)
    chance = np.array(
        [chance_of(DRAWS, one, 2, as_decided=same) for one, same in zip(score, lends == own, strict=True)]
    )
    guess = GAIN + (LOSS - GAIN) * 0.5 * score  # a poor model of the reward
    mean = GAIN + (LOSS - GAIN) * 0.8 * score**1.5
    return Lending(
        np.where(lends, worth, 0.0),
        chance,
        (lends == other).astype(float),
        np.where(lends, guess, 0.0),
        np.where(other, guess, 0.0),
        float(np.where(other, mean, 0.0).mean()),
    )


def read(world: Lending, estimator: Estimator) -> tuple[float, bool]:
    """The estimate's error against what the challenger would have earned on these rows, and whether it is inside."""
    models = (world.predicted, world.expected) if estimator is Estimator.DR else (None, None)
    found = value(Log(world.rewards, world.target / world.chance, *models), estimator)
    return found.value - world.truth, found.low <= world.truth <= found.high


@pytest.mark.parametrize("estimator", [Estimator.IPS, Estimator.SNIPS, Estimator.DR])
def test_a_challenger_of_a_lender_is_valued_without_bias(estimator: Estimator) -> None:
    """Of 60 logs of 4,000 applications the mean error is within its own chance of 0, and about 95 % of the intervals
    hold; the mean of what both decide alike is off beyond chance."""
    rng = np.random.default_rng(11)
    worlds = [lending(rng, 4_000, f"s{number}") for number in range(60)]
    errors, inside = zip(*(read(world, estimator) for world in worlds), strict=True)
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(60)
    assert sum(inside) >= 52
    naive = [float(world.rewards[world.target == 1.0].mean()) - world.truth for world in worlds]
    assert abs(np.mean(naive)) > 3.5 * np.std(naive) / np.sqrt(60)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [Estimator.IPS, Estimator.DR])
def test_the_interval_holds_as_often_as_it_says(estimator: Estimator) -> None:
    """93 to 98 % of 1,500 logs of 2,000 applications; the mean error is within 3.5 standard errors of 0."""
    rng = np.random.default_rng(12)
    seen = [read(lending(rng, 2_000, f"l{number}"), estimator) for number in range(1_500)]
    errors = np.array([one for one, _ in seen])
    assert 0.93 <= np.mean([inside for _, inside in seen]) <= 0.985
    assert abs(errors.mean()) < 3.5 * errors.std() / np.sqrt(errors.size)


def test_without_draws_the_log_says_nothing_of_it() -> None:
    """Nobody between the two thresholds ever got a loan: the logged decisions that the challenger shares leave out all
    that it would decide otherwise, and weights that claim otherwise are biased."""
    rng = np.random.default_rng(13)
    score = rng.uniform(0.0, 1.0, 20_000)
    own, other = score < 0.35, score < 0.5
    worth = np.where(rng.random(score.size) < 0.8 * score**1.5, LOSS, GAIN)
    found = value(Log(np.where(own, worth, 0.0), (own == other).astype(float)), Estimator.IPS)
    truth = float(np.where(other, GAIN + (LOSS - GAIN) * 0.8 * score**1.5, 0.0).mean())
    assert not found.low <= truth <= found.high
