"""Models that MLflow keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.mlflow_models import fetch
from fairlead.adapters.mlflow_registry import MlflowRegistry
from fairlead.core.bundle import digest_of
from fairlead.errors import UsageError
from fairlead.testing.bundles import example


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
