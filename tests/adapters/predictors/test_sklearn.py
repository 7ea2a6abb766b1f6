"""scikit-learn's own answers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import LinearSVC

from fairlead.adapters.predictors.sklearn import SklearnPredictor, classes_of, names_of
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError, UsageError
from fairlead.testing.predictor import check_predictor


def test_answers_as_scikit_learn_does(fitted: Any) -> None:
    """From tuples it is the same model, to the last bit, nulls included; and it is a predictor."""
    predictor = SklearnPredictor(fitted.model, fitted.contract)
    assert np.array_equal(predictor.predict(fitted.rows), fitted.answers)
    check_predictor(predictor, fitted.rows, len(fitted.contract.classes) or 1)


def test_a_model_of_categories_gets_them() -> None:
    """A model fitted on pandas categories answers texts, unknown and missing ones too."""
    data = pd.DataFrame({"meal": pd.Categorical(["bb", "hb", None, "bb"] * 20), "x": np.arange(80.0)})
    model = HistGradientBoostingClassifier(min_samples_leaf=2, max_iter=5).fit(data, [0, 1, 1, 0] * 20)
    features = (Feature("meal", Kind.CATEGORY, nullable=True), Feature("x", Kind.NUMBER))
    predictor = SklearnPredictor(model, Contract(features, Task.BINARY, "y", ("0", "1")))
    assert np.array_equal(predictor.predict([("bb", 0.0), ("hb", 1.0), (None, 2.0)]), model.predict_proba(data[:3]))
    assert predictor.predict([("zz", 0.0)]).shape == (1, 2)


def test_an_integer_column_may_miss_a_value(value: Any) -> None:
    """A null among integers reaches the model as NaN, not as an error."""
    nullable = msgspec.structs.replace(value.contract.features[1], nullable=True)
    contract = msgspec.structs.replace(value.contract, features=(value.contract.features[0], nullable))
    assert np.isfinite(SklearnPredictor(value.model, contract).predict([(90.0, None), (90.0, 3)])).all()


def test_a_classifier_must_give_probabilities() -> None:
    """A model that only decides is refused, with the way out."""
    model = LinearSVC().fit([[0.0], [1.0]], [0, 1])
    contract = Contract((Feature("x", Kind.NUMBER),), Task.BINARY, "y", ("0", "1"))
    with pytest.raises(UsageError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"):
        SklearnPredictor(model, contract)


def test_the_contract_names_the_models_classes(linear: Any) -> None:
    """Another order of classes would swap the probabilities."""
    swapped = msgspec.structs.replace(linear.contract, classes=("short", "long"))
    with pytest.raises(BundleError, match="classes are long, short, but its contract says short, long"):
        SklearnPredictor(linear.model, swapped)


def test_what_a_model_says_of_itself(mixed: Any, three: Any, value: Any) -> None:
    """Names and classes as text; none where it has none."""
    assert names_of(mixed.model) == ("meal", "price", "nights", "repeated")
    assert names_of(three.model) == ()
    assert (classes_of(mixed.model), classes_of(value.model)) == (("0", "1"), ())
