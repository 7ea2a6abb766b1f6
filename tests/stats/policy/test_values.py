from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from msgspec import structs

from fairlead.stats.policy.log import Log, weights
from fairlead.stats.policy.values import Estimator, bernstein, gain, logged_value, value

Check = Callable[[int, int, float], None]
ACTIONS = 5


class World:
    """Binary rewards that depend on a context in {0, 1, 2} and one of five actions; two known stochastic policies."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.rates = rng.uniform(0.05, 0.5, (3, ACTIONS))
        self.old = rng.dirichlet(np.ones(ACTIONS) * 2, 3) * 0.8 + 0.2 / ACTIONS
        self.new = rng.dirichlet(np.ones(ACTIONS), 3)
        self.truth = float((self.new * self.rates).sum(1).mean())
        self.old_truth = float((self.old * self.rates).sum(1).mean())

    def log(self, rng: np.random.Generator, rows: int, model: float = 1.0) -> Log:
        """`model` scales the reward model: 1 is right, anything else is wrong."""
        x = rng.integers(3, size=rows)
        action = (rng.random((rows, 1)) > np.cumsum(self.old, axis=1)[x]).sum(1)
        rewards = (rng.random(rows) < self.rates[x, action]).astype(float)
        guess = self.rates * model
        return Log(
            rewards,
            weights(self.old[x, action], self.new[x, action]),
            guess[x, action],
            (self.new * guess).sum(1)[x],
        )


WORLD = World()


def test_a_policy_is_worth_what_it_earned() -> None:
    """Where both policies are the same every estimator gives the mean reward, and the gain is nothing."""
    rewards = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    log = Log(rewards, np.ones(5), np.full(5, 0.3), np.full(5, 0.3))
    for estimator in Estimator:
        assert value(log, estimator, clip=10.0).value == pytest.approx(0.6)
    for estimator in (Estimator.IPS, Estimator.SNIPS, Estimator.DR):
        assert gain(log, estimator).value == pytest.approx(0.0)
    assert logged_value(log).value == pytest.approx(0.6)


def test_the_interval_of_ips_is_that_of_a_mean() -> None:
    """mean +- 1.96 sd / sqrt(n) of w r; the lower bound uses 1.645."""
    rng = np.random.default_rng(0)
    log = WORLD.log(rng, 500)
    terms = log.weights * log.rewards
    found = value(log, Estimator.IPS)
    error = terms.std(ddof=1) / math.sqrt(500)
    assert found.low == pytest.approx(terms.mean() - 1.9599639845 * error, abs=1e-9)
    assert found.high == pytest.approx(terms.mean() + 1.9599639845 * error, abs=1e-9)
    assert found.lower == pytest.approx(terms.mean() - 1.6448536270 * error, abs=1e-9)


def test_the_bounds_of_maurer_and_pontil_are_their_formula() -> None:
    """Written out once more, both sides at alpha / 2 and one side at alpha."""
    rng = np.random.default_rng(1)
    log = WORLD.log(rng, 800)
    largest = float((WORLD.new / WORLD.old).max())
    terms = log.weights * log.rewards
    found = bernstein(log, largest)

    def half(delta: float) -> float:
        return math.sqrt(2 * terms.var(ddof=1) * math.log(2 / delta) / 800) + 7 * largest * math.log(2 / delta) / 2397

    assert (found.low, found.high) == pytest.approx((terms.mean() - half(0.025), terms.mean() + half(0.025)))
    assert found.lower == pytest.approx(terms.mean() - half(0.05))


def test_clipping_says_what_it_took() -> None:
    """The stated bias is the difference to IPS on the same rows."""
    log = WORLD.log(np.random.default_rng(2), 2_000)
    clipped = value(log, Estimator.CLIPPED, clip=1.5)
    assert clipped.bias is not None
    assert clipped.bias < 0
    assert clipped.value - clipped.bias == pytest.approx(value(log, Estimator.IPS).value)


def test_rows_of_a_unit_count_once() -> None:
    """Each row four times, told as one unit: the same value and the same interval; taken singly, half as wide."""
    log = WORLD.log(np.random.default_rng(4), 400)
    four = Log(np.repeat(log.rewards, 4), np.repeat(log.weights, 4))
    together = structs.replace(four, units=np.repeat(np.arange(400), 4))
    one, tied, loose = (value(each, Estimator.SNIPS) for each in (log, together, four))
    assert (tied.value, tied.low) == pytest.approx((one.value, one.low))
    assert (loose.high - loose.low) / (one.high - one.low) == pytest.approx(0.5, abs=0.01)
    wide, narrow = (bernstein(each, 10.0) for each in (together, log))
    assert (wide.value, wide.low) == pytest.approx((narrow.value, narrow.low))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda log: value(structs.replace(log, weights=np.zeros(4)), Estimator.SNIPS), "every weight is 0"),
        (lambda log: value(log, Estimator.CLIPPED), "needs a clip"),
        (lambda log: value(log, Estimator.SWITCH, clip=-1.0), "needs a clip"),
        (lambda log: value(log, Estimator.DR), "needs a reward model"),
        (lambda log: value(log, Estimator.IPS, alpha=2.0), "alpha is 2"),
        (lambda log: value(Log(np.ones(1), np.ones(1)), Estimator.IPS), "one unit"),
        (lambda log: bernstein(Log(np.ones(1), np.ones(1)), 1.0), "one unit"),
        (lambda log: bernstein(log, math.inf), "the bound must be known"),
        (lambda log: bernstein(log, 2.0, rewards=(0.0, 0.5)), "outside 0 to 0.5"),
    ],
)
def test_impossible_questions_are_refused(call: Callable[[Log], object], said: str) -> None:
    """Each with what is missing."""
    with pytest.raises(ValueError, match=said):
        call(Log(np.array([0.0, 1.0, 1.0, 0.0]), np.ones(4)))


ESTIMATORS = [
    (Estimator.IPS, 1.0),
    (Estimator.SNIPS, 1.0),
    (Estimator.DR, 1.0),
    (Estimator.DR, 0.5),
    (Estimator.SWITCH, 1.0),
]


@pytest.mark.parametrize("runs", [400, pytest.param(6_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("estimator", "model"), ESTIMATORS)
def test_intervals_cover_the_value_of_the_new_policy(
    estimator: Estimator, model: float, runs: int, at_least: Check
) -> None:
    """1,000 rows: the interval, the interval of the gain and the one-sided bound hold in 94.5 % or more; DR with a
    wrong model too, as its propensities are right."""
    rng = np.random.default_rng(7)
    hits = np.zeros(3, dtype=int)
    for _ in range(runs):
        log = WORLD.log(rng, 1_000, model)
        found, more = value(log, estimator, clip=2.0), gain(log, estimator, clip=2.0)
        hits += [
            found.low <= WORLD.truth <= found.high,
            found.lower <= WORLD.truth,
            more.low <= WORLD.truth - WORLD.old_truth <= more.high,
        ]
    for count in hits.tolist():
        at_least(count, runs, 0.945)


@pytest.mark.parametrize("runs", [400, pytest.param(6_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rows", [20, 200])
def test_the_empirical_bernstein_bounds_hold_at_any_size(rows: int, runs: int, at_least: Check) -> None:
    """Twenty rows with a weight of 10 in one of ten: they hold in 95 % or more; the normal interval does not."""
    rng = np.random.default_rng(8)
    exact = normal = 0
    for _ in range(runs):
        chosen = rng.random(rows) < 0.1
        log = Log((rng.random(rows) < 0.2).astype(float), np.where(chosen, 10.0, 0.0))
        found = bernstein(log, 10.0)
        exact += found.low <= 0.2 <= found.high and found.lower <= 0.2
        plain = value(log, Estimator.IPS)
        normal += plain.low <= 0.2 <= plain.high
    at_least(exact, runs, 0.95)
    assert normal < 0.94 * runs


def test_a_good_model_and_self_normalisation_shorten_the_interval() -> None:
    """On the same rows DR is shorter than IPS."""
    log = WORLD.log(np.random.default_rng(9), 4_000)
    wide, doubly = (value(log, estimator) for estimator in (Estimator.IPS, Estimator.DR))
    assert doubly.high - doubly.low < 0.95 * (wide.high - wide.low)
