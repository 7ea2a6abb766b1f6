"""The registry on MLflow's SQLite store."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.mlflow_registry import MlflowRegistry
from fairlead.core.bundle import CARD, Lineage, digest_of
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


def test_a_run_holds_lineage_metrics_and_artifacts(registry: MlflowRegistry, home: Path, tmp_path: Path) -> None:
    """What MLflow's own users see: parameters, metrics, tags, the data set and the files, on a finished run."""
    manifest = example(tmp_path, name="lineage")
    lineage = Lineage("july", "ab" * 32, 10, code_commit="c" * 40, parent=3, environment={"numpy": "2.4"})
    manifest = msgspec.structs.replace(manifest, lineage=lineage)
    (tmp_path / CARD).write_text("{}")
    info = registry.register(manifest, digest_of(manifest), tmp_path)
    with registry._told("read"):
        run = registry._client.get_run(info.run_id)
        files = [file.path for file in registry._client.list_artifacts(info.run_id)]
        models = [file.path for file in registry._client.list_artifacts(info.run_id, "model")]
        source = registry._client.get_model_version("lineage", "1").source
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"auroc": 0.7}
    assert {"task": "binary", "dataset": "july", "parent": "3", "environment.numpy": "2.4"}.items() <= (
        run.data.params.items()
    )
    assert run.data.tags["fairlead.bundle"] == info.bundle
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert [used.dataset.digest for used in run.inputs.dataset_inputs] == ["ab" * 18]
    assert files == ["card.json", "model"]
    assert models == [
        "model/MLmodel",
        "model/bundle",
        "model/model.skops",
        "model/python_env.yaml",
        "model/requirements.txt",
    ]
    assert source == f"runs:/{info.run_id}/model"
    assert (home / "registry" / "artifacts" / "fairlead" / "lineage" / info.run_id).is_dir()


def test_a_failed_registration_leaves_no_version(
    registry: MlflowRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the artifacts cannot be stored there is no version, no model, and the run is deleted."""
    deleted: list[str] = []
    delete_run = registry._client.delete_run

    def full(*_: object) -> None:
        raise registry._errors("no space left on device")

    def remember(run_id: str) -> None:
        deleted.append(run_id)
        delete_run(run_id)

    monkeypatch.setattr(registry._client, "log_artifacts", full)
    monkeypatch.setattr(registry._client, "delete_run", remember)
    manifest = example(tmp_path, name="unlucky")
    with pytest.raises(StateError, match="no space left on device"):
        registry.register(manifest, digest_of(manifest), tmp_path)
    assert "unlucky" not in registry.models()
    with pytest.raises(NotFound, match="no model 'unlucky'"):
        registry.versions("unlucky")
    with registry._told("read"):
        assert [registry._client.get_run(run).info.lifecycle_stage for run in deleted] == ["deleted"]


def test_an_alias_of_no_model_cannot_be_cleared(registry: MlflowRegistry) -> None:
    """The error names the model: there is no version to speak of."""
    with pytest.raises(NotFound, match="there is no model 'nobody'"):
        registry.set_alias("nobody", "champion", None)


def test_other_peoples_models_are_left_alone(registry: MlflowRegistry) -> None:
    """A model that something else registered on the same server is none of ours."""
    with registry._told("written"):
        registry._client.create_registered_model("theirs")
        registry._client.create_model_version("theirs", "somewhere/else")
    assert "theirs" not in registry.models()
    for name in ("theirs", "it's"):
        with pytest.raises(NotFound, match="no model"):
            registry.versions(name)


def test_another_process_sees_the_same(registry: MlflowRegistry, home: Path, tmp_path: Path) -> None:
    """What is registered is in the database, not in the object."""
    manifest = example(tmp_path, name="shared")
    info = registry.register(manifest, digest_of(manifest), tmp_path)
    other = MlflowRegistry(f"sqlite:///{home}/registry/mlflow.db")
    other.set_alias("shared", "champion", 1)
    assert registry.versions("shared") == (msgspec.structs.replace(info, aliases=("champion",)),)


def test_a_registry_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A server that is not there, and a folder that cannot be made: one error that names it."""
    with pytest.raises(StateError, match=r"the registry http://127.0.0.1:9 cannot be read"):
        MlflowRegistry("http://127.0.0.1:9").models()
    (tmp_path / "registry").write_text("a file")
    with pytest.raises(StateError, match="cannot create the registry's folder"):
        MlflowRegistry(f"sqlite:///{tmp_path}/registry/mlflow.db")


@pytest.mark.slow
def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    """A process killed while it makes one leaves none; the next makes it, and what is there is left as it is."""
    program = "import sys; from pathlib import Path\nfrom fairlead.adapters.mlflow_registry import MlflowRegistry\n"
    program += "MlflowRegistry(f'sqlite:///{sys.argv[1]}', None)"
    database = tmp_path / "mlflow.db"
    with subprocess.Popen([sys.executable, "-c", program, str(database)]) as maker:
        while not list(tmp_path.iterdir()):
            time.sleep(0.001)
        maker.kill()
    assert not database.exists()
    registry = MlflowRegistry(f"sqlite:///{database}", tmp_path / "artifacts")
    with pytest.raises(NotFound):
        registry.versions("hotel")
    found = database.stat().st_ino
    MlflowRegistry(f"sqlite:///{database}", tmp_path / "artifacts")
    assert database.stat().st_ino == found
