"""Models behind a feature function, as a registration reads them."""

from __future__ import annotations

from pathlib import Path

from fairlead.adapters.features.code import packaged
from fairlead.adapters.features.model import FeaturedReader
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.ports.model_reader import ModelFacts
from fairlead.testing.model_reader import ScriptedModel, check_model_reader
from fairlead.testing.predictor import FixedPredictor

CONTRACT = Contract((Feature("nights", Kind.INTEGER),), Task.BINARY, "y", ("no", "yes"))
SEEN = (Feature("twice", Kind.INTEGER), Feature("nights", Kind.INTEGER))


def test_it_reads_as_any_reader_does(tmp_path: Path) -> None:
    """Its models name the request's fields; the model and its translation see what is computed."""
    (tmp_path / "made.py").write_text("def features(row): return {'twice': 2 * row['nights']}")
    (tmp_path / "model.bin").write_bytes(b"")
    original, portable = FixedPredictor(0.3, 0.7), FixedPredictor(0.3, 0.7)
    facts = ModelFacts("onnx", ("twice", "nights"), 2, ("no", "yes"), True)
    reader = FeaturedReader(
        ScriptedModel(facts, original, portable), packaged(tmp_path / "made.py:features", None), ("nights",), SEEN
    )
    check_model_reader(reader, tmp_path / "model.bin", CONTRACT, [(3,), (4,)])
    assert set(original.asked) == set(portable.asked) == {(6, 3), (8, 4)}
    assert reader.open(tmp_path / "model.bin").facts.names == ("nights",)
