"""The simplest models worth beating."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import auroc
from fairlead.stats.simple_model import answers


def drawn(rows: int, seed: int) -> tuple[list[Column], np.ndarray]:
    """A number, a number with nulls and a category; the log-odds of the outcome."""
    rng = np.random.default_rng(seed)
    x, z, code = rng.normal(size=rows), rng.normal(size=rows), rng.integers(0, 3, rows)
    odds = 1.5 * x + np.where(np.isnan(z), 0, -z) + np.array([-1.0, 0.0, 1.0])[code]
    columns: list[Column] = [
        NumericColumn("x", x * 10 + 3),
        NumericColumn("z", np.where(rng.random(rows) < 0.1, np.nan, z)),
        CategoricalColumn("c", code.astype(np.int32), ("a", "b", "c")),
    ]
    return columns, odds


def test_two_classes_are_fitted_as_scikit_learn_fits_them() -> None:
    """The same probabilities within a hundredth, from columns of any scale."""
    columns, odds = drawn(3000, 1)
    truth = (np.random.default_rng(2).random(3000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    asked, other = drawn(500, 3)
    found = answers(columns, truth, asked, classes=2)
    assert found.shape == (500, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert auroc((other > 0).astype(float), found[:, 1]) > 0.95

    def plain(parts: list[Column]) -> np.ndarray:
        x, z, c = parts
        assert isinstance(x, NumericColumn)
        assert isinstance(z, NumericColumn)
        assert isinstance(c, CategoricalColumn)
        known = columns[1].values  # type: ignore[union-attr]  # the second is a number
        filled = np.where(np.isnan(z.values), np.nanmean(known), z.values)
        return np.column_stack([(x.values - 3) / 10, filled, np.isnan(z.values), *(c.codes == k for k in range(3))])

    theirs = LogisticRegression(C=1e6, max_iter=1000).fit(plain(columns), truth).predict_proba(plain(asked))
    assert np.abs(found - theirs).max() < 0.01


def test_values_are_fitted_as_ridge_fits_them() -> None:
    """Within a hundredth of their spread."""
    columns, odds = drawn(2000, 4)
    value = 100 + 7 * odds
    asked, other = drawn(300, 5)
    found = answers(columns, value, asked, classes=0)
    assert found.shape == (300, 1)
    x = columns[0]
    assert isinstance(x, NumericColumn)
    only = answers([x], 2 * x.values + 1, [x], classes=0)[:, 0]
    theirs = Ridge(alpha=1e-9).fit(x.values[:, None], 2 * x.values + 1).predict(x.values[:, None])
    np.testing.assert_allclose(only, theirs, rtol=0.01, atol=0.5)
    assert np.corrcoef(found[:, 0], 100 + 7 * other)[0, 1] > 0.95


def test_several_classes_are_answered_by_shares() -> None:
    """Rows sum to 1, and the right class is the likeliest."""
    rng = np.random.default_rng(6)
    truth = rng.integers(0, 3, 1500).astype(np.float64)
    column: list[Column] = [CategoricalColumn("c", truth.astype(np.int32), ("a", "b", "c"))]
    found = answers(column, truth, column, classes=3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found.argmax(axis=1) == truth).all()


@pytest.mark.parametrize("classes", [0, 2])
def test_strange_columns_do_no_harm(classes: int) -> None:
    """Constants, nothing but nulls, infinities, a column twice, a category that was not there, and another kind."""
    truth = (np.arange(60) % 2).astype(np.float64)
    columns: list[Column] = [
        NumericColumn("one", np.ones(60)),
        NumericColumn("none", np.full(60, np.nan)),
        NumericColumn("far", np.where(np.arange(60) == 0, np.inf, truth)),
        NumericColumn("same", truth),
        CategoricalColumn("c", np.full(60, -1, np.int32), ()),
    ]
    asked: list[Column] = [
        *columns[:3],
        CategoricalColumn("same", np.zeros(60, np.int32), ("x",)),
        CategoricalColumn("c", np.zeros(60, np.int32), ("new",)),
    ]
    assert np.isfinite(answers(columns, truth, asked, classes=classes)).all()
    asked[4] = NumericColumn("c", np.ones(60))
    assert np.isfinite(answers(columns, truth, asked, classes=classes)).all()
