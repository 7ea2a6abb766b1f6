"""Reading a model as it was trained, and turning it into what is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.core.contract import Contract
from fairlead.ports.predictor import Predictor

# What of a folder is no part of a model: bytecode and hidden files.
LEFT_OUT = ("__pycache__", ".*", "*.pyc")


class ModelFacts(Struct, frozen=True):
    """What a model says of itself. Empty or None where it does not."""

    format: str  # skops | onnx | xgboost | lightgbm | catboost | pickle | joblib | cloudpickle | python | pyfunc
    names: tuple[str, ...] = ()  # the features by name, in its order
    width: int | None = None  # the number of features
    classes: tuple[str, ...] = ()  # as text, in the order of the probability columns
    classifier: bool | None = None
    outputs: int | None = None  # the number of classes, where the model knows how many but not what they are called
    source: Path | None = None  # what goes into the bundle, a file or a folder, where it is not what was opened
    call: str = ""  # what is called in it: the function's name in a Python file or package


class Conversion(Struct, frozen=True):
    """A model in another format that may be faster, or the reason why there is none."""

    model: bytes | None
    reason: str = ""
    format: str = "onnx"  # onnx | xgboost | lightgbm | catboost


class OpenedModel(Protocol):
    """A model file, read once."""

    @property
    def facts(self) -> ModelFacts:
        """What it says of itself."""
        ...

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself, answering rows of the contract. Raises `UsageError` when it cannot."""
        ...

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        """Itself in other formats. Whether one answers as the original does is the caller's to measure."""
        ...


class ModelReader(Protocol):
    """Reads models. What formats it trusts is its own setting."""

    def open(self, path: Path) -> OpenedModel:
        """Reads a model file. Raises `UsageError`, or `UntrustedFormat` before anything of it has run."""
        ...

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        """A predictor of a translation. Raises `BundleError` when it does not fit the contract."""
        ...
