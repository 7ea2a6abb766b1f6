"""How often each interval holds the true value: the figures of the documentation's table, from seeded simulation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats, Measure
from fairlead.stats.performance.maturity import delay_curve
from fairlead.stats.scorecard import (
    decision_metrics,
    multiclass_metrics,
    probabilities_metrics,
    probability_metrics,
    ranking_metrics,
    regression_metrics,
)

TRUTH_ROWS = 400_000
Card = dict[str, Measure]

# What is asked of the intervals that are known to cover less where a class has few rows, or errors have a long tail.
LOWER = {
    ("binary", 100, 0.3): {"auprc": 0.92, "log_loss": 0.92, "brier": 0.92, "cost_per_row": 0.92},
    ("binary", 1_000, 0.3): {"ece": 0.92, "ece_debiased": 0.92},
    ("binary", 100, 0.05): {"auprc": 0.92, "log_loss": 0.9, "brier": 0.91},
    ("binary", 300, 0.05): {"auprc": 0.92, "log_loss": 0.92, "brier": 0.92, "ece": 0.92, "ece_debiased": 0.92},
    ("multiclass", 100, 0.1): {"macro_f1": 0.92, "macro_precision": 0.91, "weighted_precision": 0.92, "log_loss": 0.92},
    ("multiclass", 1_000, 0.1): {"ece": 0.91},
    ("regression", 50, 0.0): {"mae": 0.91, "rmse": 0.84, "mape": 0.93, "r2": 0.86, "quantile_loss": 0.88},
    ("regression", 300, 0.0): {"rmse": 0.9, "r2": 0.92},
}


@pytest.fixture(params=[60, pytest.param(1_000, marks=pytest.mark.slow)])
def runs(request: pytest.FixtureRequest) -> int:
    """Replications: a few in the quick suite, those of the documentation in the slow one."""
    count: int = request.param
    return count


def binary(rng: np.random.Generator, n: int, rate: float) -> tuple[Floats, Floats]:
    """Truth and a score that is too sure of itself: the true probability is flatter than the score."""
    x = rng.normal(np.log(rate / (1 - rate)) - 0.5, 1.2, n)
    return np.asarray(rng.random(n) < expit(0.8 * x), np.float64), np.asarray(expit(x))


def binary_metrics(sample: tuple[Floats, Floats]) -> Card:
    """All binary metrics, decided at 0.3."""
    truth, score = sample
    decided = (score >= 0.3).astype(np.float64)
    return {
        **ranking_metrics(truth, score),
        **decision_metrics(truth, decided),
        **probability_metrics(truth, score),
        "cost_per_row": ours.cost_per_row(truth, decided, {"false_positive": 5, "false_negative": 40}),
    }


def multiclass(rng: np.random.Generator, n: int, rate: float) -> tuple[Floats, Floats]:
    """Truth of three classes, the last of which is rare, and their probabilities."""
    bias = np.log([(1 - rate) * 0.6, (1 - rate) * 0.4, rate])
    logits = rng.normal(0, 1.2, (n, 3)) + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flat = p**0.8 / (p**0.8).sum(axis=1, keepdims=True)
    truth = (rng.random(n)[:, None] > flat.cumsum(axis=1)[:, :2]).sum(axis=1)
    return truth.astype(np.float64), p


def all_multiclass(sample: tuple[Floats, Floats]) -> Card:
    """All metrics of several classes."""
    truth, p = sample
    return {**multiclass_metrics(truth, p.argmax(axis=1), 3), **probabilities_metrics(truth, p)}


def regression(rng: np.random.Generator, n: int, _: float) -> tuple[Floats, Floats]:
    """Values with errors that grow with them: their squares have a long upper tail."""
    mean = rng.lognormal(3, 0.5, n)
    return np.asarray(mean * rng.lognormal(0, 0.25, n)), np.asarray(1.03 * mean)


def all_regression(sample: tuple[Floats, Floats]) -> Card:
    """All metrics of values, and one quantile's loss."""
    return {**regression_metrics(*sample), "quantile_loss": ours.quantile_loss(*sample, 0.8)}


Family = tuple[
    Callable[[np.random.Generator, int, float], tuple[Floats, Floats]], Callable[[tuple[Floats, Floats]], Card]
]
FAMILIES: dict[str, Family] = {
    "binary": (binary, binary_metrics),
    "multiclass": (multiclass, all_multiclass),
    "regression": (regression, all_regression),
}
CASES = [
    ("binary", 100, 0.3),
    ("binary", 1_000, 0.3),
    ("binary", 100, 0.05),
    ("binary", 300, 0.05),
    ("binary", 2_000, 0.05),
    ("multiclass", 100, 0.1),
    ("multiclass", 1_000, 0.1),
    ("regression", 50, 0.0),
    ("regression", 300, 0.0),
    ("regression", 2_000, 0.0),
]


@cache
def true_values(family: str, rate: float) -> dict[str, float]:
    """Every metric of a sample so large that its own error does not matter."""
    draw, card = FAMILIES[family]
    found = card(draw(np.random.default_rng(0), TRUTH_ROWS, rate))
    return {name: one.value for name, one in found.items()}


def covered(case: tuple[str, int, float], runs: int) -> dict[str, tuple[int, int]]:
    """How many intervals of each metric hold the true value, of how many that are defined."""
    family, n, rate = case
    draw, card = FAMILIES[family]
    truth = true_values(family, rate)
    rng = np.random.default_rng(n)
    hits = dict.fromkeys(truth, 0)
    tried = dict.fromkeys(truth, 0)
    for _ in range(runs):
        for name, one in card(draw(rng, n, rate)).items():
            tried[name] += one.defined
            hits[name] += one.low <= truth[name] <= one.high
    return {name: (hits[name], tried[name]) for name in truth}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_intervals_hold_the_true_value(case: tuple[str, int, float], runs: int) -> None:
    """95 % intervals cover with at least 94 %, but for those listed above with what they are asked for instead."""
    lower = LOWER.get(case, {})
    for name, (hits, tried) in covered(case, runs).items():
        assert tried > 0.7 * runs, name
        chance = float(binom.cdf(hits, tried, lower.get(name, 0.94)))
        assert chance > 1e-4, f"{name}: {hits} of {tried}"


@pytest.mark.parametrize("n", [60, 400])
def test_the_delay_curve_holds_the_true_share(n: int, runs: int) -> None:
    """Greenwood's interval of the share known within 5 days, a third of the labels still on their way."""
    rng = np.random.default_rng(n)
    true = 1 - np.exp(-5 / 4)
    hits = 0
    for _ in range(runs):
        delay, age = rng.exponential(4, n), rng.uniform(0, 12, n)
        found = delay_curve(np.minimum(delay, age), delay <= age).within(5.0)
        hits += found.low <= true <= found.high
    assert binom.cdf(hits, runs, 0.94) > 1e-4
