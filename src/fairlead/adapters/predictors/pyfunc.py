"""Any model that MLflow logged, through its python_function flavour: it runs code, and gets a data frame."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.adapters.predictors.answers import understood
from fairlead.adapters.predictors.rows import Floats, Row
from fairlead.adapters.predictors.sklearn import frame_of
from fairlead.core.contract import Contract
from fairlead.errors import BundleError, MissingExtra
from fairlead.ports.model_reader import ModelFacts


class PyfuncModel:
    """A loaded MLflow model. It is trusted by name before it comes here."""

    def __init__(self, folder: Path) -> None:
        """Raises `BundleError` when MLflow cannot load it."""
        self._model = _loaded(folder)
        schema = self._model.metadata.get_input_schema()
        named = schema is not None and schema.has_input_names()
        names = tuple(str(name) for name in schema.input_names()) if named else ()
        self.facts = ModelFacts("pyfunc", names, len(names) or None, source=folder)

    def predictor(self, contract: Contract) -> PyfuncPredictor:
        """Answers rows."""
        return PyfuncPredictor(self._model, contract)


class PyfuncPredictor:
    """Answers rows by MLflow's predict()."""

    def __init__(self, model: Any, contract: Contract) -> None:
        self._model = model
        self._contract = contract

    def predict(self, rows: Sequence[Row]) -> Floats:
        """(n, k) class probabilities, or (n, 1) values. Raises what the model does."""
        if not rows:
            return np.empty((0, len(self._contract.classes) or 1))
        answer = self._model.predict(frame_of(self._contract, tuple(zip(*rows, strict=True))))
        return understood(answer, self._contract, len(rows))


def _loaded(folder: Path) -> Any:
    try:
        from mlflow import pyfunc
    except ModuleNotFoundError as error:
        raise MissingExtra("mlflow-skinny", "registry", f"loading the MLflow model {folder.name}") from error
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the model's own code lies in the bundle, which stays as it is
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyfunc.load_model(str(folder))
    except Exception as error:  # it is somebody's own code: it may fail in any way
        text = str(error).strip().partition("\n")[0]
        raise BundleError(
            f"MLflow cannot load the model {folder.name} ({type(error).__name__}: {text}): install what its "
            "requirements.txt names"
        ) from error
    finally:
        sys.dont_write_bytecode = before
