"""Reads model files: what they say of themselves, the model itself, and its translations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.portable import convert, convert_booster
from fairlead.adapters.predictors.boosters import Booster, inside, load_booster, try_out
from fairlead.adapters.predictors.formats import NATIVE, RUN_CODE, check_trust, format_of, load_sklearn
from fairlead.adapters.predictors.mlflow_folder import NO_FILE, described, native_file
from fairlead.adapters.predictors.onnx import OnnxPredictor, is_matrix, session
from fairlead.adapters.predictors.pyfunc import PyfuncModel
from fairlead.adapters.predictors.python_code import PythonModel, sources, split_call
from fairlead.adapters.predictors.served import native_predictor, sklearn_predictor
from fairlead.adapters.predictors.sklearn import classes_of, names_of
from fairlead.core.contract import Contract
from fairlead.errors import UsageError
from fairlead.ports.model_reader import Conversion, ModelFacts, OpenedModel
from fairlead.ports.predictor import Predictor

_WRAPPED = ("xgboost", "lightgbm", "catboost")


class ModelFiles:
    """Reads models that are data (skops, ONNX, XGBoost, LightGBM, CatBoost) and, trusted by name, models that run code
    (pickle, joblib, cloudpickle; a Python function; any MLflow model)."""

    def __init__(self, trust: Collection[str] = ()) -> None:
        """`trust` names the formats that may run code when they are loaded."""
        self._trust = frozenset(trust)

    def open(self, path: Path) -> OpenedModel:
        """Reads a model: a file, an MLflow model's folder, or `FILE.py:FUNCTION`.

        Raises `UsageError`, `BundleError`, or `UntrustedFormat` before anything has run.
        """
        place, call = split_call(path)
        if not place.exists():
            raise UsageError(f"the model {path} does not exist: give the path of a .skops, .onnx, .ubj, … file")
        if call or place.suffix == ".py":
            return self._python(place, call)
        if place.is_dir():
            return self._folder(place)
        return self._file(place)

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        """A predictor of a translation."""
        return native_predictor(conversion.format, conversion.model or b"", contract)

    def _file(self, path: Path, source: Path | None = None) -> OpenedModel:
        form = format_of(path.name)
        check_trust(path.name, form, self._trust)
        if form in _WRAPPED:
            try_out(path, form)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"the model {path} cannot be read: {error.strerror}") from error
        if form == "onnx":
            return OpenedOnnx(data, source)
        if form in NATIVE:
            return OpenedBooster(load_booster(form, data), data, source)
        return OpenedSklearn(load_sklearn(path.name, form, data, self._trust), form, source)

    def _folder(self, folder: Path) -> OpenedModel:
        """An MLflow model: its native file where that needs no trust, or has it; else the whole, as MLflow runs it."""
        flavors = described(folder, str(folder))
        file = native_file(folder, flavors)
        runs = file is not None and format_of(file.name) in RUN_CODE - self._trust
        whole = "python_function" in flavors and "pyfunc" in self._trust
        if file is not None and not (runs and whole):
            return self._file(file, file)
        if "python_function" not in flavors:
            raise UsageError(
                f"{folder} is an MLflow model of flavour {', '.join(sorted(flavors)) or 'none'}: {NO_FILE}"
            )
        check_trust(folder.name, "pyfunc", self._trust)
        return OpenedCode(PyfuncModel(folder))

    def _python(self, path: Path, call: str) -> OpenedModel:
        check_trust(path.name, "python", self._trust)
        if not call:
            raise UsageError(f"the model {path} is Python code: name its function, as in {path.name}:predict")
        return OpenedCode(PythonModel(path, sources(path), call))


class OpenedSklearn:
    """A scikit-learn model in memory."""

    def __init__(self, model: Any, form: str, source: Path | None = None) -> None:
        """Raises `UsageError` for something that does not predict."""
        if not hasattr(model, "predict"):
            raise UsageError(f"the file holds a {type(model).__name__}, which has no predict(): save the fitted model")
        self._model = model
        self.facts = ModelFacts(
            format=form,
            names=names_of(model),
            width=getattr(model, "n_features_in_", None) or len(names_of(model)) or None,
            classes=classes_of(model),
            classifier=bool(classes_of(model)),
            source=source,
        )

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself."""
        return sklearn_predictor(self._model, contract)

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        """The booster that it wraps, where it wraps one, and its translation to ONNX."""
        found = inside(self._model)
        if found is None:
            return [convert(self._model, contract)]
        form, data = found
        return [Conversion(data, format=form), convert_booster(form, data, contract)]


class OpenedBooster:
    """A boosting library's own model in memory."""

    def __init__(self, model: Booster, data: bytes, source: Path | None = None) -> None:
        """`data` is its file."""
        self._model = model
        self._data = data
        self.facts = msgspec.structs.replace(model.facts, source=source)

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself."""
        return self._model.predictor(contract)

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        """Its translation to ONNX."""
        return [convert_booster(self.facts.format, self._data, contract)]


class OpenedCode:
    """A Python function or an MLflow model: code, which has no translation."""

    def __init__(self, model: PythonModel | PyfuncModel) -> None:
        """`model` is loaded and trusted."""
        self._model = model
        self.facts = model.facts

    def predictor(self, contract: Contract) -> Predictor:
        """The code itself."""
        return self._model.predictor(contract)

    def translations(self, contract: Contract) -> Sequence[Conversion]:  # noqa: ARG002  # the port's signature
        """None: code is run as it is."""
        return [Conversion(None, "it is Python code, which has no translation")]


class OpenedOnnx:
    """An ONNX model in memory. It is portable already."""

    def __init__(self, data: bytes, source: Path | None = None) -> None:
        """Raises `BundleError` when ONNX Runtime cannot load it."""
        self._data = data
        opened = session(data)
        inputs = opened.get_inputs()
        matrix = is_matrix(inputs, ())
        width = inputs[0].shape[1] if matrix and len(inputs[0].shape) == 2 else None
        labels = _labels(data)
        self.facts = ModelFacts(
            format="onnx",
            names=() if matrix else tuple(given.name for given in inputs),
            width=width if isinstance(width, int) else None,
            classes=labels,
            classifier=True if labels else None,
            source=source,
        )

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself."""
        return OnnxPredictor(self._data, contract)

    def translations(self, contract: Contract) -> Sequence[Conversion]:  # noqa: ARG002  # the port's signature
        """None: it is served as it is."""
        return [Conversion(None, "it is an ONNX model already")]


def _labels(data: bytes) -> tuple[str, ...]:
    """The class labels that a classifier's node carries."""
    try:
        import onnx
    except ModuleNotFoundError:  # only the labels are lost: the target's own are taken then
        return ()
    for node in onnx.load_model_from_string(data).graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints):
                return tuple(text.decode() for text in attribute.strings) or tuple(map(str, attribute.ints))
    return ()
