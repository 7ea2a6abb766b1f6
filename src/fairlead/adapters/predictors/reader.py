"""Reads model files: what they say of themselves, the model itself, and its translation."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from fairlead.adapters.portable import convert
from fairlead.adapters.predictors.formats import check_trust, format_of, load_sklearn
from fairlead.adapters.predictors.onnx import OnnxPredictor, is_matrix, session
from fairlead.adapters.predictors.sklearn import SklearnPredictor, classes_of, names_of
from fairlead.core.contract import Contract
from fairlead.errors import UsageError
from fairlead.ports.model_reader import Conversion, ModelFacts
from fairlead.ports.predictor import Predictor


class ModelFiles:
    """Reads scikit-learn models (skops; pickle, joblib and cloudpickle when trusted by name) and ONNX models."""

    def __init__(self, trust: Collection[str] = ()) -> None:
        """`trust` names the formats that may run code when they are loaded."""
        self._trust = frozenset(trust)

    def open(self, path: Path) -> OpenedSklearn | OpenedOnnx:
        """Reads a model file. Raises `UsageError`, `BundleError`, or `UntrustedFormat` before anything has run."""
        if not path.is_file():
            what = "is a folder, not a model file" if path.is_dir() else "does not exist"
            raise UsageError(f"the model {path} {what}: give the path of a .skops or .onnx file")
        form = format_of(path.name)
        check_trust(path.name, form, self._trust)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"the model {path} cannot be read: {error.strerror}") from error
        if form == "onnx":
            return OpenedOnnx(data)
        return OpenedSklearn(load_sklearn(path.name, form, data, self._trust), form)

    def onnx(self, model: bytes, contract: Contract) -> Predictor:
        """A predictor of a portable model."""
        return OnnxPredictor(model, contract)


class OpenedSklearn:
    """A scikit-learn model in memory."""

    def __init__(self, model: Any, form: str) -> None:
        """Raises `UsageError` for something that does not predict."""
        if not hasattr(model, "predict"):
            raise UsageError(f"the file holds a {type(model).__name__}, which has no predict(): save the fitted model")
        self._model = model
        self.facts = ModelFacts(
            format=form,
            names=names_of(model),
            width=getattr(model, "n_features_in_", None),
            classes=classes_of(model),
            classifier=hasattr(model, "classes_"),
        )

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself."""
        return SklearnPredictor(self._model, contract)

    def portable(self, contract: Contract) -> Conversion:
        """Its translation to ONNX."""
        return convert(self._model, contract)


class OpenedOnnx:
    """An ONNX model in memory. It is portable already."""

    def __init__(self, data: bytes) -> None:
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
        )

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself."""
        return OnnxPredictor(self._data, contract)

    def portable(self, contract: Contract) -> Conversion:  # noqa: ARG002  # the port's signature
        """None: it is served as it is."""
        return Conversion(None, "it is an ONNX model already")


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
