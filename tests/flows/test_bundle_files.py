"""The files of a bundle."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from fairlead.core.bundle import Golden, Lineage, ModelCard, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.report import SCORE
from fairlead.errors import UsageError
from fairlead.flows.bundle_files import card_of, manifest_of, reference_profile, write
from fairlead.flows.candidate import Candidate, Measured, Rows
from fairlead.ports.model_reader import ModelFacts
from fairlead.stats.profile import NumericProfile
from fairlead.testing.dataset import MemoryDataset

CONTRACT = Contract((Feature("x", Kind.NUMBER),), Task.MULTICLASS, "y", ("a", "b", "c"))
DATA = MemoryDataset({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"], "region": ["north", "south", None]})
ROWS = Rows(DATA, DATA, DATA)
ANSWERS = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
LINEAGE = Lineage("july", "0" * 64, 3)


def measured(portable: bytes | None) -> Measured:
    golden = Golden(({"x": 1.0},), ((0.5, 0.3, 0.2),))
    metrics = {"accuracy": 1.0, "portable_speedup": 9.0}
    return Measured(CONTRACT, golden, np.arange(3.0), ANSWERS, metrics, portable, Parity(1, 0.0, 1e-5), "")


def candidate(folder: Path) -> Candidate:
    (folder / "trained.skops").write_bytes(b"a model")
    return Candidate("hotel", folder / "trained.skops", "y", LINEAGE, "today", segments=("region",))


@pytest.mark.parametrize(("portable", "served"), [(None, "model/trained.skops"), (b"onnx", "portable/model.onnx")])
def test_the_manifest_is_what_lies_in_the_folder(portable: bytes | None, served: str, tmp_path: Path) -> None:
    """Every file with the digest of its bytes; the model under its own name; what is served is there."""
    (tmp_path / "bundle").mkdir()
    mine, found = candidate(tmp_path), measured(portable)
    write(tmp_path / "bundle", mine, ROWS, found, ModelCard())
    manifest = manifest_of(tmp_path / "bundle", mine, ModelFacts("skops"), found, LINEAGE)
    assert manifest.served == served
    assert manifest.served in manifest.files
    assert manifest.files["model/trained.skops"] == sha256(b"a model").hexdigest()
    assert {name for name in manifest.files if (tmp_path / "bundle" / name).is_file()} == set(manifest.files)
    assert (manifest.lineage, manifest.contract, manifest.metrics) == (LINEAGE, CONTRACT, found.metrics)


def test_the_profile_ends_with_the_scores(tmp_path: Path) -> None:
    """A multiclass score is the probability of the class that was predicted."""
    profile = reference_profile(ROWS, measured(None))
    assert profile.names == ("x", SCORE)
    score = profile.columns[-1]
    assert isinstance(score, NumericProfile)
    assert (score.minimum, score.maximum, score.present) == (0.4, 0.8, 3)


def test_the_card_speaks_of_the_model_only(tmp_path: Path) -> None:
    """The speed of the translation is no quality of the model; a segment that is no column is an error."""
    card = card_of(candidate(tmp_path), ROWS, measured(None), 4)
    assert (card.version, card.metrics) == ("4", "accuracy 1.0000")
    assert card.subgroup_performance == "accuracy by region: no subgroup has enough rows"
    wrong = Candidate("hotel", tmp_path / "trained.skops", "y", LINEAGE, "today", segments=("x2",))
    with pytest.raises(UsageError, match="no segment column 'x2'"):
        card_of(wrong, ROWS, measured(None), 4)
