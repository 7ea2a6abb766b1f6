"""Reading a model as it was trained, and turning it into what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.core.contract import Contract
from fairlead.ports.predictor import Predictor


class ModelFacts(Struct, frozen=True):
    """What a model says of itself. Empty or None where it does not."""

    format: str  # skops | onnx | pickle | joblib | cloudpickle
    names: tuple[str, ...] = ()  # the features by name, in its order
    width: int | None = None  # the number of features
    classes: tuple[str, ...] = ()  # as text, in the order of the probability columns
    classifier: bool | None = None


class Conversion(Struct, frozen=True):
    """A model in the portable format, or the reason why there is none."""

    model: bytes | None
    reason: str = ""


class OpenedModel(Protocol):
    """A model file, read once."""

    @property
    def facts(self) -> ModelFacts:
        """What it says of itself."""
        ...

    def predictor(self, contract: Contract) -> Predictor:
        """The model itself, answering rows of the contract. Raises `UsageError` when it cannot."""
        ...

    def portable(self, contract: Contract) -> Conversion:
        """Its translation. Whether that answers as the original does is the caller's to measure."""
        ...


class ModelReader(Protocol):
    """Reads models. What formats it trusts is its own setting."""

    def open(self, path: Path) -> OpenedModel:
        """Reads a model file. Raises `UsageError`, or `UntrustedFormat` before anything of it has run."""
        ...

    def onnx(self, model: bytes, contract: Contract) -> Predictor:
        """A predictor of a portable model. Raises `BundleError` when it does not fit the contract."""
        ...
