"""An XGBoost model in its own file (.ubj, .json), answered by XGBoost's compiled code: one thread, no data frame."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final
from weakref import finalize

import msgspec
import numpy as np

from fairlead.adapters.predictors.native_library import library
from fairlead.adapters.predictors.rows import (
    Codes,
    Encoder,
    Floats,
    MatrixPredictor,
    check_task,
    check_width,
    sigmoid,
    softmax,
)
from fairlead.core.contract import Contract
from fairlead.errors import BundleError
from fairlead.ports.model_reader import ModelFacts

# Objectives whose answers are probabilities, or scores that the objective itself turns into some: name -> what
# XGBoost is asked for (0 its answer, 1 its raw score) and what is made of it.
_VALUE, _MARGIN = 0, 1
_CLASSES: Final[dict[str, tuple[int, Any]]] = {
    "binary:logistic": (_VALUE, None),
    "binary:logitraw": (_MARGIN, sigmoid),
    "multi:softprob": (_VALUE, None),
    "multi:softmax": (_MARGIN, softmax),
}
_VALUES = ("reg:", "count:poisson", "survival:aft")
_TREES = ("gbtree", "dart")
_VERSION = 1  # of the array interface's and the configuration's layouts


class XgboostModel:
    """A booster in memory."""

    def __init__(self, data: bytes) -> None:
        """Raises `BundleError` for a file that XGBoost cannot read, or an objective that no contract has."""
        self._code = library("xgboost", "libxgboost")
        self._code.XGBGetLastError.restype = ctypes.c_char_p
        self._call("XGBSetGlobalConfig", b'{"verbosity": 0}')
        self._handle = ctypes.c_void_p()
        self._call("XGBoosterCreate", None, 0, ctypes.byref(self._handle))
        finalize(self, self._code.XGBoosterFree, self._handle)
        self._call("XGBoosterLoadModelFromBuffer", self._handle, data, ctypes.c_uint64(len(data)))
        self._call("XGBoosterSetParam", self._handle, b"nthread", b"1")
        learner = self._learner()
        self.objective = str(learner["objective"]["name"])
        self.outputs = _outputs(self.objective, learner)
        kind, self._link = _CLASSES.get(self.objective, (_VALUE, None))
        self._config = _config(kind)
        names = tuple(learner.get("feature_names", ()))
        self._types = tuple(learner.get("feature_types", ()))
        self._categories = _categories(learner, self._types)
        width = int(learner["learner_model_param"]["num_feature"])
        classes = None if self.outputs == 1 else self.outputs
        self.facts = ModelFacts("xgboost", names, width, (), classes is not None, outputs=classes)

    @property
    def categories(self) -> dict[int, tuple[Any, ...]]:
        """The categories that the file keeps, by the column's place."""
        return self._categories

    def predictor(self, contract: Contract) -> MatrixPredictor:
        """Answers rows. Raises `BundleError` where the model's features or outputs do not fit the contract."""
        codes = self._codes(contract)
        check_task(contract, self.outputs, "XGBoost")
        return MatrixPredictor(Encoder(contract, codes, "XGBoost"), self.answer, self.outputs)

    def answer(self, matrix: Floats) -> Floats:
        """What XGBoost says of an (n, k) matrix: (n, outputs), or (n,)."""
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        result = ctypes.POINTER(ctypes.c_float)()
        rows, width = matrix.shape
        array = b'{"data": [%d, true], "shape": [%d, %d], "typestr": "<f8", "version": 3}' % (
            matrix.ctypes.data, rows, width,
        )  # fmt: skip
        made = (ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(result))
        self._call("XGBoosterPredictFromDense", self._handle, array, self._config, None, *made)
        sizes = tuple(shape[: dimensions.value])
        # The memory is this thread's and the booster's, until the next answer: it is copied.
        values = np.ctypeslib.as_array(result, sizes).astype(np.float64)
        return values if self._link is None else self._link(values)

    def _codes(self, contract: Contract) -> dict[int, Codes]:
        check_width(contract, self.facts.width or 0, "XGBoost")
        return {at: {name: float(code) for code, name in enumerate(kept)} for at, kept in self._categories.items()}

    def _learner(self) -> dict[str, Any]:
        """The model without its trees, and its settings."""
        length, text = ctypes.c_uint64(), ctypes.POINTER(ctypes.c_char)()
        made = (ctypes.byref(length), ctypes.byref(text))
        self._call("XGBoosterSaveModelToBuffer", self._handle, b'{"format": "json"}', *made)
        try:
            saved = msgspec.json.decode(ctypes.string_at(text, length.value), type=_Saved)
        except msgspec.MsgspecError as error:
            raise BundleError(f"the XGBoost model does not say what it is ({error}): save it again") from error
        return saved.learner

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._code, name)(*arguments) != 0:
            text = (self._code.XGBGetLastError() or b"").decode(errors="replace")
            raise BundleError(f"XGBoost cannot use the model: {_reason(text)}; save it again with save_model()")


class _Saved(msgspec.Struct):
    learner: dict[str, Any]


def _config(kind: int) -> bytes:
    """What is asked of a prediction. JSON has no NaN; XGBoost's own has."""
    return json.dumps(
        {
            "type": kind,
            "training": False,
            "iteration_begin": 0,
            "iteration_end": 0,
            "missing": float("nan"),
            "strict_shape": False,
            "cache_id": 0,
        }
    ).encode()


def _outputs(objective: str, learner: dict[str, Any]) -> int:
    """The number of classes, or 1 for a value. Raises `BundleError` for what no contract has."""
    booster = learner["gradient_booster"].get("name", "")
    if booster not in _TREES:
        raise BundleError(f"the XGBoost model is a {booster or 'nameless'} booster: only trees (gbtree, dart) are read")
    settings = learner["learner_model_param"]
    if int(settings.get("num_target", 1)) > 1:
        raise BundleError("the XGBoost model answers several targets, a contract has one: save one model for each")
    if objective in _CLASSES:
        return max(2, int(settings.get("num_class", 0)))
    if objective.startswith(_VALUES):
        return 1
    raise BundleError(
        f"the XGBoost model was trained for {objective}, whose answers are neither probabilities nor values of a "
        f"target: use one of {', '.join(_CLASSES)}, reg:*, count:poisson or survival:aft"
    )


def _categories(learner: dict[str, Any], types: Sequence[str]) -> dict[int, tuple[Any, ...]]:
    """The categories that a data frame had, by place; columns that came as codes have none."""
    kept = learner["gradient_booster"].get("model", learner["gradient_booster"].get("gbtree", {}).get("model", {}))
    found = {}
    for at, entry in enumerate(kept.get("cats", {}).get("enc", ())):
        values = entry.get("values", ())
        if not values or at >= len(types) or types[at] != "c":
            continue
        ends = entry.get("offsets")
        found[at] = tuple(values) if ends is None else _texts(bytes(values), ends)
    return found


def _texts(joined: bytes, ends: Sequence[int]) -> tuple[str, ...]:
    return tuple(joined[start:end].decode() for start, end in pairwise(ends))


def _reason(text: str) -> str:
    """The first line of XGBoost's message, without the time and place in its source."""
    line = next((line for line in text.splitlines() if line.strip()), "no reason given")
    return line.partition(": ")[2].strip() or line
