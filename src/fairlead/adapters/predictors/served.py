"""What answers a bundle's rows: the predictor of a model whose bytes were checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from fairlead.adapters.predictors.boosters import inside, load_booster
from fairlead.adapters.predictors.formats import NATIVE, check_trust, load_sklearn
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.predictors.sklearn import SklearnPredictor, names_of
from fairlead.core.contract import Contract
from fairlead.errors import FairleadError
from fairlead.ports.predictor import Predictor


class Checked(Struct, frozen=True):
    """A model in a bundle: its format, where it lies, its files' bytes by their path in it ("" for one file)."""

    format: str
    path: Path
    files: Mapping[str, bytes]
    call: str = ""


def predictor_of(model: Checked, contract: Contract, trust: frozenset[str]) -> Predictor:
    """Loads a model. Raises `UntrustedFormat` before anything has run, `BundleError`, or `MissingExtra`."""
    name = model.path.name
    check_trust(name, model.format, trust)
    if model.format == "python":
        from fairlead.adapters.predictors.python_code import INIT, PythonModel

        files = {INIT: model.files[""]} if "" in model.files else model.files
        return PythonModel(model.path, files, model.call).predictor(contract)
    if model.format == "pyfunc":
        from fairlead.adapters.predictors.pyfunc import PyfuncModel

        return PyfuncModel(model.path).predictor(contract)
    data = model.files[""]
    if model.format in NATIVE:
        return native_predictor(model.format, data, contract)
    return sklearn_predictor(load_sklearn(name, model.format, data, trust), contract)


def native_predictor(form: str, data: bytes, contract: Contract) -> Predictor:
    """A predictor of a model that is data: ONNX, or a library's own format."""
    return OnnxPredictor(data, contract) if form == "onnx" else load_booster(form, data).predictor(contract)


def sklearn_predictor(model: Any, contract: Contract) -> SklearnPredictor:
    """A scikit-learn model as it was trained: a wrapped booster gets its categories back."""
    found = inside(model)
    if found is None or found[0] == "catboost":  # CatBoost takes its categories as text
        return SklearnPredictor(model, contract)
    try:
        places = getattr(load_booster(*found), "categories", {})
    except FairleadError:  # an objective of its own, say: the wrapper answers it
        places = {}
    names = names_of(model)
    return SklearnPredictor(model, contract, {names[at]: kept for at, kept in places.items() if at < len(names)})
