from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.stats.multivariate.correlation import CoMoments, Standard, correlation_shift, standard
from fairlead.stats.multivariate.evidence import Evidence

Within = Callable[[int, int, float], None]
NAMES = ("a", "b", "c", "d")


def gappy(rng: np.random.Generator, rows: int, tie: float = 0.0, holes: float = 0.1) -> np.ndarray:
    """Four columns of other units, the first two tied, one value in ten missing or infinite."""
    shape = np.eye(4)
    shape[0, 1] = shape[1, 0] = tie
    found = rng.multivariate_normal(np.zeros(4), shape, rows) * [1.0, 1e3, 1e-3, 5.0] + [0.0, 1e6, 0.0, -7.0]
    found[rng.random(found.shape) < holes] = np.nan
    found[rng.random(found.shape) < holes / 20] = np.inf
    return found


def slots(on: Standard, rows: np.ndarray, count: int) -> list[CoMoments]:
    return [on.co_moments(part) for part in np.array_split(rows, count)]


def compared(x: np.ndarray, y: np.ndarray, seed: int = 0, count: int = 12, deals: int = 300) -> Evidence:
    on = standard(x, NAMES)
    return correlation_shift(
        slots(on, x, count), slots(on, y, count), NAMES, np.random.default_rng(seed), permutations=deals
    )


def test_correlations_are_pandas_pairwise_complete() -> None:
    """Pearson over the rows in which both are known, to 1e-9, with columns of very different units."""
    rows = gappy(np.random.default_rng(0), 500, 0.5)
    expected = pd.DataFrame(np.where(np.isfinite(rows), rows, np.nan)).corr().to_numpy()
    assert np.allclose(standard(rows, NAMES).co_moments(rows).correlations, expected, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_co_moments_add_up_in_any_order(sizes: list[int], seed: int) -> None:
    """Counts exactly, sums up to rounding: the parts' are the whole's, associatively and commutatively."""
    rng = np.random.default_rng(seed)
    on = standard(gappy(rng, 50), NAMES)
    parts = [gappy(rng, size) for size in sizes]
    one, two, three = (on.co_moments(part) for part in parts)
    whole, other = on.co_moments(np.vstack(parts)), one + (two + three)
    for field in ("counts", "sums", "squares", "products"):
        together = getattr(one + two + three, field)
        assert np.allclose(together, getattr(whole, field), rtol=1e-9, atol=1e-9)
        assert np.allclose(together, getattr(other, field), rtol=1e-9, atol=1e-9)
        assert np.array_equal(getattr(one + two, field), getattr(two + one, field))
    assert np.array_equal((one + two + three).counts, whole.counts)


def test_the_distance_is_its_definition() -> None:
    """Frobenius norm of the difference of the matrices over the number of pairs; the pair that changed is named."""
    rng = np.random.default_rng(1)
    x, y = gappy(rng, 600, 0.0), gappy(rng, 600, 0.7)
    found = compared(x, y)
    on = standard(x, NAMES)
    gap = on.co_moments(y).correlations - on.co_moments(x).correlations
    assert found.statistic == pytest.approx(float(np.linalg.norm(gap)) / 6, rel=1e-9)
    assert found.effect == pytest.approx(float(np.abs(gap).max()))
    assert found.suspects[0].name == "a ~ b"
    assert found.suspects[0].value == pytest.approx(float(gap[0, 1]), rel=1e-9)
    assert len(found.suspects) == 6
    assert found.critical is not None
    assert found.statistic > found.critical
    assert found.p_value == pytest.approx(1 / 301)


def test_larger_slots_on_one_side_are_no_change(within: Within) -> None:
    """Slots of 100 rows against slots of 10: dealt without regard to their scatter, they would be called one."""
    rng = np.random.default_rng(8)
    runs, alarms = 200, 0
    for seed in range(runs):
        x, y = gappy(rng, 2_000, 0.3), gappy(rng, 200, 0.3)
        alarms += compared(x, y, seed, count=20, deals=200).p_value <= 0.05
    within(alarms, runs, 0.05)


def test_few_slots_are_dealt_in_every_way() -> None:
    """Two against two slots make six deals: no p-value is below a third, for a deal and its mirror image are as far."""
    rng = np.random.default_rng(0)
    found = compared(gappy(rng, 200), gappy(rng, 200, 0.9), count=2)
    assert found.p_value == pytest.approx(2 / 6)
    assert found.detectable == float("inf")


def test_columns_that_do_not_vary_are_left_out() -> None:
    """A constant on either side has no correlation; the other pairs are compared, and no pair is an error."""
    rng = np.random.default_rng(0)
    x, y = gappy(rng, 400), gappy(rng, 400)
    y[:, 3] = 5.0
    found = compared(x, y)
    assert {one.name for one in found.suspects} == {"a ~ b", "a ~ c", "b ~ c"}
    y[:, :3] = 1.0
    with pytest.raises(ValueError, match="no two columns vary together"):
        compared(x, y)
    empty = standard(x, NAMES).co_moments(np.empty((0, 4)))
    assert np.isnan(empty.correlations).all()


def test_values_of_any_size_are_standardised() -> None:
    """Values near the end of float64 neither overflow nor lose their correlation; all null gets a scale of 1."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=300)] * 2 + [np.full(300, np.nan)]) * [1e300, 1.0, 1.0]
    on = standard(rows, ("a", "b", "c"))
    assert on.scale[2] == 1.0
    assert on.co_moments(rows).correlations[0, 1] == pytest.approx(1.0)


def test_what_makes_no_sense_is_refused() -> None:
    """Too few slots, other numbers of columns, and arguments out of range."""
    rng = np.random.default_rng(0)
    rows = gappy(rng, 50)
    on = standard(rows, NAMES)
    two = slots(on, rows, 2)
    with pytest.raises(ValueError, match="1 against 2 slots"):
        correlation_shift(two[:1], two, NAMES, rng)
    with pytest.raises(ValueError, match="0 permutations"):
        correlation_shift(two, two, NAMES, rng, permutations=0)
    with pytest.raises(ValueError, match="for 4 columns"):
        on.co_moments(rows[:, :2])
    with pytest.raises(ValueError, match="for 2 names"):
        standard(rows, ("a", "b"))
    with pytest.raises(ValueError, match="cannot be added"):
        two[0] + standard(rows[:, :2], ("a", "b")).co_moments(rows[:, :2])


@pytest.mark.parametrize(("n", "m", "count"), [(60, 60, 6), (400, 200, 10)])
def test_false_alarms_stay_within_alpha(n: int, m: int, count: int, within: Within) -> None:
    """Heavy-tailed, correlated rows with holes and no change: p <= 5 % and p <= 1 % at most that often."""
    rng = np.random.default_rng(n)
    runs = 200
    p = [
        compared(
            np.exp(gappy(rng, n, 0.5) / [1, 1e3, 1e-3, 5] - [0, 1e3, 0, 0]),
            np.exp(gappy(rng, m, 0.5) / [1, 1e3, 1e-3, 5] - [0, 1e3, 0, 0]),
            seed,
            count,
            200,
        ).p_value
        for seed in range(runs)
    ]
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 20])
def test_false_alarms_stay_within_alpha_with_slots_that_differ(count: int, within: Within) -> None:
    """Slots of 10 to 200 rows whose correlations scatter from day to day, as real days do: slots are what is dealt."""
    rng = np.random.default_rng(count)
    runs, p = 1_000, []
    plain = Standard(NAMES, np.zeros(4), np.ones(4))
    for seed in range(runs):
        ties = rng.uniform(-0.5, 0.5, 2 * count)
        made = [
            plain.co_moments(
                rng.multivariate_normal([0, 0], [[1, tie], [tie, 1]], rng.integers(10, 200)).repeat(2, axis=1)
                + rng.normal(size=4)
            )
            for tie in ties.tolist()
        ]
        p.append(correlation_shift(made[:count], made[count:], NAMES, np.random.default_rng(seed)).p_value)
    within(sum(one <= 0.05 for one in p), runs, 0.05)
    within(sum(one <= 0.01 for one in p), runs, 0.01)


def test_a_changed_correlation_is_found_with_unchanged_marginals() -> None:
    """From 0 to 0.4 in one of six pairs, at 600 rows in 12 slots: named in at least 19 of 20 samples."""
    rng = np.random.default_rng(0)
    found = [compared(gappy(rng, 600), gappy(rng, 600, 0.4), seed) for seed in range(20)]
    assert sum(one.p_value <= 0.01 and one.suspects[0].name == "a ~ b" for one in found) >= 19


def test_the_detectable_change_is_found_as_often_as_promised() -> None:
    """A change of one correlation by what is named as detectable is seen in at least 80 % of samples."""
    rng = np.random.default_rng(3)
    named = compared(gappy(rng, 400), gappy(rng, 400)).detectable
    hits = sum(compared(gappy(rng, 400), gappy(rng, 400, named), seed).p_value <= 0.01 for seed in range(80))
    assert hits >= 52  # fewer come of a power of 80 % once in a thousand
