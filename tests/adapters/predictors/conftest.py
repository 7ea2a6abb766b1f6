"""Small models of each kind, fitted once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops import io as skops

from fairlead.core.contract import Contract, Feature, Kind, Task


@dataclass(frozen=True)
class Fitted:
    """A model, its contract, some rows, and what scikit-learn itself answers to them."""

    model: Any
    contract: Contract
    rows: list[tuple[Any, ...]]
    answers: Any

    def save(self, path: Path) -> Path:
        """Writes it as skops."""
        path.write_bytes(skops.dumps(self.model))
        return path


def frame() -> pd.DataFrame:
    """Mixed columns with nulls in two of them."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "meal": rng.choice(["bb", "hb", "fb"], 400),
            "price": rng.normal(100, 20, 400).round(2),
            "nights": rng.integers(0, 9, 400),
            "repeated": rng.integers(0, 2, 400).astype(bool),
        }
    )
    data.loc[::7, "meal"] = None
    data.loc[::5, "price"] = np.nan
    return data


FEATURES = (
    Feature("meal", Kind.CATEGORY, nullable=True, categories=("bb", "fb", "hb")),
    Feature("price", Kind.NUMBER, nullable=True),
    Feature("nights", Kind.INTEGER),
    Feature("repeated", Kind.BOOLEAN),
)


def rows_of(data: pd.DataFrame, count: int = 20) -> list[tuple[Any, ...]]:
    """Rows as the port takes them: plain values, None for a null."""
    lists = [data[name].iloc[:count].tolist() for name in data.columns]
    return [tuple(None if cell != cell else cell for cell in row) for row in zip(*lists, strict=True)]  # noqa: PLR0124  # NaN


@pytest.fixture(scope="package")
def mixed() -> Fitted:
    """A pipeline on named columns of every kind, with nulls."""
    data = frame()
    truth = (data.price.fillna(90) + 10 * data.nights + np.random.default_rng(1).normal(0, 20, 400) > 140).astype(int)
    encode = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["meal"])], remainder="passthrough"
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20)).fit(data, truth)
    contract = Contract(FEATURES, Task.BINARY, "canceled", ("0", "1"))
    return Fitted(model, contract, rows_of(data), model.predict_proba(data.iloc[:20]))


def _numeric() -> tuple[pd.DataFrame, tuple[Feature, ...]]:
    return frame()[["price", "nights"]], (FEATURES[1], FEATURES[2])


@pytest.fixture(scope="package")
def three() -> Fitted:
    """Three text classes from a plain array: no names."""
    data, features = _numeric()
    truth = frame().meal.fillna("none").to_numpy(object)
    array = data.fillna(0.0).to_numpy(np.float64)
    model = RandomForestClassifier(10, random_state=0).fit(array, truth)
    contract = Contract((Feature("price", Kind.NUMBER), features[1]), Task.MULTICLASS, "meal", tuple(model.classes_))
    rows = [tuple(row) for row in array[:20].tolist()]
    return Fitted(model, contract, rows, model.predict_proba(array[:20]))


@pytest.fixture(scope="package")
def value() -> Fitted:
    """A regression on named numbers, nulls allowed."""
    data, features = _numeric()
    model = HistGradientBoostingRegressor(max_iter=20).fit(data, data.price.fillna(90) * 2 + data.nights)
    contract = Contract(features, Task.REGRESSION, "cost")
    return Fitted(model, contract, rows_of(data), model.predict(data.iloc[:20])[:, None])


@pytest.fixture(scope="package")
def linear() -> Fitted:
    """An imputer, a scaler and a logistic regression on named numbers."""
    data, features = _numeric()
    truth = (data.nights > 4).map({True: "long", False: "short"})
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(data, truth)
    contract = Contract(features, Task.BINARY, "stay", ("long", "short"))
    return Fitted(model, contract, rows_of(data), model.predict_proba(data.iloc[:20]))


@pytest.fixture(scope="package")
def line() -> Fitted:
    """A linear regression of one column."""
    data = frame()[["nights"]]
    model = LinearRegression().fit(data, data.nights * 3.0 + 1)
    contract = Contract((FEATURES[2],), Task.REGRESSION, "cost")
    return Fitted(model, contract, rows_of(data), model.predict(data.iloc[:20])[:, None])


@pytest.fixture(params=["mixed", "three", "value", "linear", "line"])
def fitted(request: pytest.FixtureRequest) -> Fitted:
    """Each of the models in turn."""
    found: Fitted = request.getfixturevalue(request.param)
    return found
