from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from fairlead.adapters.boosting import cross_fit
from fairlead.stats.multivariate.classifier import Scores, discriminate, mann_whitney
from fairlead.stats.multivariate.evidence import Evidence, Suspect

Within = Callable[[int, int, float], None]


def dealt(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Sides, and folds that share each evenly."""
    side = np.arange(n + m) >= n
    return side, np.concatenate([np.arange(n) % 5, np.arange(m) % 5])


def boosted(x: np.ndarray, y: np.ndarray, seed: int) -> Evidence:
    """The real thing: gradient boosting, cross-fitted and forward."""
    features, side = np.vstack([x, y]), np.arange(len(x) + len(y)) >= len(x)
    made = cross_fit(features, side, task="binary", seed=seed)
    return discriminate(Scores(side, made.folds, made.predictions, made.forward(features, side)))


def test_auroc_and_its_variance_are_the_textbooks() -> None:
    """AUROC is scikit-learn's, ties included; the variance is DeLong's placement by placement."""
    rng = np.random.default_rng(0)
    scores, side = rng.integers(0, 8, 60).astype(float), np.arange(60) < 25
    value, variance = mann_whitney(scores, side)
    assert value == pytest.approx(roc_auc_score(side, scores), abs=1e-12)
    gaps = scores[side][:, None] - scores[~side][None, :]
    wins = (gaps > 0) + 0.5 * (gaps == 0)
    expected = wins.mean(axis=1).var(ddof=1) / 25 + wins.mean(axis=0).var(ddof=1) / 35
    assert variance == pytest.approx(expected, abs=1e-12)


def test_one_forward_fold_is_a_rank_sum_test() -> None:
    """With two folds the p-value is scipy's one-sided Mann-Whitney of the second, ties included."""
    rng = np.random.default_rng(1)
    side, folds = np.arange(80) % 2 == 0, (np.arange(80) >= 40).astype(np.int64)
    scores = rng.integers(0, 10, 80).astype(float) + side
    found = discriminate(Scores(side, folds, scores, np.where(folds == 0, np.nan, scores)))
    last = folds == 1
    exact = stats.mannwhitneyu(
        scores[last & side], scores[last & ~side], alternative="greater", method="asymptotic", use_continuity=False
    )
    assert found.p_value == pytest.approx(exact.pvalue, rel=1e-9)


def test_scores_that_say_nothing_are_no_evidence() -> None:
    """A constant: AUROC 0.5, p = 1, and nothing could have been seen."""
    side, folds = dealt(50, 50)
    flat = np.full(100, 0.3)
    found = discriminate(Scores(side, folds, flat, flat))
    assert (found.effect, found.p_value, found.detectable) == (0.5, 1.0, 1.0)


def test_perfect_scores_are_beyond_doubt() -> None:
    """AUROC 1, a p-value far below 1 %, and the suspects that were handed in."""
    side, folds = dealt(100, 80)
    named = (Suspect("age", 0.4),)
    found = discriminate(Scores(side, folds, side.astype(float), side.astype(float)), suspects=named)
    assert (found.effect, found.low, found.high, found.suspects) == (1.0, 1.0, 1.0, named)
    assert found.p_value < 1e-20


def test_what_makes_no_sense_is_refused() -> None:
    """Shapes, folds without both sides, missing scores and impossible levels."""
    side, folds = dealt(50, 50)
    good = np.arange(100.0)
    with pytest.raises(ValueError, match="pass one of each for every row"):
        discriminate(Scores(side, folds, good[:-1], good))
    with pytest.raises(ValueError, match="no fold after the first"):
        discriminate(Scores(side, side.astype(np.int64), good, good))
    with pytest.raises(ValueError, match="a score is missing"):
        discriminate(Scores(side, folds, good, np.where(folds == 2, np.nan, good)))
    with pytest.raises(ValueError, match="alpha is 0"):
        discriminate(Scores(side, folds, good, good), alpha=0.0)


def linear(x: np.ndarray, side: np.ndarray, folds: np.ndarray, *, forward: bool) -> np.ndarray:
    """Scores along the difference of means of the other folds, or of the earlier ones."""
    found = np.full(len(x), np.nan)
    for fold in range(int(forward), 5):
        fitted = folds < fold if forward else folds != fold
        axis = x[fitted & side].mean(axis=0) - x[fitted & ~side].mean(axis=0)
        found[folds == fold] = x[folds == fold] @ axis
    return found


def test_the_worst_known_discriminator_keeps_alpha(within: Within) -> None:
    """Along the difference of means, whose cross-fitted scores alone would give twice the false alarms.

    The naive test, cross-fitted AUROCs as if independent, is run beside it: it is what the forward scores avoid.
    """
    rng = np.random.default_rng(2)
    runs, naive, alarms, covered = 400, 0, 0, 0
    for _ in range(runs):
        x = rng.normal(size=(200, 10))
        side, folds = dealt(100, 100)
        crossed = linear(x, side, folds, forward=False)
        found = discriminate(Scores(side, folds, crossed, linear(x, side, folds, forward=True)))
        alarms += found.p_value <= 0.05
        covered += (found.low or 0.0) <= 0.5 <= (found.high or 1.0)
        naive += (found.effect - 0.5) / ((found.high or 1.0) - found.effect) * 1.96 * 2**0.5 > 1.645
    within(alarms, runs, 0.05)
    within(runs - covered, runs, 0.05)
    assert naive > 29  # nominal: 20


@pytest.mark.parametrize(("n", "m", "runs"), [(80, 70, 8)])
def test_boosting_keeps_alpha(n: int, m: int, runs: int, within: Within) -> None:
    """The real classifier without a change: a fast look at 5 %."""
    rng = np.random.default_rng(n)
    alarms = sum(
        boosted(rng.normal(size=(n, 4)), rng.normal(size=(m, 4)), seed).p_value <= 0.05 for seed in range(runs)
    )
    within(alarms, runs, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "runs"), [(60, 60, 200), (200, 100, 80), (700, 700, 20)])
def test_boosting_keeps_alpha_in_many_runs(n: int, m: int, runs: int, within: Within) -> None:
    """The real classifier without a change: p <= 5 % at most that often, and 95 % intervals that hold 0.5."""
    rng = np.random.default_rng(n)
    found = [boosted(rng.lognormal(size=(n, 4)), rng.lognormal(size=(m, 4)), seed) for seed in range(runs)]
    within(sum(one.p_value <= 0.05 for one in found), runs, 0.05)
    within(sum(not (one.low or 0.0) <= 0.5 <= (one.high or 1.0) for one in found), runs, 0.05)


def test_a_shift_and_a_change_of_dependence_are_found() -> None:
    """At 400 rows a shift of 0.8 deviations in one column, at 1,000 a correlation of 0.8 between two that had none."""
    rng = np.random.default_rng(0)
    moved = boosted(rng.normal(size=(400, 3)), rng.normal(loc=[0.8, 0, 0], size=(400, 3)), 0)
    tied = boosted(rng.normal(size=(1_000, 2)), rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 1_000), 0)
    assert max(moved.p_value, tied.p_value) < 1e-4
    assert min(moved.effect, tied.effect) > 0.6
