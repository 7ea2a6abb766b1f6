"""Contracts, tasks and classes, read from the data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Feature, Kind, Task
from fairlead.core.inference import (
    MOST_CATEGORIES,
    Observed,
    infer_classes,
    infer_contract,
    infer_feature,
    infer_task,
    label_text,
)
from fairlead.errors import UsageError


@pytest.mark.parametrize(
    ("seen", "feature"),
    [
        (
            Observed("price", Kind.NUMBER, 2, -1.5, 9.0, 3.25),
            Feature("price", Kind.NUMBER, nullable=True, minimum=-1.5, maximum=9.0, fill=3.25),
        ),
        (
            Observed("nights", Kind.INTEGER, 0, 0.0, 9.0, 3.5),
            Feature("nights", Kind.INTEGER, minimum=0.0, maximum=9.0, fill=4),
        ),
        (
            Observed("repeated", Kind.BOOLEAN, 0, counts={"true": 1, "false": 3}),
            Feature("repeated", Kind.BOOLEAN, fill=False),
        ),
        (
            Observed("meal", Kind.CATEGORY, 1, counts={"hb": 2, "bb": 2, "fb": 1}),
            Feature("meal", Kind.CATEGORY, nullable=True, categories=("bb", "fb", "hb"), fill="bb"),
        ),
        (Observed("void", Kind.NUMBER, 7), Feature("void", Kind.NUMBER, nullable=True)),
        (Observed("void", Kind.CATEGORY, 7), Feature("void", Kind.CATEGORY, nullable=True)),
    ],
)
def test_a_feature_is_what_its_column_shows(seen: Observed, feature: Feature) -> None:
    """Kind, range, categories, nulls, and median or mode for what `impute` puts in."""
    assert infer_feature(seen) == feature


def test_keeps_the_most_frequent_categories() -> None:
    """Beyond 10,000 categories the rare ones count as unseen."""
    counts = {f"c{number:05d}": 1 for number in range(MOST_CATEGORIES + 5)} | {"z": 9}
    feature = infer_feature(Observed("city", Kind.CATEGORY, counts=counts))
    assert len(feature.categories) == MOST_CATEGORIES
    assert "z" in feature.categories
    assert feature.fill == "z"


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1, 1], Task.BINARY),
        (["yes", "no"], Task.BINARY),
        ([True, False], Task.BINARY),
        ([0.5, 1.5], Task.BINARY),
        (["a", "b", "c"], Task.MULTICLASS),
        ([1.0, 2.0, 3.0], Task.MULTICLASS),
        (list(range(20)), Task.MULTICLASS),
        (list(range(21)), Task.REGRESSION),
        ([1.0, 2.0, 2.5], Task.REGRESSION),
    ],
)
def test_the_target_tells_the_task(values: list[Any], task: Task) -> None:
    """Two values are binary; text or at most 20 whole numbers are multiclass; everything else is a value."""
    assert infer_task(values) is task


@pytest.mark.parametrize("values", [[], [1, 1, 1]])
def test_a_target_that_does_not_vary_is_refused(values: list[Any]) -> None:
    """There is nothing to predict where there is one outcome, or none."""
    with pytest.raises(UsageError, match="nothing to predict"):
        infer_task(values)


def test_classes_keep_their_own_order() -> None:
    """Numbers are ordered by size, as scikit-learn does, and not as text."""
    assert infer_classes([10, 9, 2]) == ("2", "9", "10")
    assert infer_classes(["10", "9"]) == ("10", "9")
    assert infer_classes([False, True]) == ("false", "true")


@given(st.integers(-(10**15), 10**15))
@settings(deadline=None)
def test_a_label_is_the_same_text_whatever_carries_it(label: int) -> None:
    """An integer, the float of it and its text are one label."""
    assert label_text(label) == label_text(float(label)) == label_text(str(label))


def test_the_number_of_classes_fits_the_task() -> None:
    """Three classes are not binary, one is no classification, and a regression has none."""
    with pytest.raises(UsageError, match=r"3 were found \(a, b, c\)"):
        infer_contract([], Task.BINARY, "y", ("a", "b", "c"), None)
    with pytest.raises(UsageError, match="at least two classes"):
        infer_contract([], Task.MULTICLASS, "y", ("a",), None)
    assert infer_contract([], Task.REGRESSION, "y", ("a", "b"), None).classes == ()
