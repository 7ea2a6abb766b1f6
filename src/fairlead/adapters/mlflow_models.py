"""Fetches a model that MLflow keeps: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN/PATH`."""

from __future__ import annotations

import warnings
from pathlib import Path

from fairlead.adapters.mlflow_registry import import_mlflow
from fairlead.adapters.predictors.mlflow_folder import DESCRIBED, only_file, own_model
from fairlead.errors import UsageError

SCHEMES = ("models:/", "runs:/")


def fetch(uri: str, tracking_uri: str, into: Path) -> Path:
    """Downloads a model into a folder and returns its path: an MLflow model's folder, or a model file.

    Raises `UsageError` for a model that is not there, or a folder that leaves open what the model is.
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
    path = own_model(Path(found))
    return path if path.is_file() or (path / DESCRIBED).is_file() else only_file(path, uri)
