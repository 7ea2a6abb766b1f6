"""What MLflow calls when it loads a version: rows in a data frame, answered as the gateway answers them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.predictors.formats import RUN_CODE
from fairlead.core.contract import Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.errors import BundleError, UsageError

if TYPE_CHECKING:
    import pandas as pd


class ServedModel:
    """A bundle behind MLflow's `predict`: contract, model and threshold are those that the gateway serves."""

    def __init__(self, bundles: Path) -> None:
        """`bundles` holds one bundle, under its digest. Raises `BundleError`, `DigestMismatch` where a byte changed.

        Who loads a model with MLflow runs it, whatever its format: what was trusted at registration is trusted here.
        """
        found = [path.name for path in sorted(bundles.iterdir()) if path.is_dir()]
        if len(found) != 1:
            raise BundleError(f"{bundles} holds {len(found)} bundles, not one: download the version again")
        store = BundleFolder(bundles, RUN_CODE)
        self.manifest = store.manifest(found[0])
        self._predictor = store.load(found[0])
        self._rows = RowDecoder(self.manifest.contract)
        self._answers = OutputReader(self.manifest.contract, self.manifest.threshold)

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> NDArray[Any]:
        """(n,) labels or values; with `pyfunc_predict_fn` "predict_proba" (n, k) probabilities, in the contract's order
        of the classes. A missing value is NaN or None. Raises `ContractError` for a row that the contract refuses."""
        method = str((params or {}).get("pyfunc_predict_fn", "predict"))
        self._check(method)
        rows = [self._rows.check(values, f"rows[{at}]")[0] for at, values in enumerate(_records(model_input))]
        if not rows:
            return np.empty(0)
        answers = self._answers.read(self._predictor.predict(rows), len(rows))
        if method == "predict_proba":
            return np.array([answer.probabilities for answer in answers], np.float64)
        return np.array([answer.prediction for answer in answers])

    def _check(self, method: str) -> None:
        if method not in ("predict", "predict_proba"):
            raise UsageError(f"params.pyfunc_predict_fn is {method!r}: use predict or predict_proba")
        if method == "predict_proba" and self.manifest.contract.task is Task.REGRESSION:
            raise UsageError(
                f"params.pyfunc_predict_fn: {self.manifest.name} is a regression and has no probabilities: leave it out"
            )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows by column name, as JSON would hold them: plain values, and None for what is missing."""
    names = [str(name) for name in frame.columns]
    columns = [[None if value != value else value for value in frame[name].tolist()] for name in frame.columns]  # noqa: PLR0124
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's entry: the folder that the flavour names as its data."""
    return ServedModel(Path(path))
