"""From scikit-learn to ONNX. Whether the translation answers as the original does is measured by the registration."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from fairlead.core.contract import Contract, Kind
from fairlead.errors import MissingExtra
from fairlead.ports.model_reader import Conversion

# Pinned: the same model converts to the same operators, whatever newer ones a later skl2onnx knows.
OPSETS = {"": 21, "ai.onnx.ml": 3}


def convert(model: Any, contract: Contract) -> Conversion:
    """The ONNX model of a fitted scikit-learn model: numbers as float32, categories as text, nulls as NaN.

    A model without column names takes one matrix, others one input per feature. Float inputs, because skl2onnx
    rounds the thresholds of trees to float32: a double compared with them would fall on the other side.
    """
    try:
        from skl2onnx import to_onnx
    except ModuleNotFoundError as error:
        raise MissingExtra("skl2onnx", "onnx", "converting a model to ONNX") from error
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    reasons = []
    for shape in _shapes(contract):
        try:
            with warnings.catch_warnings():
                # skl2onnx writes OneHotEncoder's flags as booleans where protobuf wants integers; the value is right.
                warnings.filterwarnings("ignore", message=r"Field onnx\.AttributeProto\.ints")
                found = to_onnx(model, initial_types=shape, options=options, target_opset=OPSETS)
        except Exception as error:  # noqa: BLE001  # a converter may fail in any way; the original is then served
            reasons.append(str(error).partition("\n")[0] or type(error).__name__)
        else:
            return Conversion(found.SerializeToString())
    return Conversion(None, f"skl2onnx cannot convert {type(model).__name__}: {reasons[-1]}")


def _shapes(contract: Contract) -> Sequence[list[tuple[str, Any]]]:
    """The inputs to try, fastest first."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    features = contract.features
    each = [
        (feature.name, StringTensorType([None, 1]) if feature.kind is Kind.CATEGORY else FloatTensorType([None, 1]))
        for feature in features
    ]
    if any(feature.kind is Kind.CATEGORY for feature in features):
        return [each]
    return [[("features", FloatTensorType([None, len(features)]))], each]
