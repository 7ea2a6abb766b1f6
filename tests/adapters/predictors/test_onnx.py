"""Portable models, answered by ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

from fairlead.adapters.portable import convert
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import BundleError
from fairlead.testing.predictor import check_predictor


def portable(fitted: Any) -> bytes:
    """The translation of a model that has one."""
    conversion = convert(fitted.model, fitted.contract)
    assert conversion.model is not None, conversion.reason
    return conversion.model


def test_answers_as_the_original_does(fitted: Any) -> None:
    """Every kind of model and column, nulls included, within float32; and it is a predictor."""
    predictor = OnnxPredictor(portable(fitted), fitted.contract)
    assert np.allclose(predictor.predict(fitted.rows), fitted.answers, rtol=1e-5, atol=1e-5)
    check_predictor(predictor, fitted.rows, len(fitted.contract.classes) or 1)


@given(
    price=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    nights=st.integers(-(2**63), 2**63 - 1),
    meal=st.none() | st.text(max_size=8),
)
@settings(max_examples=50, deadline=None)
def test_any_row_of_the_right_types_is_answered(price: float | None, nights: int, meal: str | None, mixed: Any) -> None:
    """Numbers beyond float32, huge integers and strange texts give probabilities, not errors or warnings."""
    predictor = OnnxPredictor(_cached(mixed), mixed.contract)
    answer = predictor.predict([(meal, price, nights, True)])
    assert np.isfinite(answer).all()
    assert answer.sum() == pytest.approx(1.0, abs=1e-5)


_MODELS: dict[int, bytes] = {}


def _cached(fitted: Any) -> bytes:
    if id(fitted) not in _MODELS:
        _MODELS[id(fitted)] = portable(fitted)
    return _MODELS[id(fitted)]


def test_a_zipmap_is_read(linear: Any) -> None:
    """A model exported with one dict per row gives the same probabilities."""
    model = to_onnx(linear.model, initial_types=[("features", FloatTensorType([None, 2]))], target_opset=21)
    answers = OnnxPredictor(model.SerializeToString(), linear.contract).predict(linear.rows)
    assert np.allclose(answers, linear.answers, atol=1e-5)


def test_whole_inputs_are_fed_whole_numbers(line: Any) -> None:
    """An int64 input takes an integer feature, and refuses one that may be missing."""
    model = to_onnx(line.model, initial_types=[("nights", Int64TensorType([None, 1]))], target_opset=21)
    data = model.SerializeToString()
    assert np.allclose(OnnxPredictor(data, line.contract).predict(line.rows), line.answers, atol=1e-4)
    nullable = (msgspec.structs.replace(line.contract.features[0], nullable=True),)
    with pytest.raises(BundleError, match=r"input nights is tensor.int64.* nullable integer"):
        OnnxPredictor(data, msgspec.structs.replace(line.contract, features=nullable))


def graph(inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, tuple[int, list[Any]]], *nodes: Any) -> bytes:
    """A model of a few nodes."""

    def infos(named: dict[str, tuple[int, list[Any]]]) -> list[Any]:
        return [helper.make_tensor_value_info(name, form, shape) for name, (form, shape) in named.items()]

    made = helper.make_graph(list(nodes), "g", infos(inputs), infos(outputs))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


ONE = Contract((Feature("x", Kind.NUMBER),), Task.BINARY, "y", ("0", "1"))
SIGMOID = graph(
    {"x": (TensorProto.FLOAT, [None, 1])},
    {"p": (TensorProto.FLOAT, [None, 1])},
    helper.make_node("Sigmoid", ["x"], ["p"]),
)


def test_one_probability_is_two() -> None:
    """A network that gives only the probability of the last class."""
    assert OnnxPredictor(SIGMOID, ONE).predict([(0.0,)]).tolist() == [[0.5, 0.5]]


TWO = (*ONE.features, Feature("z", Kind.NUMBER))
MATRIX = graph(
    {"m": (TensorProto.FLOAT, [None, 3])},
    {"p": (TensorProto.FLOAT, [None, 3])},
    helper.make_node("Identity", ["m"], ["p"]),
)
SUM = graph(
    {"x": (TensorProto.FLOAT, [None, 1]), "w": (TensorProto.FLOAT, [None, 1])},
    {"p": (TensorProto.FLOAT, [None, 1])},
    helper.make_node("Add", ["x", "w"], ["p"]),
)
LABEL = graph(
    {"x": (TensorProto.FLOAT, [None, 1])},
    {"label": (TensorProto.INT64, [None, 1])},
    helper.make_node("Cast", ["x"], ["label"], to=TensorProto.INT64),
)


@pytest.mark.parametrize(
    ("model", "changes", "what"),
    [
        (b"not onnx", {}, "ONNX Runtime cannot load"),
        (SIGMOID, {"features": (Feature("other", Kind.CATEGORY),)}, "other does not fit"),
        (SUM, {"features": TWO}, "asks for w"),
        (SIGMOID, {"features": (Feature("x", Kind.CATEGORY),)}, "input x is tensor.float"),
        (MATRIX, {"features": TWO}, "takes 3 columns, but the contract has 2"),
        (LABEL, {}, "gives no probabilities .its outputs: label"),
        (LABEL, {"task": Task.REGRESSION, "classes": ()}, "gives no values"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_refused(model: bytes, changes: dict[str, Any], what: str) -> None:
    """When it is loaded, not when the first request comes."""
    with pytest.raises(BundleError, match=what):
        OnnxPredictor(model, msgspec.structs.replace(ONE, **changes))


def test_features_that_the_model_does_not_take() -> None:
    """A feature without an input is named."""
    three = msgspec.structs.replace(ONE, features=(*TWO, Feature("w", Kind.NUMBER)))
    with pytest.raises(BundleError, match="does not take z"):
        OnnxPredictor(SUM, three)


def test_an_answer_of_another_width_is_an_error() -> None:
    """Three columns are no two classes."""
    contract = msgspec.structs.replace(ONE, features=(*TWO, Feature("w", Kind.NUMBER)))
    with pytest.raises(BundleError, match="answers 3 values per row where 2"):
        OnnxPredictor(MATRIX, contract).predict([(1.0, 2.0, 3.0)])


def test_nothing_is_collected_about_what_runs(tmp_path: Path) -> None:
    """ONNX Runtime keeps a database of events in the user's cache, unless it is told not to before it is loaded."""
    script = (
        "from onnx import TensorProto, helper\n"
        "from fairlead.adapters.predictors.onnx import session\n"
        "x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in 'xy')\n"
        "graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'g', [x], [y])\n"
        "model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=10)\n"
        "session(model.SerializeToString())\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
