"""A CatBoost model in its own file (.cbm): one thread, no data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.adapters.predictors.native_library import check_installed
from fairlead.adapters.predictors.rows import Floats, Row, check_task, check_width, shaped
from fairlead.core.contract import Contract, Kind
from fairlead.core.inference import label_text
from fairlead.errors import BundleError
from fairlead.ports.model_reader import ModelFacts

# What a missing category is answered as: the text that pandas' astype(str) and CatBoost's own advice give it.
NULL_CATEGORY = "nan"

_CLASSES = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll")
# Loss -> what CatBoost is asked for.
_VALUES: Final = {
    **dict.fromkeys(
        ("RMSE", "MAE", "MAPE", "Quantile", "Huber", "LogCosh", "Expectile", "Lq", "LogLinQuantile"), "RawFormulaVal"
    ),
    **dict.fromkeys(("Poisson", "Tweedie"), "Exponent"),
}


class CatboostModel:
    """A model in memory."""

    def __init__(self, data: bytes) -> None:
        """Raises `BundleError` for a file that CatBoost cannot read, or a loss that no contract has."""
        check_installed("catboost", "reading a catboost model")
        from catboost import CatBoost, CatBoostError

        self._model = CatBoost()
        try:
            self._model.load_model(blob=data, format="cbm")
            loss = str(self._model.get_all_params().get("loss_function", "")).partition(":")[0]
        except (CatBoostError, ValueError, TypeError) as error:
            text = str(error).strip().partition("\n")[0]
            raise BundleError(f"CatBoost cannot use the model: {text}; save it again with save_model()") from error
        self.classes = tuple(label_text(label) for label in np.asarray(self._model.classes_).tolist())
        self.kind = _asked_for(loss, self.classes)
        self.apart = loss == "MultiClassOneVsAll"
        self.outputs = len(self.classes) if self.kind == "Probability" else 1
        self.texts = tuple(self._model.get_cat_feature_indices())
        if self._model.get_text_feature_indices() or self._model.get_embedding_feature_indices():
            raise BundleError("the CatBoost model takes text or embeddings, which no contract has: leave them out")
        names = tuple(self._model.feature_names_)
        unnamed = names == tuple(map(str, range(len(names))))
        self.facts = ModelFacts("catboost", () if unnamed else names, len(names), self.classes, self.outputs > 1)

    def predictor(self, contract: Contract) -> CatboostPredictor:
        """Answers rows. Raises `BundleError` where the model does not fit the contract."""
        check_width(contract, self.facts.width or 0, "CatBoost")
        return CatboostPredictor(self, contract)

    def answer(self, given: Any) -> Any:
        """What CatBoost says of rows."""
        return self._model.predict(given, prediction_type=self.kind, thread_count=1)


class CatboostPredictor:
    """Answers rows by a model."""

    def __init__(self, model: CatboostModel, contract: Contract) -> None:
        """Raises `BundleError` when the model's features or classes do not fit the contract."""
        check_task(contract, model.outputs, "CatBoost")
        for at, feature in enumerate(contract.features):
            _check(feature.name, feature.kind, categorical=at in model.texts)
        self._model = model

    def predict(self, rows: Sequence[Row]) -> Floats:
        """(n, k) class probabilities, or (n, 1) values."""
        if not rows:
            return np.empty((0, self._model.outputs))
        texts = self._model.texts
        given = [_texted(row, texts) for row in rows] if texts else np.array(rows, np.float32)
        values = np.asarray(self._model.answer(given), np.float64)
        if self._model.apart:
            values /= values.sum(axis=1, keepdims=True)
        return shaped(values, self._model.outputs)


def _texted(row: Row, places: Sequence[int]) -> list[Any]:
    cells = [float("nan") if cell is None else cell for cell in row]
    for at in places:
        cells[at] = NULL_CATEGORY if row[at] is None else str(row[at])
    return cells


def _check(name: str, kind: Kind, *, categorical: bool) -> None:
    if kind is Kind.CATEGORY and not categorical:
        raise BundleError(f"the CatBoost model takes {name} as a number, but it holds text: name it in cat_features")
    if kind is Kind.NUMBER and categorical:
        raise BundleError(f"the CatBoost model takes {name} as a category, but it holds fractions: give it as text")


def _asked_for(loss: str, classes: tuple[str, ...]) -> str:
    """The prediction type. Raises `BundleError` for a loss whose answers are neither probabilities nor one value."""
    if loss in _CLASSES and classes:
        return "Probability"
    if loss in _VALUES:
        return _VALUES[loss]
    raise BundleError(
        f"the CatBoost model was trained for {loss or 'a loss of its own'}, whose answers are neither probabilities "
        f"nor one value of a target: use one of {', '.join((*_CLASSES, *_VALUES))}"
    )
