"""Models that MLflow keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.mlflow_models import fetch, model_file
from fairlead.adapters.mlflow_registry import MlflowRegistry
from fairlead.core.bundle import digest_of
from fairlead.errors import UsageError
from fairlead.testing.bundles import example


@pytest.mark.parametrize(
    ("described", "file"),
    [
        ("flavors:\n  sklearn:\n    pickled_model: model.skops\n    serialization_format: skops\n", "model.skops"),
        ("flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {}\n", "model.pkl"),
        ("flavors:\n  onnx: {data: model.onnx}\n", "model.onnx"),
    ],
)
def test_an_mlflow_model_names_its_file(described: str, file: str, tmp_path: Path) -> None:
    """The scikit-learn and the ONNX flavour say where the model is."""
    (tmp_path / "MLmodel").write_text(described)
    assert model_file(tmp_path, "models:/hotel/1") == tmp_path / file


def test_a_folder_with_one_model_file_is_that_model(tmp_path: Path) -> None:
    """An artifact folder of a run needs no MLmodel file, as long as it leaves no choice."""
    (tmp_path / "model.skops").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    assert model_file(tmp_path, "runs:/1/model") == tmp_path / "model.skops"
    (tmp_path / "model.onnx").write_text("x")
    with pytest.raises(UsageError, match="not one model file: name the file itself"):
        model_file(tmp_path, "runs:/1/model")


def test_another_flavour_is_told(tmp_path: Path) -> None:
    """A model that cannot be served here is named by its flavours."""
    (tmp_path / "MLmodel").write_text("flavors:\n  pytorch: {}\n  python_function: {}\n")
    with pytest.raises(UsageError, match="flavour python_function, pytorch: log it with"):
        model_file(tmp_path, "models:/net/1")


def test_fetches_from_a_registry(tmp_path: Path) -> None:
    """By version, by alias and by run; what is not there is an error that names it."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    registry = MlflowRegistry(uri, tmp_path / "artifacts")
    (tmp_path / "bundle").mkdir()
    manifest = example(tmp_path / "bundle")
    info = registry.register(manifest, digest_of(manifest), tmp_path / "bundle")
    registry.set_alias("hotel", "champion", 1)
    for number, address in enumerate(("models:/hotel/1", "models:/hotel@champion", f"runs:/{info.run_id}/model")):
        (tmp_path / str(number)).mkdir()
        assert fetch(address, uri, tmp_path / str(number)).read_text() == "not a model"
    for address in ("models:/hotel/9", "models:/nobody/1", "runs:/0/model"):
        with pytest.raises(UsageError, match=f"cannot fetch the model {address}"):
            fetch(address, uri, tmp_path)
