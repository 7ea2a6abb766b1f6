"""The folders of MLflow models."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.predictors.mlflow_folder import described, native_file, only_file
from fairlead.errors import UsageError


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("flavors:\n  sklearn:\n    pickled_model: model.skops\n    serialization_format: skops\n", "model.skops"),
        ("flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {}\n", "model.pkl"),
        ("flavors:\n  onnx: {data: model.onnx}\n", "model.onnx"),
        ("flavors:\n  xgboost: {data: model.ubj, model_format: ubj}\n", "model.ubj"),
        ("flavors:\n  lightgbm: {data: model.lgb}\n", "model.lgb"),
        ("flavors:\n  catboost: {data: model.cb, save_format: cbm}\n", "model.cb"),
    ],
)
def test_an_mlflow_model_names_its_file(said: str, file: str, tmp_path: Path) -> None:
    """Every flavour whose files are read here says where the model is."""
    (tmp_path / "MLmodel").write_text(said)
    (tmp_path / file).write_text("x")
    assert native_file(tmp_path, described(tmp_path, "models:/hotel/1")) == tmp_path / file


def test_another_flavour_has_no_file(tmp_path: Path) -> None:
    """A model of a flavour that is not read here, and one whose file has an unknown suffix, can only run as code."""
    for flavor in ("pytorch: {model_data: data}", "xgboost: {data: model.bin}", "sklearn: nonsense"):
        (tmp_path / "MLmodel").write_text(f"flavors:\n  {flavor}\n  python_function: {{}}\n")
        (tmp_path / "model.bin").write_text("x")
        assert native_file(tmp_path, described(tmp_path, "models:/net/1")) is None


@pytest.mark.parametrize("name", ["missing.skops", "../outside.skops", "/etc/hostname"])
def test_a_file_outside_the_model_is_refused(name: str, tmp_path: Path) -> None:
    """What a flavour names must lie in the model's own folder."""
    (tmp_path / "outside.skops").write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(UsageError, match="which is not in it"):
        native_file(folder, {"sklearn": {"pickled_model": name}})


@pytest.mark.parametrize("said", ["", "flavors: 3", "[]", "flavors: {", "run_id: x", "\x00"])
def test_a_broken_description_is_told(said: str, tmp_path: Path) -> None:
    """An MLmodel file that names no flavours is an error of one line, not a traceback."""
    (tmp_path / "MLmodel").write_text(said)
    with pytest.raises(UsageError, match="names no flavours: log the model again"):
        described(tmp_path, "models:/net/1")


def test_a_folder_with_one_model_file_is_that_model(tmp_path: Path) -> None:
    """An artifact folder of a run needs no MLmodel file, as long as it leaves no choice."""
    (tmp_path / "model.skops").write_text("x")
    (tmp_path / "metrics.json").write_text("{}")
    assert only_file(tmp_path, "runs:/1/model") == tmp_path / "model.skops"
    (tmp_path / "model.onnx").write_text("x")
    with pytest.raises(UsageError, match="not one model file: name the file itself"):
        only_file(tmp_path, "runs:/1/model")
