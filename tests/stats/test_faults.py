from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead.stats import faults
from fairlead.stats.columns import CategoricalColumn, NumericColumn

numbers = arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6) | st.just(float("nan")))
codes = arrays.arrays(np.int32, st.integers(1, 60), elements=st.integers(-1, 4))
NAMES = ("a", "b", "c", "d", "e")


@given(numbers, st.floats(0, 1))
def test_a_null_burst_takes_values_and_changes_none(values: np.ndarray, share: float) -> None:
    """What is left is what was there; a share of 1 leaves nothing."""
    rng = np.random.default_rng(0)
    after = faults.nulls(NumericColumn("x", values), share, rng)
    assert isinstance(after, NumericColumn)
    kept = ~np.isnan(after.values)
    assert np.array_equal(after.values[kept], values[kept])
    assert np.isnan(faults.nulls(NumericColumn("x", values), 1.0, rng).values).all()  # type: ignore[union-attr]


@given(codes)
def test_a_remap_is_a_permutation_of_what_is_there(values: np.ndarray) -> None:
    """Nulls stay, counts by category are permuted, and nothing unknown appears."""
    before = CategoricalColumn("x", values, NAMES)
    after = faults.remapped(before)
    assert np.array_equal(before.codes < 0, after.codes < 0)
    one, two = (np.bincount(side.codes[side.codes >= 0], minlength=5) for side in (before, after))
    assert sorted(one.tolist()) == sorted(two.tolist())
    if np.count_nonzero(one) > 1:
        assert (before.codes != after.codes)[before.codes >= 0].all()


@given(codes)
def test_a_rename_leaves_no_known_category(values: np.ndarray) -> None:
    """Rows stay where they were, under names that were never seen."""
    after = faults.renamed(CategoricalColumn("x", values, NAMES))
    assert np.array_equal(after.codes, values)
    assert not set(after.categories) & set(NAMES)


@given(numbers)
def test_a_silent_logarithm_keeps_every_order(values: np.ndarray) -> None:
    """And every null; nothing overflows."""
    after = faults.logged(NumericColumn("x", values)).values
    assert np.array_equal(np.isnan(values), np.isnan(after))
    there = values[~np.isnan(values)]
    assert np.all(np.diff(after[~np.isnan(after)][np.argsort(there, kind="stable")]) >= 0)


@given(numbers | codes)
def test_a_stale_feature_has_one_value(values: np.ndarray) -> None:
    """The first that was there; none where there was none."""
    if values.dtype == np.int32:
        after = faults.frozen(CategoricalColumn("x", values, NAMES))
        assert isinstance(after, CategoricalColumn)
        assert set(after.codes.tolist()) == {next((v for v in values.tolist() if v >= 0), -1)}
        return
    frozen = faults.frozen(NumericColumn("x", values))
    assert isinstance(frozen, NumericColumn)
    there = values[~np.isnan(values)]
    assert np.all(frozen.values == there[0]) if there.size else np.isnan(frozen.values).all()


@given(st.integers(2, 5), st.floats(0, 1))
def test_flipped_labels_are_other_classes(classes: int, share: float) -> None:
    """About the share of them, and missing ones stay missing."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, classes, 4_000).astype(float)
    truth[::7] = np.nan
    after = faults.flipped(truth, share, classes, rng)
    assert np.array_equal(np.isnan(truth), np.isnan(after))
    known = ~np.isnan(truth)
    assert set(after[known].tolist()) <= set(range(classes))
    assert abs(float((after[known] != truth[known]).mean()) - share) < 0.04


@given(st.integers(1, 40), st.floats(1, 3))
def test_a_prior_shift_makes_the_last_class_so_much_commoner(positives: int, factor: float) -> None:
    """As many rows as before, of rows that were there."""
    truth = np.array([0.0] * 2_000 + [1.0] * positives)
    places = faults.commoner(truth, factor, np.random.default_rng(2))
    assert places.size == truth.size
    assert int(truth[places].sum()) == round(positives * factor)
    assert np.array_equal(faults.commoner(np.full(5, np.nan), 2.0, np.random.default_rng(0)), np.arange(5))


def test_a_default_is_the_commonest_value() -> None:
    """The median of numbers, the commonest category."""
    rng = np.random.default_rng(3)
    number = faults.defaulted(NumericColumn("x", np.arange(1_001.0)), 0.5, rng)
    assert isinstance(number, NumericColumn)
    assert 400 < int((number.values == 500.0).sum()) < 600
    category = faults.defaulted(CategoricalColumn("x", np.array([2] * 60 + [1] * 40, np.int32), NAMES), 1.0, rng)
    assert isinstance(category, CategoricalColumn)
    assert set(category.codes.tolist()) == {2}
