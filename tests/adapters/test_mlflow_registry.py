"""The registry on MLflow's SQLite store."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.mlflow_registry import MlflowRegistry
from fairlead.core.bundle import digest_of
from fairlead.errors import NotFound, StateError
from fairlead.testing.bundles import example
from fairlead.testing.registry import check_registry


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def registry(home: Path) -> MlflowRegistry:
    """One registry for all tests here: each first use of a database runs MLflow's migrations."""
    return MlflowRegistry(f"sqlite:///{home}/registry/mlflow.db", home / "registry" / "artifacts")


def test_keeps_the_port(registry: MlflowRegistry, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is a registry, and it says nothing of its migrations."""
    check_registry(registry, tmp_path)
    assert capfd.readouterr() == ("", "")
