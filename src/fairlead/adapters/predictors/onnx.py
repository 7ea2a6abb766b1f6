"""A portable model, answered by ONNX Runtime: one thread, no data frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.listing import counted
from fairlead.errors import BundleError, MissingExtra
from fairlead.ports.predictor import Cells

# What a missing category is fed as: the text that skl2onnx gives to a NaN among an encoder's categories.
NULL_CATEGORY = "nan"

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_WHOLE = ("tensor(int64)", "tensor(int32)", "tensor(bool)")
_FLOATS = ("tensor(float)", "tensor(double)")

Row = tuple[Any, ...]


class _Group(Struct, frozen=True):
    """Inputs of one type, which are converted together: one array for all of them is cheaper than one for each."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    pick: Callable[[Row], Row]
    dtype: Any
    text: bool  # a null becomes NULL_CATEGORY


class OnnxPredictor:
    """Answers rows by an ONNX model with one matrix input, or one [n, 1] input per feature."""

    def __init__(self, model: bytes, contract: Contract) -> None:
        """Loads the model. Raises `BundleError` when its inputs or outputs do not fit the contract."""
        self._session = session(model)
        self._task = contract.task
        inputs = self._session.get_inputs()
        self._matrix = is_matrix(inputs, contract.names)
        if self._matrix:
            _check_matrix(inputs[0], contract)
            self._groups = [
                _Group(
                    (inputs[0].name,),
                    tuple(range(len(contract.features))),
                    tuple,
                    _TYPES[inputs[0].type],
                    text=False,
                )
            ]
        else:
            self._groups = _grouped(inputs, contract)
        self._output = _answer_of(self._session.get_outputs(), contract.task)
        self._width = 1 if contract.task is Task.REGRESSION else len(contract.classes)

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """(n, k) class probabilities, or (n, 1) values."""
        if not rows:
            return np.empty((0, self._width))
        feed: dict[str, Any] = {}
        with np.errstate(over="ignore"):  # a number beyond float32 is infinite there, on the same side of any split
            for group in self._groups:
                feed.update(self._fed(group, rows))
        return self._shaped(self._session.run(self._output, feed)[0])

    def predict_columns(self, columns: Sequence[Cells]) -> NDArray[np.float64]:
        """The same from columns, without a Python object for each number."""
        feed: dict[str, Any] = {}
        with np.errstate(over="ignore"):
            for group in self._groups:
                converted = [_converted(columns[place], group) for place in group.places]
                if self._matrix:
                    feed[group.names[0]] = np.column_stack(converted)
                else:
                    feed.update(zip(group.names, (one[:, None] for one in converted), strict=True))
        return self._shaped(self._session.run(self._output, feed)[0])

    def _fed(self, group: _Group, rows: Sequence[Row]) -> dict[str, Any]:
        picked: list[Row] = [group.pick(row) for row in rows]
        if group.text:
            picked = [tuple([NULL_CATEGORY if cell is None else cell for cell in row]) for row in picked]
        block = np.array(picked, group.dtype)
        if self._matrix:
            return {group.names[0]: block}
        # (n, k) -> k arrays of (n, 1)
        return dict(zip(group.names, block.T[..., None], strict=True))

    def _shaped(self, answer: Any) -> NDArray[np.float64]:
        if isinstance(answer, list):  # a ZipMap: a dict of class -> probability per row, in the classes' order
            answer = [list(row.values()) for row in answer]
        values = np.asarray(answer, np.float64)
        values = values.reshape(len(values), -1)
        if self._task is Task.BINARY and values.shape[1] == 1:
            values = np.hstack([1.0 - values, values])
        if values.shape[1] != self._width:
            raise BundleError(
                f"the ONNX model answers {counted(values.shape[1], 'value')} per row where {self._width} "
                f"were expected: "
                "check the task and the target's classes"
            )
        return values


def _converted(cells: Cells, group: _Group) -> NDArray[Any]:
    """A column in its input's type. Raises `ValueError` for what the type cannot hold, as a row of it does."""
    values, missing = cells
    if group.text:
        return np.where(missing, NULL_CATEGORY, values) if missing.any() else values
    if np.issubdtype(group.dtype, np.floating):
        # By way of float64, as each number of a row goes.
        values = values.astype(np.float64)
        return np.where(missing, np.nan, values).astype(group.dtype)
    if missing.any():
        raise ValueError("a null has no place in an input of whole numbers")
    if group.dtype is np.int32 and np.any(np.abs(values.astype(np.float64)) >= 2**31):
        raise ValueError("a number is too large for the input")
    return values.astype(group.dtype)


def session(model: bytes) -> Any:
    """A session of one thread: the gateway's workers are the parallelism. Raises `BundleError`."""
    try:
        # Nothing about what runs here is told to anyone: before the import, which may begin to collect, and after it.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        onnxruntime.disable_telemetry_events()
    except ModuleNotFoundError as error:
        raise MissingExtra("onnxruntime", "onnx", "serving an ONNX model") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has an exception class for each of its status codes
        text = str(error).partition("\n")[0]
        raise BundleError(f"ONNX Runtime cannot load the model: {text}; export it again") from error


def is_matrix(inputs: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether the model takes all features as one matrix rather than each by its name."""
    return len(inputs) == 1 and (len(names) != 1 or inputs[0].name not in names)


def _check_matrix(given: Any, contract: Contract) -> None:
    texts = [feature.name for feature in contract.features if feature.kind is Kind.CATEGORY]
    if texts or given.type not in _FLOATS:
        raise BundleError(
            f"the ONNX model takes one {given.type} matrix, but {', '.join(texts) or 'a number'} does not fit in it: "
            "export it with one input per feature, or encode before it"
        )
    width = given.shape[1] if len(given.shape) == 2 else None
    if isinstance(width, int) and width != len(contract.features):
        raise BundleError(
            f"the ONNX model takes {counted(width, 'column')}, but the contract has "
            f"{counted(len(contract.features), 'feature')}: "
            "name the model's features"
        )


def _grouped(inputs: Sequence[Any], contract: Contract) -> list[_Group]:
    features = {feature.name: (place, feature) for place, feature in enumerate(contract.features)}
    if missing := [given.name for given in inputs if given.name not in features]:
        raise BundleError(f"the ONNX model asks for {', '.join(missing)}, which the contract does not have")
    if unused := set(features) - {given.name for given in inputs}:
        raise BundleError(f"the ONNX model does not take {', '.join(sorted(unused))}: leave them out of the features")
    by_type: dict[str, list[str]] = {}
    for given in inputs:
        _check_input(given, features[given.name][1])
        by_type.setdefault(given.type, []).append(given.name)
    return [
        _Group(
            tuple(names),
            tuple(features[name][0] for name in names),
            _picker(tuple(features[name][0] for name in names)),
            _TYPES[form],
            text=form == "tensor(string)",
        )
        for form, names in by_type.items()
    ]


def _check_input(given: Any, feature: Feature) -> None:
    """Refuses a pairing that would cut numbers, or lose nulls."""
    is_text, is_category = given.type == "tensor(string)", feature.kind is Kind.CATEGORY
    fits = is_text == is_category and given.type in _TYPES and len(given.shape) == 2
    if given.type in _WHOLE:
        fits = fits and feature.kind is not Kind.NUMBER and not feature.nullable
    if not fits:
        null = "nullable " if feature.nullable else ""
        raise BundleError(
            f"the ONNX model's input {given.name} is {given.type} of shape {given.shape}, but the feature is a "
            f"{null}{feature.kind.value}: export it with float or string inputs of shape [n, 1]"
        )


def _picker(places: tuple[int, ...]) -> Callable[[Row], Row]:
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


def _answer_of(outputs: Sequence[Any], task: Task) -> list[str]:
    """The output that holds the answer: numbers, or a ZipMap; never the label."""
    for output in outputs:
        if output.type in _FLOATS or (task is not Task.REGRESSION and output.type.startswith("seq(map(")):
            return [output.name]
    found = ", ".join(f"{output.name} {output.type}" for output in outputs)
    wanted = "values" if task is Task.REGRESSION else "probabilities"
    raise BundleError(f"the ONNX model gives no {wanted} (its outputs: {found}): export it with them")
