from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics.pairwise import rbf_kernel

from fairlead.stats.multivariate.fourier import (
    FourierBasis,
    FourierSketch,
    compare_sketches,
    fourier_basis,
    fourier_mmd,
)
from fairlead.stats.multivariate.mmd import bandwidth, mmd

Within = Callable[[int, int, float], None]


def basis(frequencies: int = 16, d: int = 3) -> FourierBasis:
    rng = np.random.default_rng(0)
    return fourier_basis(rng.normal(size=(200, d)), rng, frequencies)


def equal(one: FourierSketch, two: FourierSketch) -> bool:
    close = np.allclose(one.total, two.total, atol=1e-4) and np.allclose(one.products, two.products, atol=1e-4)
    return one.rows == two.rows and close


sizes = st.integers(0, 40)


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, sizes, st.integers(0, 2**32 - 1))
def test_sketches_add_up_in_any_order(a: int, b: int, c: int, seed: int) -> None:
    """Counts exactly, sums up to rounding: the parts' sketches are the whole's, associatively and commutatively."""
    rng, on = np.random.default_rng(seed), basis()
    rows = rng.normal(size=(a + b + c, 3))
    one, two, three = (on.sketch(part) for part in np.split(rows, [a, a + b]))
    assert equal(one + two + three, on.sketch(rows))
    assert equal((one + two) + three, one + (two + three))
    assert np.array_equal((one + two).products, (two + one).products)
    assert np.array_equal((one + two).total, (two + one).total)


def test_a_sketch_in_chunks_is_one_of_the_whole() -> None:
    """More rows than a chunk holds: against one multiplication of all features."""
    rows = np.random.default_rng(1).normal(size=(9_000, 3))
    on = basis()
    features = on.features(rows).astype(np.float64)
    found = on.sketch(rows)
    assert np.allclose(found.total, features.sum(axis=0), atol=1e-3)
    assert np.allclose(found.products, features.T @ features, atol=1e-2)
    assert np.allclose((features**2).sum(axis=1), 1.0, atol=1e-5)


def test_features_multiply_to_the_kernel() -> None:
    """With 20,000 frequencies phi(a)' phi(b) is exp(-|a - b|^2 / (2 s^2)) within 0.03."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 4))
    width = bandwidth(rows - rows.mean(axis=0), rng)
    features = fourier_basis(rows, np.random.default_rng(1), 20_000).features(rows)
    assert np.abs(features @ features.T - rbf_kernel(rows, gamma=0.5 / width**2)).max() < 0.03


def test_the_estimate_is_unbiased_and_near_the_exact_one() -> None:
    """The linear-time estimate is the U-statistic of its own kernel to 1e-6, and the exact one's within a tenth."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(1_500, 3)), rng.normal(0.3, 1.0, (1_500, 3))
    on = fourier_basis(x, np.random.default_rng(0), 256)
    kernel = np.vstack([on.features(x), on.features(y)]).astype(np.float64)
    kernel = kernel @ kernel.T
    inner = [
        (part.sum() - np.trace(part)) / (1_500 * 1_499) for part in (kernel[:1_500, :1_500], kernel[1_500:, 1_500:])
    ]
    found = compare_sketches(on.sketch(x), on.sketch(y))
    assert found.statistic == pytest.approx(sum(inner) - 2 * kernel[:1_500, 1_500:].mean(), abs=1e-6)
    assert found.effect == pytest.approx(mmd(x, y, np.random.default_rng(0), permutations=1).effect, rel=0.1)


def test_memory_of_a_sketch_does_not_depend_on_the_rows() -> None:
    """Two numbers' worth of state for each pair of features, whatever was seen."""
    on = basis()
    assert on.sketch(np.zeros((10, 3))).products.nbytes == on.sketch(np.zeros((10_000, 3))).products.nbytes


@pytest.mark.parametrize(("n", "m"), [(600, 600)])
def test_false_alarms_stay_within_alpha(n: int, m: int, within: Within) -> None:
    """Without a change p <= 5 % and p <= 1 % at most that often, from 500 rows of the smaller side."""
    rng = np.random.default_rng(n + m)
    runs, p = 100, []
    for _ in range(runs):
        x, y = rng.standard_t(3, (n, 3)), rng.standard_t(3, (m, 3))
        on = fourier_basis(x, rng, 16)
        p.append(compare_sketches(on.sketch(x), on.sketch(y)).p_value)
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "frequencies"), [(2_000, 2_000, 64), (2_000, 500, 64), (6_000, 6_000, 256)])
def test_false_alarms_stay_within_alpha_in_many_runs(n: int, m: int, frequencies: int, within: Within) -> None:
    """The same in more runs, with skewed columns of which one is constant, and at the full number of frequencies."""
    rng = np.random.default_rng(n + m)
    runs, p = 300 if frequencies == 64 else 50, []
    for _ in range(runs):
        x, y = (np.column_stack([rng.lognormal(size=(rows, 4)), np.ones(rows)]) for rows in (n, m))
        on = fourier_basis(x, rng, frequencies)
        p.append(compare_sketches(on.sketch(x), on.sketch(y)).p_value)
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)
    assert stats.kstest(p, "uniform", alternative="less").statistic < 0.2  # and they are not all 1 either


def test_a_shift_and_a_change_of_dependence_are_found() -> None:
    """A tenth of a deviation in each column, and a correlation of 0.4 between two that had none, at 6,000 rows."""
    rng = np.random.default_rng(0)
    tied = np.array([[1.0, 0.4, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for seed in range(3):
        x = rng.normal(size=(6_000, 3))
        assert fourier_mmd(x, x[:3_000] + 0.1, np.random.default_rng(seed)).p_value < 1e-3
        moved = rng.multivariate_normal(np.zeros(3), tied, 6_000)
        assert fourier_mmd(x, moved, np.random.default_rng(seed)).p_value < 0.01


def test_the_detectable_effect_is_found_as_often_as_promised() -> None:
    """A shift of the size named as detectable is seen in at least 80 % of samples, up to chance."""
    rng = np.random.default_rng(4)
    on = basis(32)

    def draw(rows: int, step: float) -> FourierSketch:
        return on.sketch(rng.normal(loc=[step, 0.0, 0.0], size=(rows, 3)))

    named = compare_sketches(draw(1_000, 0.0), draw(1_000, 0.0)).detectable
    steps = np.linspace(0.05, 0.4, 8)
    still = draw(50_000, 0.0)
    effects = [compare_sketches(still, draw(50_000, step)).effect for step in steps.tolist()]
    step = float(np.interp(named, effects, steps))
    hits = sum(compare_sketches(draw(1_000, 0.0), draw(1_000, step)).p_value <= 0.01 for _ in range(80))
    assert hits >= 52  # fewer come of a power of 80 % once in a thousand


def test_what_cannot_be_compared_is_refused() -> None:
    """Sketches of other bases, single rows, and arguments out of range each say what to do."""
    on, rng = basis(), np.random.default_rng(0)
    one = on.sketch(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="use one basis"):
        one + basis(8).sketch(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="pass 2 of both"):
        compare_sketches(one, on.sketch(np.zeros((1, 3))))
    with pytest.raises(ValueError, match="alpha"):
        compare_sketches(one, one, alpha=0.0)
    with pytest.raises(ValueError, match="0 frequencies"):
        fourier_basis(np.zeros((5, 3)), rng, 0)
    with pytest.raises(ValueError, match="missing, infinite"):
        fourier_mmd(np.full((5, 2), np.nan), np.zeros((5, 2)), rng)


def test_rows_that_are_all_equal_are_at_no_distance() -> None:
    """A constant has no spread: nothing is seen, nothing fails."""
    found = fourier_mmd(np.ones((20, 2)), np.ones((30, 2)), np.random.default_rng(0))
    assert found.statistic == pytest.approx(0.0, abs=1e-6)
    assert (found.effect, found.p_value > 0.01) == (0.0, True)
