from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score

from fairlead.adapters.boosting import cross_fit, cross_fitted, fit
from fairlead.errors import MissingExtra


def rows(n: int = 600, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Three columns, of which the second says the label, with noise; one in ten of its values is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = (x[:, 1] + 0.5 * rng.normal(size=n) > 0).astype(np.int64)
    x[rng.random(n) < 0.1, 1] = np.nan
    return x, y


def test_predictions_are_out_of_fold() -> None:
    """Labels that are pure noise cannot be predicted: no model has seen the row that it answers for."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(800, 5)), rng.integers(0, 2, 800)
    assert abs(roc_auc_score(y, cross_fitted(x, y, task="binary")) - 0.5) < 0.07
    assert roc_auc_score(y, fit(x, y, task="binary")(x)) > 0.9


def test_a_signal_is_found_through_missing_values() -> None:
    """NaN is a value of its own."""
    x, y = rows()
    assert roc_auc_score(y, cross_fitted(x, y, task="binary")) > 0.85


def test_the_same_seed_gives_the_same_predictions() -> None:
    """Nothing but `seed` decides, also where rounds are stopped early."""
    x, y = rows(1_500)
    one, two = (cross_fitted(x, y, task="binary", seed=3) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, cross_fitted(x, y, task="binary", seed=4))


def test_folds_share_each_class_evenly() -> None:
    """Every fold has a fifth of each class, to the row."""
    x, y = rows(603)
    found = cross_fit(x, y, task="binary")
    for label in (0, 1):
        counts = np.bincount(found.folds[y == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_every_class_has_a_column_even_if_a_fold_lacks_it() -> None:
    """Probabilities are in the labels' sorted order and add up to 1; a class of one row is never predicted for it."""
    x, _ = rows(300)
    y = np.where(x[:, 0] > 0, "b", "c")
    y[7] = "a"
    found = cross_fitted(x, y, task="multiclass")
    assert found.shape == (300, 3)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert found[7, 0] == 0.0
    assert log_loss(y, np.clip(found, 1e-9, 1), labels=["a", "b", "c"]) < 0.5


def test_a_regression_is_fitted_with_weights() -> None:
    """Rows of weight 0 do not count."""
    x, _ = rows(600)
    y = 3.0 * x[:, 0]
    wild = np.where(np.arange(600) % 3 == 0, 1e6, y)
    weight = np.where(np.arange(600) % 3 == 0, 0.0, 1.0)
    assert mean_squared_error(y, fit(x, wild, task="regression", weight=weight)(x)) < 0.5
    assert mean_squared_error(y, cross_fitted(x, wild, task="regression", weight=weight)) < 1.0


def test_categories_are_codes_and_an_unseen_one_is_missing() -> None:
    """A category that says the label is found whatever its code; a code beyond those fitted is answered as a NaN is."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, 2_000).astype(np.float64)
    y = np.isin(codes, rng.choice(40, 20, replace=False)).astype(np.int64)
    predict = fit(codes[:, None], y, task="binary", categorical=[0])
    assert roc_auc_score(y, predict(codes[:, None])) > 0.99
    assert predict(np.array([[999.0]])) == predict(np.array([[np.nan]]))
    many = np.arange(2_000.0)[:, None]
    assert roc_auc_score(many[:, 0] > 900, fit(many, many[:, 0] > 900, task="binary", categorical=[0])(many)) > 0.99


def test_importances_name_the_column_that_matters() -> None:
    """Shuffling the column that says the label costs AUROC; shuffling noise costs none. Likewise the other tasks."""
    x, y = rows(1_000)
    binary = cross_fit(x, y, task="binary").importances(x, y)
    assert binary.argmax() == 1
    assert binary[1] > 0.2
    assert np.abs(binary[[0, 2]]).max() < 0.05
    several = cross_fit(x, y + 5, task="multiclass").importances(x, y + 5)
    regression = cross_fit(x, x[:, 2], task="regression").importances(x, x[:, 2])
    assert [int(one.argmax()) for one in (several, regression)] == [1, 2]


def test_a_forward_prediction_does_not_depend_on_later_folds() -> None:
    """Another truth in a later fold changes nothing before it; the first fold is not predicted."""
    x, y = rows(500)
    found = cross_fit(x, y, task="binary")
    changed = np.where(found.folds == 3, 1 - y, y)
    before, after = found.forward(x, y), found.forward(x, changed)
    assert np.isnan(before[found.folds == 0]).all()
    early = (found.folds == 1) | (found.folds == 2) | (found.folds == 3)
    assert np.array_equal(before[early], after[early])
    assert roc_auc_score(y[found.folds == 3], before[found.folds == 3]) > 0.85


def test_one_class_is_answered_with_that_class() -> None:
    """Nothing can be learnt, and nothing fails."""
    x, _ = rows(50)
    assert cross_fitted(x, np.ones(50, dtype=np.int64), task="binary").tolist() == [1.0] * 50
    assert fit(x, np.full(50, "a"), task="multiclass")(x).tolist() == [[1.0]] * 50
    found = cross_fit(x, np.zeros(50, dtype=np.int64), task="binary")
    assert found.importances(x, np.zeros(50, dtype=np.int64)).tolist() == [0.0] * 3


def test_what_does_not_fit_is_refused() -> None:
    """Shapes, labels, weights and folds that make no sense each say what to pass."""
    x, y = rows(50)
    with pytest.raises(ValueError, match="do not fit"):
        fit(x, y[:-1], task="binary")
    with pytest.raises(ValueError, match="do not fit"):
        fit(x[:0], y[:0], task="binary")
    with pytest.raises(ValueError, match="3 labels: a binary target has two"):
        fit(x, np.arange(50) % 3, task="binary")
    with pytest.raises(ValueError, match="a label is missing"):
        fit(x, np.where(y > 0, np.nan, 1.0), task="binary")
    with pytest.raises(ValueError, match="missing or infinite"):
        fit(x, np.full(50, np.inf), task="regression")
    with pytest.raises(ValueError, match="none negative or missing"):
        fit(x, y, task="binary", weight=np.full(50, -1.0))
    with pytest.raises(ValueError, match="1 folds of 50 rows"):
        cross_fitted(x, y, task="binary", folds=1)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    x, y = rows(50)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[sklearn\]"):
        fit(x, y, task="binary")
