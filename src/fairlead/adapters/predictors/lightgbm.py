"""A LightGBM model in its own text file, answered by LightGBM's compiled code: one thread, no data frame."""

from __future__ import annotations

import ctypes
import json
import re
from typing import Any, Final
from weakref import finalize

import numpy as np

from fairlead.adapters.predictors.native_library import library
from fairlead.adapters.predictors.rows import Codes, Encoder, Floats, MatrixPredictor, check_task, check_width
from fairlead.core.contract import Contract
from fairlead.core.listing import counted
from fairlead.errors import BundleError
from fairlead.ports.model_reader import ModelFacts

_CLASSES = frozenset({"binary", "multiclass", "multiclassova"})
_VALUES = frozenset(
    {
        "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie",
        "cross_entropy", "cross_entropy_lambda",
    }
)  # fmt: skip
_FLOAT64, _ROW_MAJOR, _ANSWER = 1, 1, 0  # LightGBM's own constants
_SETTINGS: Final = b"num_threads=1 predict_disable_shape_check=false verbosity=-1"
_UNNAMED = re.compile(r"Column_\d+")
_SILENT = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda _: None)


class LightgbmModel:
    """A booster in memory."""

    def __init__(self, data: bytes) -> None:
        """Raises `BundleError` for a file that LightGBM cannot read, or an objective that no contract has."""
        header = _header(data)
        self.objective = header.get("objective", "").partition(" ")[0]
        self.outputs = _outputs(self.objective, header)
        names = tuple(header.get("feature_names", "").split())
        self._width = len(names)
        self.categories = _categories(header, _pandas_categorical(data))
        self._code = library("lightgbm", "lib_lightgbm")
        self._code.LGBM_GetLastError.restype = ctypes.c_char_p
        self._code.LGBM_RegisterLogCallback(_SILENT)  # it writes to standard output
        self._handle = ctypes.c_void_p()
        self._call("LGBM_BoosterLoadModelFromString", data, ctypes.byref(ctypes.c_int()), ctypes.byref(self._handle))
        finalize(self, self._code.LGBM_BoosterFree, self._handle)
        unnamed = all(_UNNAMED.fullmatch(name) for name in names)
        classes = None if self.outputs == 1 else self.outputs
        self.facts = ModelFacts(
            "lightgbm", () if unnamed else names, self._width, (), classes is not None, outputs=classes
        )

    def predictor(self, contract: Contract) -> MatrixPredictor:
        """Answers rows. Raises `BundleError` where the model's features or outputs do not fit the contract."""
        check_width(contract, self._width, "LightGBM")
        check_task(contract, self.outputs, "LightGBM")
        codes: dict[int, Codes] = {
            at: {name: float(code) for code, name in enumerate(kept)} for at, kept in self.categories.items()
        }
        return MatrixPredictor(Encoder(contract, codes, "LightGBM"), self.answer, self.outputs)

    def answer(self, matrix: Floats) -> Floats:
        """What LightGBM says of an (n, k) matrix: (n, 1) for a value or two classes, else (n, outputs)."""
        rows, width = matrix.shape
        out = np.empty((rows, 1 if self.outputs == 2 and self.objective == "binary" else self.outputs))
        self._call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            ctypes.c_void_p(matrix.ctypes.data),
            _FLOAT64,
            ctypes.c_int32(rows),
            ctypes.c_int32(width),
            _ROW_MAJOR,
            _ANSWER,
            0,
            -1,
            _SETTINGS,
            ctypes.byref(ctypes.c_int64()),
            ctypes.c_void_p(out.ctypes.data),
        )
        if self.objective == "multiclassova":  # each class against the others: they do not sum to 1
            out /= out.sum(axis=1, keepdims=True)
        return out

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._code, name)(*arguments) != 0:
            text = (self._code.LGBM_GetLastError() or b"").decode(errors="replace").partition("\n")[0]
            raise BundleError(f"LightGBM cannot use the model: {text}; save it again with save_model()")


def _header(data: bytes) -> dict[str, str]:
    """The lines before the first tree. Raises `BundleError` for a file that does not begin as LightGBM's do."""
    if not data.startswith(b"tree\n"):
        raise BundleError("the file is no LightGBM model: it should begin with 'tree'; save it with save_model()")
    try:
        text = data.partition(b"\nTree=")[0].decode()
        data.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"the LightGBM model is not text ({error.reason}): save it again") from error
    if b"\nend of trees" not in data:
        raise BundleError("the LightGBM model ends before its trees do: save it again with save_model()")
    return {key: value for line in text.splitlines() for key, _, value in [line.partition("=")] if value}


def _outputs(objective: str, header: dict[str, str]) -> int:
    if objective == "binary":
        return 2
    if objective in _CLASSES:
        return int(header.get("num_class", "0"))
    if objective in _VALUES:
        return 1
    raise BundleError(
        f"the LightGBM model was trained for {objective or 'an objective of its own'}, whose answers are neither "
        f"probabilities nor values of a target: use one of {', '.join(sorted(_CLASSES | _VALUES))}"
    )


def _pandas_categorical(data: bytes) -> list[list[Any]]:
    """The categories of the data frame's columns of that type, in the columns' order; at the file's end."""
    _, found, rest = data.rpartition(b"\npandas_categorical:")
    if not found:
        return []
    try:
        kept = json.loads(rest.partition(b"\n")[0])
    except ValueError as error:
        raise BundleError(f"the LightGBM model's pandas_categorical is no JSON ({error}): save it again") from error
    return kept if isinstance(kept, list) else []


def _categories(header: dict[str, str], kept: list[list[Any]]) -> dict[int, tuple[Any, ...]]:
    """By place: the columns whose values are listed (`1:2:0`), not a range (`[0:8]`) or none, are categories."""
    if not kept:
        return {}
    infos = header.get("feature_infos", "").split()
    places = [at for at, info in enumerate(infos) if not info.startswith("[") and info != "none"]
    if len(places) != len(kept):
        raise BundleError(
            f"the LightGBM model keeps categories of {counted(len(kept), 'column')} and uses {len(places)} as such: "
            "train it without the columns that hold one value"
        )
    return {at: tuple(values) for at, values in zip(places, kept, strict=True)}
