"""A bundle whose model takes every row of a contract and fails on each: what a failure looks like from outside."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from fairlead.core.bundle import GOLDEN, Golden, Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind
from fairlead.errors import MissingExtra

MODEL_FILE = "model/model.onnx"
_NO_SHAPE = 1_000_003  # rows that no request has: the reshape to it fails whatever comes


def write_failing(folder: Path, contract: Contract) -> Manifest:
    """Writes the bundle's files and returns its manifest. Its golden set is empty, so that it loads.

    Raises `MissingExtra` without the package onnx.
    """
    contents = {MODEL_FILE: failing_onnx(contract), GOLDEN: msgspec.json.encode(Golden((), ()))}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Manifest(
        name="failing",
        contract=contract,
        model_format="onnx",
        model_entry=MODEL_FILE,
        served=MODEL_FILE,
        files={name: sha256(content).hexdigest() for name, content in contents.items()},
        lineage=Lineage("none", "0" * 64, 0),
    )


def failing_onnx(contract: Contract) -> bytes:
    """An ONNX model with an input for each feature, which reshapes them to what they never fit."""
    try:
        from onnx import TensorProto, helper
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "onnx", "making a model that fails, to see how failures are logged") from error
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
