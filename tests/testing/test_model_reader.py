"""The model reader for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.ports.model_reader import ModelFacts
from fairlead.ports.predictor import Predictor
from fairlead.testing.model_reader import ScriptedModel, check_model_reader
from fairlead.testing.predictor import FixedPredictor


@pytest.mark.parametrize("portable", [None, FixedPredictor(0.5, 0.5)])
def test_keeps_the_port(portable: Predictor | None, tmp_path: Path) -> None:
    """It is a model reader, with or without a translation."""
    (tmp_path / "model.skops").write_text("anything")
    contract = Contract((Feature("nights", Kind.INTEGER),), Task.BINARY, "canceled", ("0", "1"))
    reader = ScriptedModel(ModelFacts("skops", ("nights",), 1, ("0", "1"), True), FixedPredictor(0.4, 0.6), portable)
    check_model_reader(reader, tmp_path / "model.skops", contract, [(1,), (2,)])
