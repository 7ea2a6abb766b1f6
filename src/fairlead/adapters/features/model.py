"""Models that see computed features, as a registration reads and measures them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairlead.adapters.features.code import FeaturedPredictor, PackagedFeatures, model_contract
from fairlead.core.contract import Contract, Feature
from fairlead.ports.model_reader import Conversion, ModelFacts, ModelReader, OpenedModel
from fairlead.ports.predictor import Predictor


class FeaturedReader:
    """Reads models behind a function: each takes what a request holds, and sees what the function makes of it."""

    def __init__(
        self, reader: ModelReader, source: PackagedFeatures, fields: tuple[str, ...], seen: tuple[Feature, ...]
    ) -> None:
        """`fields` are a request's, `seen` is what the model sees, in its order."""
        self._reader = reader
        self._source = source
        self._fields = fields
        self._seen = seen

    def open(self, path: Path) -> OpenedModel:
        """Reads a model file. Raises `UsageError`, or `UntrustedFormat` before anything of it has run."""
        return FeaturedModel(self._reader.open(path), self._source, self._fields, self._seen)

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:
        """A predictor of a translation. Raises `BundleError` when it does not fit."""
        return FeaturedPredictor(
            self._source, contract, self._seen, lambda inner: self._reader.translated(conversion, inner)
        )


class FeaturedModel:
    """A model file behind a function, read once."""

    def __init__(
        self, model: OpenedModel, source: PackagedFeatures, fields: tuple[str, ...], seen: tuple[Feature, ...]
    ) -> None:
        self._model = model
        self._source = source
        self._seen = seen
        self._facts = msgspec.structs.replace(model.facts, names=fields, width=None)

    @property
    def facts(self) -> ModelFacts:
        """What the model says of itself, but for its features: a request's fields stand there."""
        return self._facts

    def predictor(self, contract: Contract) -> Predictor:
        """The model, answering rows of the request's contract. Raises `UsageError` when it cannot."""
        return FeaturedPredictor(self._source, contract, self._seen, self._model.predictor)

    def translations(self, contract: Contract) -> Sequence[Conversion]:
        """Itself in other formats."""
        return self._model.translations(model_contract(contract, self._seen))
