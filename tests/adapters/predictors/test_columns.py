"""Columns and rows: every predictor that takes both answers both alike, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairlead.adapters.portable import convert
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.predictors.sklearn import SklearnPredictor
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.ports.predictor import Cells, ColumnPredictor

KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN)
CONTRACT = Contract(
    tuple(Feature(name, kind, nullable=True) for name, kind in zip("abc", KINDS, strict=True)),
    Task.BINARY,
    "y",
    ("0", "1"),
)


def cells(rows: int, *, nulls: bool) -> list[Cells]:
    """A column of each kind of number, some of them beyond what a float32 holds."""
    rng = np.random.default_rng(rows)
    missing = [(rng.random(rows) < 0.2) & nulls for _ in KINDS]
    values: list[Any] = [
        rng.normal(size=rows) * 10.0 ** rng.integers(-3, 50, rows),
        rng.integers(-(2**62), 2**62, rows) >> rng.integers(0, 60, rows),
        rng.random(rows) < 0.5,
    ]
    return [Cells(value, absent) for value, absent in zip(values, missing, strict=True)]


def fitted(*, framed: bool, nulls: bool) -> Any:
    """A tree that takes nulls, or a scaled logistic regression that does not."""
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=300), rng.integers(0, 9, 300), rng.random(300) < 0.5])
    given = pd.DataFrame(table, columns=["a", "b", "c"]) if framed else table
    model = DecisionTreeClassifier(max_depth=4) if nulls else make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(given, (table.sum(axis=1) > 4).astype(int))


@pytest.mark.parametrize("framed", [True, False], ids=["by name", "matrix"])
@pytest.mark.parametrize("nulls", [True, False], ids=["nulls", "no nulls"])
@pytest.mark.parametrize("portable", [True, False], ids=["onnx", "sklearn"])
def test_columns_are_answered_as_rows(*, framed: bool, nulls: bool, portable: bool) -> None:
    """Single rows and many; floats, whole numbers and booleans; with nulls and without."""
    model = fitted(framed=framed, nulls=nulls)
    predictor: Any = SklearnPredictor(model, CONTRACT)
    if portable:
        found = convert(model, CONTRACT).model
        assert found is not None
        predictor = OnnxPredictor(found, CONTRACT)
    assert isinstance(predictor, ColumnPredictor)
    for rows in (1, 2, 700):
        columns = cells(rows, nulls=nulls)
        if not portable:  # scikit-learn refuses what a float32 cannot hold
            columns[0] = Cells(np.clip(columns[0].values, -1e30, 1e30), columns[0].missing)
        listed = list(zip(*(one.listed() for one in columns), strict=True))
        one, two = predictor.predict(listed), predictor.predict_columns(columns)
        assert one.tobytes() == two.tobytes()


def test_a_null_is_listed_as_none() -> None:
    """Of any type, and a column without any stays as it is."""
    assert Cells(np.array([1, 2]), np.array([False, True])).listed() == [1, None]
    assert Cells(np.array([True, False]), np.array([False, False])).listed() == [True, False]
