"""A model reader that gives what it was told to, and what every model reader keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead.core.contract import Contract
from fairlead.errors import UsageError
from fairlead.ports.model_reader import Conversion, ModelFacts, ModelReader
from fairlead.ports.predictor import Predictor
from fairlead.testing.predictor import FixedPredictor, check_predictor


class ScriptedModel:
    """Opens as itself, whatever the file holds."""

    def __init__(
        self,
        facts: ModelFacts,
        original: Predictor,
        portable: Predictor | None = None,
    ) -> None:
        """Without `portable` the model has no translation."""
        self.facts = facts
        self._original = original
        self._portable = portable

    def open(self, path: Path) -> ScriptedModel:
        """Itself, if the file is there."""
        if not path.is_file():
            raise UsageError(f"the model {path} does not exist")
        return self

    def predictor(self, contract: Contract) -> Predictor:  # noqa: ARG002  # the port's signature
        """The original."""
        return self._original

    def translations(self, contract: Contract) -> Sequence[Conversion]:  # noqa: ARG002  # the port's signature
        """Some bytes, if there is a translation."""
        return [Conversion(None, "it has none") if self._portable is None else Conversion(b"portable")]

    def translated(self, conversion: Conversion, contract: Contract) -> Predictor:  # noqa: ARG002  # the port's signature
        """The translation."""
        return self._portable or FixedPredictor()


def check_model_reader(reader: ModelReader, path: Path, contract: Contract, rows: Sequence[tuple[Any, ...]]) -> None:
    """What every reader keeps. `path` is a model of the contract, which can be translated; `rows` are some of its."""
    model = reader.open(path)
    width = len(contract.classes) or 1
    assert model.facts.names in ((), contract.names), "the model's own names, in its order"
    assert model.facts.width in (None, len(contract.features)), "the number of features"
    assert model.facts.classes in ((), contract.classes), "the classes, as text"
    assert model.facts.outputs in (None, len(contract.classes)), "the number of classes"
    check_predictor(model.predictor(contract), rows, width)
    translations = model.translations(contract)
    assert translations, "a translation, or a reason why there is none"
    for conversion in translations:
        assert conversion.model is not None or conversion.reason, "no translation without a reason"
        if conversion.model is not None:
            check_predictor(reader.translated(conversion, contract), rows, width)
    for missing in (path.with_name("missing.skops"), path.parent):
        try:
            reader.open(missing)
        except UsageError:
            continue
        raise AssertionError(f"{missing} was opened")
