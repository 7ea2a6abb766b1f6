"""Fetches a model that MLflow keeps: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN/PATH`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from fairlead.adapters.mlflow_registry import import_mlflow
from fairlead.adapters.predictors.formats import FORMATS
from fairlead.errors import UsageError

SCHEMES = ("models:/", "runs:/")


def fetch(uri: str, tracking_uri: str, into: Path) -> Path:
    """Downloads a model into a folder and returns its model file.

    An MLflow model of the scikit-learn or ONNX flavour, or an artifact that is a model file itself. Raises
    `UsageError` for a model that is not there, or of another flavour.
    """
    mlflow = import_mlflow()
    before = mlflow.get_registry_uri()
    try:
        with warnings.catch_warnings():
            # As in the registry: MLflow's queries use a loader option that SQLAlchemy 2.1 deprecates.
            warnings.filterwarnings("ignore", message=r"The ``noload`` loader strategy")
            mlflow.set_registry_uri(tracking_uri)  # a download takes the tracking server as an argument, but not this
            found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into), tracking_uri=tracking_uri)
    except Exception as error:  # stores and transports fail with classes of their own
        text = str(error).partition("\n")[0]
        raise UsageError(f"cannot fetch the model {uri} from {tracking_uri}: {text}; check its name") from error
    finally:
        mlflow.set_registry_uri(before)
    path = Path(found)
    return path if path.is_file() else model_file(path, uri)


def model_file(folder: Path, uri: str) -> Path:
    """The model file in an MLflow model's folder."""
    import yaml

    described = folder / "MLmodel"
    if not described.is_file():
        candidates = [path for path in sorted(folder.iterdir()) if path.suffix in FORMATS]
        if len(candidates) == 1:
            return candidates[0]
        raise UsageError(f"{uri} holds no MLmodel file and not one model file: name the file itself")
    flavors: dict[str, Any] = yaml.safe_load(described.read_text(encoding="utf-8")).get("flavors", {})
    for flavor, key in (("sklearn", "pickled_model"), ("onnx", "data")):
        if name := flavors.get(flavor, {}).get(key):
            return folder / str(name)
    raise UsageError(
        f"{uri} is an MLflow model of flavour {', '.join(sorted(flavors)) or 'none'}: "
        "log it with mlflow.sklearn (skops) or mlflow.onnx"
    )
