"""The bundle store for tests."""

from __future__ import annotations

from pathlib import Path

from fairlead.testing.bundles import ScriptedBundles, check_bundles, example
from fairlead.testing.predictor import FixedPredictor


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a bundle store."""
    (tmp_path / "work").mkdir()
    check_bundles(ScriptedBundles(tmp_path / "store"), tmp_path / "work")


def test_answers_as_scripted(tmp_path: Path) -> None:
    """The served and the original model can answer differently."""
    (tmp_path / "work").mkdir()
    store = ScriptedBundles(tmp_path / "store")
    digest = store.put(tmp_path / "work", example(tmp_path / "work"))
    store.script(digest, FixedPredictor(0.1, 0.9))
    store.script(digest, FixedPredictor(0.2, 0.8), original=True)
    assert store.load(digest).predict([(1,)]).tolist() == [[0.1, 0.9]]
    assert store.load(digest, original=True).predict([(1,)]).tolist() == [[0.2, 0.8]]
