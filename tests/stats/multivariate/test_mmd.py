from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics.pairwise import rbf_kernel

from fairlead.stats.multivariate.evidence import Evidence
from fairlead.stats.multivariate.fourier import compare_sketches, fourier_basis
from fairlead.stats.multivariate.mmd import bandwidth, mmd

Within = Callable[[int, int, float], None]


def found(x: np.ndarray, y: np.ndarray, seed: int = 0, permutations: int = 99) -> Evidence:
    return mmd(x, y, np.random.default_rng(seed), permutations=permutations)


def by_definition(x: np.ndarray, y: np.ndarray, width: float) -> float:
    """The U-statistic, term by term, from scikit-learn's kernel."""
    n, m = len(x), len(y)
    kernel = rbf_kernel(np.vstack([x, y]), gamma=0.5 / width**2)
    xx, yy, xy = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    inner = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(inner - 2 * xy.mean())


@pytest.mark.parametrize(("n", "m"), [(2, 2), (30, 20), (700, 400), (600, 2_000)])
def test_the_statistic_is_its_definition(n: int, m: int) -> None:
    """Tile by tile, with float32 tiles, the estimate is the textbook's to 1e-7; so is its bandwidth."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, 4)), rng.normal(0.3, 1.2, (m, 4))
    pooled = np.vstack([x, y])
    width = bandwidth(pooled - pooled.mean(axis=0), np.random.default_rng(0))
    if n + m <= 1_000:
        assert width == pytest.approx(float(np.median(pdist(pooled) ** 2)) ** 0.5, rel=1e-9)
    assert found(x, y).statistic == pytest.approx(by_definition(x, y, width), abs=1e-7)


def test_far_rows_are_computed_in_double_precision() -> None:
    """Two clusters a million bandwidths from the rest, and a unit apart, are told apart."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    x[0], x[1], y[0] = (3e4, 0.0), (3e4, 1.0), (3e4, 5.0)
    pooled = np.vstack([x, y])
    width = float(np.median(pdist(pooled) ** 2)) ** 0.5
    assert found(x, y).statistic == pytest.approx(by_definition(x, y, width), abs=1e-7)


def test_the_p_value_is_that_of_all_splits_of_a_small_sample() -> None:
    """Against every one of the 70 splits of 4 + 4 rows, scored by definition."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(4, 2)), rng.normal(1.0, 1.0, (4, 2))
    pooled = np.vstack([x, y])
    width = float(np.median(pdist(pooled) ** 2)) ** 0.5
    scores = []
    for chosen in combinations(range(8), 4):
        inside = np.isin(np.arange(8), chosen)
        scores.append(by_definition(pooled[inside], pooled[~inside], width))
    exact = float(np.mean(np.array(scores) >= by_definition(x, y, width) - 1e-12))
    assert found(x, y, permutations=20_000).p_value == pytest.approx(exact, abs=0.015)


def test_the_order_of_rows_and_the_units_do_not_matter() -> None:
    """Neither the order of rows on a side, nor a shift, nor a scale changes the estimate."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.normal(0.2, 1.0, (200, 3))
    base = found(x, y).statistic
    assert found(rng.permutation(x), y).statistic == pytest.approx(base, abs=1e-7)
    assert found(1e6 + 1e3 * x, 1e6 + 1e3 * y).statistic == pytest.approx(base, abs=1e-6)
    assert found(y, x).statistic == pytest.approx(base, abs=1e-7)


def test_the_same_seed_gives_the_same_evidence() -> None:
    """Only the generator is random; the statistic does not depend on how many permutations follow."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1_500, 3)), rng.normal(size=(900, 3))
    assert found(x, y) == found(x, y)
    assert found(x, y).statistic == pytest.approx(found(x, y, permutations=20).statistic, abs=1e-9)


def test_rows_that_are_all_equal_are_at_no_distance() -> None:
    """One constant, or mostly one, has an estimate and a p-value of 1."""
    same = found(np.ones((20, 3)), np.ones((30, 3)))
    assert (same.statistic, same.effect, same.p_value, same.detectable) == (0.0, 0.0, 1.0, 0.0)
    mostly = np.zeros((50, 1))
    mostly[0] = 1.0
    assert found(mostly, mostly).p_value > 0.3
    assert found(np.zeros((50, 1)), np.ones((50, 1))).p_value == 0.01


def test_what_cannot_be_compared_is_refused() -> None:
    """Shapes, single rows, missing, infinite and absurd values, and arguments out of range each say what to do."""
    x, rng = np.ones((5, 2)), np.random.default_rng(0)
    for other, message in (
        (np.ones((5, 3)), "pass"),
        (np.ones(5), "pass"),
        (np.ones((1, 2)), "needs 2 of both"),
        (np.full((5, 2), np.nan), "missing, infinite"),
        (np.full((5, 2), np.inf), "missing, infinite"),
        (np.full((5, 2), 1e200), "beyond 1e"),
    ):
        with pytest.raises(ValueError, match=message):
            mmd(x, other, rng)
    with pytest.raises(ValueError, match="0 permutations"):
        mmd(x, x, rng, permutations=0)
    with pytest.raises(ValueError, match="alpha"):
        mmd(x, x, rng, alpha=1.0)


def test_too_few_permutations_for_alpha_could_show_nothing() -> None:
    """With 50 permutations no p-value is below 1 / 51, so nothing is detectable at 1 %."""
    rng = np.random.default_rng(0)
    assert found(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)), permutations=50).detectable == float("inf")


@pytest.mark.parametrize(("n", "m", "d"), [(10, 15, 1), (50, 50, 5), (100, 30, 20)])
def test_false_alarms_stay_within_alpha(n: int, m: int, d: int, within: Within) -> None:
    """Heavy-tailed rows without a change: p <= 5 % and p <= 1 % at most that often, at sizes down to 10 rows."""
    rng = np.random.default_rng(n)
    runs = 400
    p = [found(rng.standard_t(2, (n, d)), rng.standard_t(2, (m, d)), seed).p_value for seed in range(runs)]
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(50, 50), (300, 300), (1_000, 200)])
def test_false_alarms_stay_within_alpha_in_many_runs(n: int, m: int, within: Within) -> None:
    """The same in 2,000 runs of five columns."""
    rng = np.random.default_rng(n)
    runs = 2_000 if n < 1_000 else 500
    p = [found(rng.lognormal(size=(n, 5)), rng.lognormal(size=(m, 5)), seed).p_value for seed in range(runs)]
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)


def test_a_shift_and_a_change_of_dependence_are_found() -> None:
    """Half a deviation in one of five columns, and a correlation of 0.7 between two that had none, at 500 rows."""
    rng = np.random.default_rng(0)
    tied = np.array([[1.0, 0.7], [0.7, 1.0]])
    shifted = dependent = 0
    for seed in range(10):
        x = rng.normal(size=(500, 5))
        shifted += found(x, rng.normal(loc=[0.5, 0, 0, 0, 0], size=(500, 5)), seed, 199).p_value <= 0.01
        dependent += found(x[:, :2], rng.multivariate_normal(np.zeros(2), tied, 500), seed, 199).p_value <= 0.01
    assert shifted >= 9
    assert dependent >= 9


def test_the_detectable_effect_is_found_as_often_as_promised() -> None:
    """A shift of the size named as detectable is seen in at least 80 % of samples, up to chance."""
    rng = np.random.default_rng(5)
    n, runs = 150, 80
    null = [mmd(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng, permutations=500).detectable for _ in range(5)]
    basis = fourier_basis(rng.normal(size=(1_000, 3)), rng, 64)
    still = basis.sketch(rng.normal(size=(20_000, 3)))
    steps = np.linspace(0.2, 0.8, 7)
    moved = [basis.sketch(rng.normal(loc=[step, 0.0, 0.0], size=(20_000, 3))) for step in steps]
    effects = [compare_sketches(still, one).effect for one in moved]
    step = float(np.interp(float(np.median(null)), effects, steps))  # the shift whose true effect that is
    hits = 0
    for seed in range(runs):
        y = rng.normal(loc=[step, 0.0, 0.0], size=(n, 3))
        hits += found(rng.normal(size=(n, 3)), y, seed, 500).p_value <= 0.01
    assert hits >= 52  # fewer come of a power of 80 % once in a thousand


def test_distances_are_those_of_the_pooled_rows() -> None:
    """The bandwidth of more than 1,000 rows is that of a sample, close to the whole's."""
    rows = np.random.default_rng(0).normal(size=(2_000, 3))
    whole = float(np.median(squareform(pdist(rows))[np.triu_indices(2_000, 1)]))
    assert bandwidth(rows, np.random.default_rng(1)) == pytest.approx(whole, rel=0.03)
