"""The registry on MLflow: a run and a registered version for each bundle, on SQLite or any tracking server."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from fairlead.adapters.mlflow_model import write_model
from fairlead.core.bundle import CARD, MANIFEST, MODEL, Manifest
from fairlead.core.event import canonical
from fairlead.errors import FairleadError, MissingExtra, NotFound, StateError, UsageError
from fairlead.ports.registry import VersionInfo

BUNDLE, STATUS, METRICS, MANAGED = "fairlead.bundle", "fairlead.status", "fairlead.metrics", "fairlead.managed"
RESERVED = ("fairlead.", "mlflow.")  # prefixes of tags that are not the user's
STATUSES = ("none", "staging", "production", "archived")

# Read by MLflow when it is imported. What the user has set stands.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",  # no warning where there is no git
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # the first use of a database tells of each of its migrations
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is down is told in seconds, not minutes
}


def _make_database(mlflow: Any, path: Path) -> None:
    """A new database, whole or not at all: MLflow cannot go on with one whose making was cut short."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{draft}", registry_uri=f"sqlite:///{draft}")
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    with suppress(FileExistsError):  # another process was first
        os.link(draft, path)
    draft.unlink()


def import_mlflow() -> Any:
    """MLflow, imported late and quietly. Raises `MissingExtra`."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise MissingExtra("mlflow-skinny", "registry", "the model registry") from error
    return mlflow


class MlflowRegistry:
    """Versions that fairlead registered; what others keep on the same server is left alone."""

    def __init__(self, tracking_uri: str, artifact_root: Path | None = None) -> None:
        """`artifact_root` is where artifacts go with a local database; None leaves it to the tracking server."""
        mlflow = import_mlflow()
        self._uri = tracking_uri
        self._artifacts = artifact_root
        self._errors: type[Exception] = mlflow.exceptions.MlflowException
        if tracking_uri.startswith("sqlite:///"):
            _make_folder(Path(tracking_uri.removeprefix("sqlite:///")).parent)
            with self._told("made"):
                _make_database(mlflow, Path(tracking_uri.removeprefix("sqlite:///")))
        with self._told("opened"):
            self._client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)

    @contextmanager
    def _told(self, what: str, missing: str = "") -> Iterator[None]:
        """Turns MLflow's errors into ours: `NotFound` with the text `missing`, or `StateError`."""
        try:
            with warnings.catch_warnings():
                # MLflow's queries use a loader option that SQLAlchemy 2.1 deprecates; nothing here can change that.
                warnings.filterwarnings("ignore", message=r"The ``noload`` loader strategy")
                yield
        except FairleadError:
            raise
        except self._errors as error:
            if missing and getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise NotFound(missing) from error
            text = str(error).partition("\n")[0]
            raise StateError(f"the registry {self._uri} cannot be {what}: {text}; check that it is up") from error

    def register(self, manifest: Manifest, digest: str, folder: Path) -> VersionInfo:
        """Records a bundle as the next version: a run with lineage, metrics and artifacts, and a version on it.

        When a step fails the run is deleted and there is no version.
        """
        with self._told("written"):
            run_id = self._start(manifest, digest)
            try:
                self._record(run_id, manifest, digest, folder)
                return self._add_version(run_id, manifest, digest)
            except BaseException:
                self._client.delete_run(run_id)
                raise

    def _start(self, manifest: Manifest, digest: str) -> str:
        tags = {BUNDLE: digest, "fairlead.dataset": manifest.lineage.dataset_digest}
        if manifest.lineage.code_commit:
            tags["mlflow.source.git.commit"] = manifest.lineage.code_commit
        experiment = self._experiment(f"fairlead/{manifest.name}")
        run = self._client.create_run(experiment, tags=tags, run_name=f"{manifest.name}-{digest[:8]}")
        return str(run.info.run_id)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = None
            if self._artifacts is not None:
                location = (self._artifacts / name).absolute().as_uri()
            return str(self._client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _record(self, run_id: str, manifest: Manifest, digest: str, folder: Path) -> None:
        from mlflow.entities import Metric, Param

        parameters = [Param(name, value[:6000]) for name, value in _parameters(manifest).items()]
        metrics = [Metric(name, value, 0, 0) for name, value in manifest.metrics.items()]
        self._client.log_batch(run_id, metrics=metrics, params=parameters)
        self._client.log_inputs(run_id, datasets=[_dataset(manifest)])
        for name in (CARD, MANIFEST):
            if (folder / name).exists():
                self._client.log_artifact(run_id, str(folder / name))
        with TemporaryDirectory(prefix="fairlead-mlflow-") as made:
            write_model(manifest, digest, folder, run_id, Path(made))
            self._client.log_artifacts(run_id, made, MODEL)
        self._client.set_terminated(run_id, "FINISHED")

    def _add_version(self, run_id: str, manifest: Manifest, digest: str) -> VersionInfo:
        name = manifest.name
        try:
            self._client.get_registered_model(name)
        except self._errors:
            self._client.create_registered_model(name)
        tags = {BUNDLE: digest, STATUS: "none", METRICS: canonical(manifest.metrics).decode()}
        source = f"runs:/{run_id}/{MODEL}"  # the folder: MLflow downloads a version's source as one
        version = self._client.create_model_version(name, source, run_id, tags=tags)
        self._client.set_registered_model_tag(name, MANAGED, "true")
        return _info(version, ())

    def versions(self, model: str) -> tuple[VersionInfo, ...]:
        """All versions of fairlead's, oldest first. Raises `NotFound` for an unknown model."""
        missing = _no_model(model)
        if "'" in model:
            raise NotFound(missing)
        with self._told("read", missing):
            aliases: dict[int, list[str]] = {}
            for alias, version in self._client.get_registered_model(model).aliases.items():
                aliases.setdefault(int(version), []).append(alias)
            found = [
                _info(version, aliases.get(int(version.version), ()))
                for version in _all_pages(self._client.search_model_versions, f"name='{model}'")
                if BUNDLE in version.tags
            ]
        if not found:
            raise NotFound(missing)
        return tuple(sorted(found, key=lambda info: info.version))

    def models(self) -> tuple[str, ...]:
        """The names of fairlead's models, sorted."""
        with self._told("read"):
            found = _all_pages(self._client.search_registered_models, f"tags.`{MANAGED}` = 'true'")
            return tuple(sorted(model.name for model in found))

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Moves (or, with None, removes) an alias."""
        missing = _no_model(model) if version is None else _no_version(model, version)
        with self._told("written", missing):
            if version is not None:
                self._client.get_model_version(model, str(version))
                self._client.set_registered_model_alias(model, alias, str(version))
            elif alias in self._client.get_registered_model(model).aliases:
                self._client.delete_registered_model_alias(model, alias)

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Sets the user's own tags, on the version and on its run."""
        with self._told("written", _no_version(model, version)):
            run = self._client.get_model_version(model, str(version)).run_id
            for key, value in tags.items():
                self._client.set_model_version_tag(model, str(version), key, value)
                if run:
                    self._client.set_tag(run, key, value)

    def set_status(self, model: str, version: int, status: str) -> None:
        """none | staging | production | archived."""
        if status not in STATUSES:
            raise UsageError(f"{status!r} is no status: use one of {', '.join(STATUSES)}")
        with self._told("written", _no_version(model, version)):
            self._client.set_model_version_tag(model, str(version), STATUS, status)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot create the registry's folder {path}: {error.strerror}") from error


def _all_pages(search: Any, wanted: str) -> Iterator[Any]:
    token = None
    while True:
        page = search(wanted, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _no_model(model: str) -> str:
    return f"there is no model {model!r}: see `fairlead models`, or register it first"


def _no_version(model: str, version: int) -> str:
    return f"there is no version {version} of {model!r}: see `fairlead show {model}`"


def _info(version: Any, aliases: list[str] | tuple[str, ...]) -> VersionInfo:
    tags = version.tags
    return VersionInfo(
        model=version.name,
        version=int(version.version),
        bundle=tags[BUNDLE],
        status=tags.get(STATUS, "none"),
        aliases=tuple(sorted(aliases)),
        run_id=version.run_id or "",
        created_at=version.creation_timestamp / 1000.0,
        metrics=msgspec.json.decode(tags.get(METRICS, "{}"), type=dict[str, float]),
        tags={key: value for key, value in tags.items() if not key.startswith(RESERVED)},
    )


def _parameters(manifest: Manifest) -> dict[str, str]:
    """The lineage as MLflow's parameters."""
    lineage, contract = manifest.lineage, manifest.contract
    known = {
        "task": contract.task.value,
        "target": contract.target,
        "features": str(len(contract.features)),
        "model_format": manifest.model_format,
        "served": manifest.served,
        "dataset": lineage.dataset,
        "dataset_digest": lineage.dataset_digest,
        "rows": str(lineage.rows),
        "trained_from": lineage.trained_from,
        "trained_to": lineage.trained_to,
        "code_commit": lineage.code_commit,
        "parent": None if lineage.parent is None else str(lineage.parent),
        "training_run": lineage.run_id,
    }
    packages = {f"environment.{package}": version for package, version in lineage.environment.items()}
    return {name: value for name, value in (known | packages).items() if value}


def _dataset(manifest: Manifest) -> Any:
    """The training data, linked to the run."""
    from mlflow.entities import Dataset, DatasetInput

    lineage = manifest.lineage
    source = canonical({"name": lineage.dataset, "sha256": lineage.dataset_digest}).decode()
    profile = canonical({"num_rows": lineage.rows}).decode()
    # MLflow keeps 36 characters of a digest.
    linked = Dataset(lineage.dataset[:500], lineage.dataset_digest[:36], "fairlead", source, profile=profile)
    return DatasetInput(linked, tags=[])
