"""What lies in the folder of an MLflow model: its flavours, and the file that one of them keeps the model in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.adapters.predictors.formats import FORMATS
from fairlead.errors import UsageError

DESCRIBED = "MLmodel"
NO_FILE = "log it with mlflow.sklearn (skops), onnx, xgboost, lightgbm or catboost, or as a pyfunc"
# Flavour -> where its entry names the model's file.
_NATIVE = {"sklearn": "pickled_model", "onnx": "data", "xgboost": "data", "lightgbm": "data", "catboost": "data"}


def only_file(folder: Path, uri: str) -> Path:
    """The one model file in a folder that is no MLflow model. Raises `UsageError`."""
    candidates = [path for path in sorted(folder.iterdir()) if path.suffix in FORMATS and path.suffix != ".json"]
    if len(candidates) == 1:
        return candidates[0]
    raise UsageError(f"{uri} holds no {DESCRIBED} file and not one model file: name the file itself")


def own_model(folder: Path) -> Path:
    """The original model in a folder that fairlead logged; any other path as it is. Raises `UsageError`."""
    if not (folder / DESCRIBED).is_file():
        return folder
    entry = described(folder, str(folder)).get("fairlead")
    name = entry.get("data") if isinstance(entry, Mapping) else None
    if not name:
        return folder
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        raise UsageError(f"the fairlead flavour of {folder} names {name}, which is not in it: download it again")
    return path


def described(folder: Path, uri: str) -> dict[str, Any]:
    """The flavours of an MLflow model. Raises `UsageError` for a folder that is none."""
    import yaml

    if not (folder / DESCRIBED).is_file():
        raise UsageError(f"the model {uri} is a folder without an {DESCRIBED} file: give a model file in it")
    try:
        said = yaml.safe_load((folder / DESCRIBED).read_text(encoding="utf-8"))
        return dict(said["flavors"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"the {DESCRIBED} file of {uri} names no flavours: log the model again") from error


def native_file(folder: Path, flavors: Mapping[str, Any]) -> Path | None:
    """The file that a flavour keeps its model in, where fairlead reads such files by itself.

    Raises `UsageError` for a file that is not there, or not in the folder.
    """
    for flavor, key in _NATIVE.items():
        entry = flavors.get(flavor)
        name = entry.get(key) if isinstance(entry, Mapping) else None
        if not name:
            continue
        path = folder / str(name)
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise UsageError(
                f"the {flavor} flavour of {folder} names the file {name}, which is not in it: log it again"
            )
        if path.suffix in FORMATS:
            return path
    return None
