"""From scikit-learn and the boosting libraries to ONNX; the registration measures whether the answers are the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairlead.core.contract import Contract, Kind
from fairlead.ports.model_reader import Conversion

# Pinned: the same model converts to the same operators, whatever newer ones a later skl2onnx knows.
OPSETS = {"": 21, "ai.onnx.ml": 3}
INSTALL = "pip install 'fairlead[onnx]'"


def convert(model: Any, contract: Contract) -> Conversion:
    """The ONNX model of a fitted scikit-learn model: numbers as float32, categories as text, nulls as NaN.

    A model without column names takes one matrix, others one input per feature. Float inputs, because skl2onnx
    rounds the thresholds of trees to float32: a double compared with them would fall on the other side. What cannot be
    converted, here, is a reason, not an error: the original is served then.
    """
    try:
        from skl2onnx import to_onnx
    except ModuleNotFoundError:
        return Conversion(None, f"skl2onnx is not installed, which converts it to ONNX: {INSTALL}")
    _know_wrappers(model)
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


def convert_booster(form: str, data: bytes, contract: Contract) -> Conversion:
    """The ONNX model of a boosting library's own file: one float32 matrix in, probabilities or values out.

    Needs the library's own Python package, and no categories: ONNX's trees know none. What cannot be converted is a
    reason, not an error.
    """
    if any(feature.kind is Kind.CATEGORY for feature in contract.features):
        return Conversion(None, f"ONNX has no trees with categories, which this {form} model takes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Conversion(_BOOSTERS[form](data, len(contract.features)))
    except ModuleNotFoundError as error:
        return Conversion(None, f"{error.name} is not installed, which converts it to ONNX")
    except Exception as error:  # noqa: BLE001  # a converter may fail in any way; the original is then served
        text = str(error).partition("\n")[0] or type(error).__name__
        return Conversion(None, f"onnxmltools cannot convert this {form} model: {text}")


def _matrix(width: int) -> list[tuple[str, Any]]:
    from onnxmltools.convert.common.data_types import FloatTensorType

    return [("features", FloatTensorType([None, width]))]


def _xgboost(data: bytes, width: int) -> bytes:
    from onnxmltools import convert_xgboost
    from xgboost import Booster

    booster = Booster()
    booster.load_model(bytearray(data))
    booster.feature_names = None  # the converter wants f0, f1, …
    booster.feature_types = None  # it cannot read the splits of flags, and those of whole numbers are dumped rounded
    return bytes(convert_xgboost(booster, initial_types=_matrix(width)).SerializeToString())


def _lightgbm(data: bytes, width: int) -> bytes:
    from lightgbm import Booster
    from onnxmltools import convert_lightgbm

    booster = Booster(model_str=data.decode())
    return bytes(convert_lightgbm(booster, initial_types=_matrix(width), zipmap=False).SerializeToString())


def _catboost(data: bytes, _: int) -> bytes:
    from catboost import CatBoost

    model = CatBoost()
    model.load_model(blob=data, format="cbm")
    with TemporaryDirectory(prefix="fairlead-onnx-") as folder:
        model.save_model(f"{folder}/model.onnx", format="onnx")
        return Path(folder, "model.onnx").read_bytes()


_BOOSTERS: dict[str, Callable[[bytes, int], bytes]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}


def _know_wrappers(model: Any) -> None:
    """Tells skl2onnx of the boosting libraries' scikit-learn wrappers, where the model or a step of it is one."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    for step in [model, *(step for _, step in getattr(model, "steps", ()))]:
        package = type(step).__module__.partition(".")[0]
        try:
            converter = _wrapper_converter(package)
        except ModuleNotFoundError:  # then skl2onnx says that it does not know the model
            continue
        if converter is None:
            continue
        classifier = hasattr(step, "classes_")
        shapes = calculate_linear_classifier_output_shapes if classifier else calculate_linear_regressor_output_shapes
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False]} if classifier else None
        update_registered_converter(type(step), f"Fairlead{type(step).__name__}", shapes, converter, options=options)


def _wrapper_converter(package: str) -> Any:
    if package == "xgboost":
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

        return convert_xgboost
    if package == "lightgbm":
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        return convert_lightgbm
    return None
