"""A bundle whose model takes every row of a contract and fails on each: what a failure looks like from outside.

The model is a plain one in a format that runs no code, as a caller's own would be. What is installed decides which.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import MissingExtra

_NO_SHAPE = 1_000_003  # rows that no request has: the reshape to it fails whatever comes
_PURPOSE = "making a model that fails, to see how failures are logged"


def write_failing(folder: Path, contract: Contract) -> Manifest:
    """Writes the bundle's files and returns its manifest. Its golden set is empty, so that it loads.

    ONNX where that is installed, since a worker reads it soonest; else scikit-learn. Raises `MissingExtra` without
    either.
    """
    form, write = _format()
    entry = f"model/model.{form}"
    contents = {entry: write(contract), GOLDEN: msgspec.json.encode(Golden((), ()))}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Manifest(
        name="failing",
        contract=contract,
        model_format=form,
        model_entry=entry,
        served=entry,
        files={name: sha256(content).hexdigest() for name, content in contents.items()},
        lineage=Lineage("none", "0" * 64, 0),
    )


def _format() -> tuple[str, Callable[[Contract], bytes]]:
    """What can be written here and read by a worker that is started here."""
    if all(find_spec(name) for name in ("onnx", "onnxruntime")):
        return "onnx", failing_onnx
    if all(find_spec(name) for name in ("sklearn", "skops")):
        return "skops", failing_sklearn
    raise MissingExtra("scikit-learn", "sklearn", _PURPOSE)


def failing_sklearn(contract: Contract) -> bytes:
    """A linear model, in skops' format, of one feature more than the contract has: scikit-learn refuses each row."""
    import numpy as np
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from skops import io as skops

    width = len(contract.features) + 1
    if contract.task is Task.REGRESSION:
        model: Any = LinearRegression()
        model.coef_, model.intercept_ = np.zeros(width), 0.0
    else:
        model = LogisticRegression()
        outputs = len(contract.classes) if len(contract.classes) > 2 else 1
        model.coef_, model.intercept_ = np.zeros((outputs, width)), np.zeros(outputs)
        model.classes_ = np.array(contract.classes)
    model.n_features_in_ = width
    data: bytes = skops.dumps(model)
    return data


def failing_onnx(contract: Contract) -> bytes:
    """An ONNX model with an input for each feature, which reshapes them to what they never fit."""
    from onnx import TensorProto, helper

    inputs, nodes = [], []
    for place, feature in enumerate(contract.features):
        text = feature.kind is Kind.CATEGORY
        form = TensorProto.STRING if text else TensorProto.FLOAT
        inputs.append(helper.make_tensor_value_info(feature.name, form, [None, 1]))
        nodes.append(_as_number(helper, feature, f"number_{place}", text=text))
    numbers = [f"number_{place}" for place in range(len(inputs))]
    nodes.append(helper.make_node("Concat", numbers, ["row"], axis=1))
    nodes.append(helper.make_node("Reshape", ["row", "shape"], ["probability"]))
    graph = helper.make_graph(
        nodes,
        "failing",
        inputs,
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [_NO_SHAPE, 1])],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return model


def _as_number(helper: Any, feature: Feature, name: str, *, text: bool) -> Any:
    if not text:
        return helper.make_node("Identity", [feature.name], [name])
    return helper.make_node(
        "LabelEncoder",
        [feature.name],
        [name],
        domain="ai.onnx.ml",
        keys_strings=["a"],
        values_floats=[1.0],
        default_float=0.0,
    )
