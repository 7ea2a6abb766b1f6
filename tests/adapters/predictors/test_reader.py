"""Reading model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from skops import io as skops

from fairlead.adapters.portable import convert
from fairlead.adapters.predictors.reader import ModelFiles
from fairlead.errors import BundleError, UntrustedFormat, UsageError
from fairlead.ports.model_reader import ModelFacts
from fairlead.testing.model_reader import check_model_reader


def test_keeps_the_port(fitted: Any, tmp_path: Path) -> None:
    """It is a model reader, of every kind of model."""
    check_model_reader(ModelFiles(), fitted.save(tmp_path / "model.skops"), fitted.contract, fitted.rows)


def test_keeps_the_port_with_onnx(fitted: Any, tmp_path: Path) -> None:
    """An ONNX file is a model like any other; it needs no translation."""
    path = tmp_path / "model.onnx"
    path.write_bytes(convert(fitted.model, fitted.contract).model or b"")
    check_model_reader(ModelFiles(), path, fitted.contract, fitted.rows)
    (none,) = ModelFiles().open(path).translations(fitted.contract)
    assert none.model is None


def test_an_onnx_model_tells_its_names_and_classes(mixed: Any, three: Any, value: Any, tmp_path: Path) -> None:
    """Inputs by name, the width of a matrix, and the classes in its nodes."""

    def facts(fitted: Any) -> ModelFacts:
        path = tmp_path / "model.onnx"
        path.write_bytes(convert(fitted.model, fitted.contract).model or b"")
        return ModelFiles().open(path).facts

    assert facts(mixed) == ModelFacts("onnx", ("meal", "price", "nights", "repeated"), None, ("0", "1"), True)
    assert facts(three) == ModelFacts("onnx", (), 2, ("bb", "fb", "hb", "none"), True)
    assert facts(value) == ModelFacts("onnx", (), 2, (), None)


def test_wrong_files_are_told(tmp_path: Path) -> None:
    """A missing file, a folder, an unknown suffix, a pickle, garbage, and something that does not predict."""
    for name, what in (("missing.skops", "does not exist"), (".", "is a folder without an MLmodel file")):
        with pytest.raises(UsageError, match=what):
            ModelFiles().open(tmp_path / name)
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(UsageError, match="cannot tell the format"):
        ModelFiles().open(tmp_path / "model.bin")
    (tmp_path / "model.pkl").write_bytes(b"x")
    with pytest.raises(UntrustedFormat, match="--trust pickle"):
        ModelFiles().open(tmp_path / "model.pkl")
    for name in ("model.skops", "model.onnx"):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(BundleError):
            ModelFiles().open(tmp_path / name)
    (tmp_path / "list.skops").write_bytes(skops.dumps([1, 2]))
    with pytest.raises(UsageError, match=r"holds a list, which has no predict"):
        ModelFiles().open(tmp_path / "list.skops")
