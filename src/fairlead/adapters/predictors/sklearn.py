"""A scikit-learn model, answered as it was trained: from a data frame where it knows its features by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Kind, Task
from fairlead.core.inference import label_text
from fairlead.errors import BundleError, UsageError
from fairlead.ports.predictor import Cells

Row = tuple[Any, ...]
Categories = Mapping[str, Sequence[Any]]


class SklearnPredictor:
    """Answers rows by an estimator or pipeline."""

    def __init__(self, model: Any, contract: Contract, categories: Categories | None = None) -> None:
        """`categories` are of the columns that the model takes as pandas' category type, by name.

        Raises `UsageError` when the model cannot do the contract's task.
        """
        self._contract = contract
        self._categories = categories or {}
        self._framed = bool(names_of(model))
        regression = contract.task is Task.REGRESSION
        answer = getattr(model, "predict" if regression else "predict_proba", None)
        if answer is None:
            raise UsageError(
                f"{type(model).__name__} has no {'predict' if regression else 'predict_proba'}, which a "
                f"{contract.task.value} model needs: wrap it in CalibratedClassifierCV, or name the right task"
            )
        if not regression and classes_of(model) != contract.classes:
            raise BundleError(
                f"the model's classes are {', '.join(classes_of(model))}, but its contract says "
                f"{', '.join(contract.classes)}: register it again"
            )
        self._answer = answer

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """(n, k) class probabilities, or (n, 1) values."""
        if not rows:  # scikit-learn refuses an empty table
            return np.empty((0, len(self._contract.classes) or 1))
        given = self._frame(tuple(zip(*rows, strict=True))) if self._framed else self._matrix(rows)
        values = np.asarray(self._answer(given), np.float64)
        return values.reshape(len(rows), -1)

    def predict_columns(self, columns: Sequence[Cells]) -> NDArray[np.float64]:
        """The same from columns."""
        listed = [one.listed() for one in columns]
        if not self._framed:
            return self.predict(list(zip(*listed, strict=True)))
        return np.asarray(self._answer(self._frame(listed)), np.float64).reshape(len(listed[0]), -1)

    def _matrix(self, rows: Sequence[Row]) -> NDArray[Any]:
        texts = any(feature.kind is Kind.CATEGORY for feature in self._contract.features)
        return np.array(list(rows), np.object_ if texts else np.float64).reshape(len(rows), -1)

    def _frame(self, cells: Sequence[Sequence[Any]]) -> Any:
        return frame_of(self._contract, cells, self._categories)


def frame_of(contract: Contract, cells: Sequence[Sequence[Any]], categories: Categories | None = None) -> Any:
    """A pandas data frame of columns, with the types that pandas gives such columns when it reads them from a file."""
    import pandas as pd

    columns = {}
    for feature, column in zip(contract.features, cells, strict=True):
        known = categories.get(feature.name) if categories else None
        kind = _dtype(feature.kind, None in column) if known is None else pd.CategoricalDtype(list(known))
        columns[feature.name] = pd.Series(column, dtype=kind)
    return pd.DataFrame(columns)


def _dtype(kind: Kind, nulls: bool) -> Any:
    """The type that pandas gives such a column when it reads it from a file, which is what the model was fitted on."""
    import pandas as pd

    if kind is Kind.CATEGORY:
        return "str" if int(pd.__version__.partition(".")[0]) >= 3 else object
    if kind is Kind.BOOLEAN:
        return object if nulls else bool
    return np.int64 if kind is Kind.INTEGER and not nulls else np.float64


def names_of(model: Any) -> tuple[str, ...]:
    """The features by name, in the model's order; none for a model fitted on an array."""
    own = getattr(model, "feature_names_in_", None)
    if own is None:
        own = getattr(model, "feature_names_", None)  # CatBoost's
    names = () if own is None else tuple(str(name) for name in own)
    numbered = names == tuple(map(str, range(len(names))))  # as CatBoost calls the columns of an array
    return () if numbered else names


def classes_of(model: Any) -> tuple[str, ...]:
    """The classes as text, in the order of the probability columns; none for a regressor."""
    labels = getattr(model, "classes_", None)
    return () if labels is None else tuple(label_text(label) for label in np.asarray(labels).tolist())
