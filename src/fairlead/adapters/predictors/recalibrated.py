"""A binary model whose answers are corrected before anybody sees them. Only recalibrated versions pay for it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, log, log1p, tanh
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.core.bundle import Recalibration
from fairlead.core.contract import Contract
from fairlead.ports.model_reader import Conversion, ModelFacts, ModelReader, OpenedModel
from fairlead.ports.predictor import Cells, ColumnPredictor, Predictor

_EDGE = 1e-9  # probabilities of 0 and 1 have no logit


def recalibrated(predictor: Predictor, by: Recalibration | None) -> Predictor:
    """The predictor with its answers corrected; itself where there is nothing to correct. One that takes columns still
    does."""
    if by is None:
        return predictor
    if isinstance(predictor, ColumnPredictor):
        return RecalibratedColumns(predictor, by)
    return RecalibratedRows(predictor, by)


class RecalibratedRows:
    """Answers rows. Shapes: n rows in, (n, 2) probabilities out."""

    def __init__(self, predictor: Predictor, by: Recalibration) -> None:
        self._predictor = predictor
        self._by = by

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """What the model answers, corrected."""
        return _corrected(self._predictor.predict(rows), self._by)


class RecalibratedColumns(RecalibratedRows):
    """Answers columns, too."""

    def __init__(self, predictor: ColumnPredictor, by: Recalibration) -> None:
        super().__init__(predictor, by)
        self._columns = predictor

    def predict_columns(self, columns: Sequence[Cells]) -> NDArray[np.float64]:
        """What `predict` answers to the same rows, bit for bit."""
        return _corrected(self._columns.predict_columns(columns), self._by)


class RecalibratedReader:
    """Reads models whose answers are corrected: what is measured of one is what callers will see."""

    def __init__(self, reader: ModelReader, by: Recalibration) -> None:
        self._reader = reader
        self._by = by

    def open(self, path: Path) -> OpenedModel:
        """Reads a model file. Raises `UsageError`, or `UntrustedFormat` before anything of it has run."""
        return RecalibratedModel(self._reader.open(path), self._by)

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        """A predictor of a translation. Raises `BundleError` when it does not fit."""
        return recalibrated(self._reader.translated(conversion, contract), self._by)


class RecalibratedModel:
    """A model file, read once."""

    def __init__(self, model: OpenedModel, by: Recalibration) -> None:
        self._model = model
        self._by = by

    @property
    def facts(self) -> ModelFacts:
        """What it says of itself."""
        return self._model.facts

    def predictor(self, contract: Contract) -> Predictor:
        """The model, corrected. Raises `UsageError` when it cannot answer."""
        return recalibrated(self._model.predictor(contract), self._by)

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        """Itself in other formats."""
        return self._model.translations(contract)


def _corrected(answers: NDArray[np.float64], by: Recalibration) -> NDArray[np.float64]:
    """A nan stays one: it is the contract's to refuse. One row, as most requests bring, needs no array arithmetic."""
    if answers.shape[0] == 1:
        one = _one(float(answers[0, -1]), by)
        return np.array([[one]] if answers.shape[1] == 1 else [[1.0 - one, one]])
    score = np.clip(answers[:, -1], _EDGE, 1 - _EDGE)
    odds = by.slope * (np.log(score) - np.log1p(-score)) + by.intercept
    positive = 0.5 * (1.0 + np.tanh(0.5 * odds))
    if answers.shape[1] == 1:
        return np.asarray(positive[:, None])
    return np.stack([1.0 - positive, positive], axis=1)


def _one(score: float, by: Recalibration) -> float:
    if isnan(score):
        return score
    kept = min(max(score, _EDGE), 1 - _EDGE)
    return 0.5 * (1.0 + tanh(0.5 * (by.slope * (log(kept) - log1p(-kept)) + by.intercept)))
