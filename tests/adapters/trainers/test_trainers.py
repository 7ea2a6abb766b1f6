"""Trainers elsewhere: each against a stand-in that checks method, path, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.trainers.airflow import AirflowTrainer
from fairlead.adapters.trainers.dagster import DagsterTrainer
from fairlead.adapters.trainers.http import Service
from fairlead.adapters.trainers.prefect import PrefectTrainer
from fairlead.adapters.trainers.ray_job import RayTrainer
from fairlead.adapters.trainers.terms import Terms
from fairlead.errors import SettingsError, StateError
from fairlead.ports.trainer import RemoteTrainer, TrainerAway
from fairlead.testing.loopback import own_port
from fairlead.testing.trainer import MemoryRemoteTrainer, check_remote_trainer
from fairlead.testing.training_services import AirflowApi, DagsterApi, PrefectApi, RayApi, TrainingService, serving

PLAIN = Terms({"dataset": "{dataset}", "output": "{output}", "run": "{run}"})
OPS = Terms({"ops": {"train": {"config": {"data": ["{dataset}"], "epochs": 3}}}})
APIS: dict[str, Callable[[], Any]] = {
    "ray": RayApi,
    "airflow": AirflowApi,
    "dagster": DagsterApi,
    "prefect": PrefectApi,
}
ENDS = {
    "ray": ("SUCCEEDED", "FAILED", "RUNNING"),
    "airflow": ("success", "failed", "running"),
    "dagster": ("SUCCESS", "FAILURE", "STARTED"),
    "prefect": ("COMPLETED", "CRASHED", "RUNNING"),
}


def trainer_of(kind: str, url: str, terms: Terms | None = None) -> RemoteTrainer:
    """A trainer of this kind at an address."""
    if kind == "ray":
        entrypoint = "python train.py --data {dataset} --out {output}"
        return RayTrainer(Service("ray", url, timeout_seconds=60.0), entrypoint, terms or PLAIN)
    if kind == "airflow":
        service = Service("airflow", url, timeout_seconds=60.0)
        return AirflowTrainer(service, "train_hotel", terms or PLAIN, login=("fairlead", "s3cret"))
    if kind == "dagster":
        return DagsterTrainer(Service("dagster", url), "train_hotel", terms or OPS, "training", "__repository__")
    return PrefectTrainer(Service("prefect", f"{url}/api"), "train-hotel/nightly", terms or PLAIN)


@pytest.fixture(params=list(APIS))
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, TrainingService, Any]]:
    """Each service in turn, with its runs."""
    api = APIS[request.param]()
    with serving(api) as server:
        yield request.param, server, api


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A data set, and a folder whose name would mean something to a shell."""
    (tmp_path / "data; rm x.parquet").write_text("rows")
    return tmp_path / "data; rm x.parquet", tmp_path / "out"


def test_every_trainer_keeps_the_contract(service: tuple[str, TrainingService, Any], files: tuple[Path, Path]) -> None:
    """One key is one run, whoever asks how often; nothing that it sends is refused but a job that is not there yet."""
    kind, server, api = service
    check_remote_trainer(trainer_of(kind, server.url), *files)
    again = trainer_of(kind, server.url)  # another process, after a restart
    again.submit("check-run-1", *files)
    assert len(api.bodies) == 2
    assert [fault for fault in server.faults if not (kind == "ray" and "does not exist" in fault)] == []


def test_the_fake_keeps_it_too(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """The one that flows are tested with."""
    model = tmp_path / "m.onnx"
    model.write_bytes(b"m")
    check_remote_trainer(MemoryRemoteTrainer(model), *files)


def test_states_are_read(service: tuple[str, TrainingService, Any], files: tuple[Path, Path]) -> None:
    """Over, failed, or neither, with the service's own word."""
    kind, server, api = service
    trainer = trainer_of(kind, server.url)
    external = trainer.submit("r1", *files)
    expected = ((True, False), (True, True), (False, False))
    for state, (done, failed) in zip(ENDS[kind], expected, strict=True):
        api.states[external] = state
        seen = trainer.state(external)
        assert (seen.done, seen.failed) == (done, failed)
        assert seen.said.startswith(state.lower())


def test_a_lost_answer_makes_no_second_run(service: tuple[str, TrainingService, Any], files: tuple[Path, Path]) -> None:
    """The service took the run, and nobody heard it: asked again, it is the same one."""
    kind, server, api = service
    trainer = trainer_of(kind, server.url)
    trainer.submit("first", *files)  # after which nothing but the launch itself is posted
    server.lost.append("POST")
    with pytest.raises(TrainerAway, match="cannot be reached"):
        trainer.submit("second", *files)
    external = trainer.submit("second", *files)
    assert external in api.bodies
    assert len(api.bodies) == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_away(
    service: tuple[str, TrainingService, Any], files: tuple[Path, Path], status: int
) -> None:
    """It may be asked again; the error names the host and no secret."""
    kind, server, _ = service
    server.away.append(status)
    with pytest.raises(TrainerAway, match=f"127.0.0.1 is not ready .*{status}") as caught:
        trainer_of(kind, server.url).submit("r1", *files)
    assert "s3cret" not in caught.value.line


def test_a_service_that_is_not_there_is_away(files: tuple[Path, Path]) -> None:
    """Nothing listens."""
    with pytest.raises(TrainerAway, match=r"ray at 127\.0\.0\.1 cannot be reached"):
        trainer_of("ray", f"http://127.0.0.1:{own_port()}").submit("r1", *files)


def test_a_run_that_is_not_there_is_an_error(service: tuple[str, TrainingService, Any]) -> None:
    """Not a run that goes on for ever."""
    kind, server, _ = service
    with pytest.raises(StateError, match=f"{kind} at 127.0.0.1 refused a look at .*gone") as caught:
        trainer_of(kind, server.url).state("gone")
    assert not isinstance(caught.value, TrainerAway)


def test_ray_gets_a_quoted_command(files: tuple[Path, Path]) -> None:
    """The entrypoint is a shell's: a path with a semicolon is one word of it."""
    api = RayApi()
    with serving(api) as server:
        trainer_of("ray", server.url).submit("r1", *files)
    body = api.bodies["r1"]
    assert f"--data '{files[0]}' --out {files[1]}" in body["entrypoint"]
    assert body["metadata"] == {"fairlead_run": "r1"}


def test_parameters_are_filled_however_deep(files: tuple[Path, Path]) -> None:
    """Texts in lists and objects too; what is no text stays; the service's own view of the folder of runs is used."""
    api = DagsterApi()
    there = Terms(OPS.parameters, runs="/mnt/runs")
    with serving(api) as server:
        external = trainer_of("dagster", server.url, there).submit("r1", *files)
    config = api.bodies[external]["runConfigData"]["ops"]["train"]["config"]
    assert config == {"data": [f"/mnt/runs/r1/{files[0].name}"], "epochs": 3}


def test_airflow_renews_its_token(files: tuple[Path, Path]) -> None:
    """One that is no longer taken is fetched anew, once; a wrong password is told without it."""
    api = AirflowApi()
    with serving(api) as server:
        trainer = trainer_of("airflow", server.url)
        external = trainer.submit("r1", *files)
        api.tokens = {"other"}
        assert trainer.state(external).said == "queued"
        wrong = AirflowTrainer(Service("airflow", server.url), "train_hotel", PLAIN, login=("fairlead", "wr0ng"))
        with pytest.raises(StateError, match="a token for fairlead with 401") as caught:
            wrong.submit("r2", *files)
    assert "wr0ng" not in caught.value.line


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("airflow", "refused a run of the DAG nobody with 404"),
        ("dagster", "refused a run of the job nobody: no job nobody"),
        ("prefect", "refused the deployment nobody/x with 404"),
    ],
)
def test_what_is_not_there_is_named(files: tuple[Path, Path], kind: str, refused: str) -> None:
    """The service's refusal, with what was asked for."""
    with serving(APIS[kind]()) as server:
        service = Service(kind, f"{server.url}/api" if kind == "prefect" else server.url)
        trainers: dict[str, RemoteTrainer] = {
            "airflow": AirflowTrainer(service, "nobody", PLAIN, token="t0ken"),
            "dagster": DagsterTrainer(service, "nobody", OPS, "training", "__repository__"),
            "prefect": PrefectTrainer(service, "nobody/x", PLAIN),
        }
        trainer = trainers[kind]
        with pytest.raises(StateError, match=refused):
            trainer.submit("r1", *files)


def test_prefect_refuses_parameters_that_the_flow_lacks(files: tuple[Path, Path]) -> None:
    """With its own words."""
    with serving(PrefectApi(parameters=("data",))) as server, pytest.raises(StateError, match="422: Validation failed"):
        trainer_of("prefect", server.url).submit("r1", *files)


def test_dagster_tells_what_its_configuration_lacks(files: tuple[Path, Path]) -> None:
    """Every message of it."""
    with serving(DagsterApi()) as server, pytest.raises(StateError, match="Missing required entry ops"):
        trainer_of("dagster", server.url, Terms({"x": 1})).submit("r1", *files)


def test_another_page_is_no_service(files: tuple[Path, Path]) -> None:
    """An address that answers something else is told, not waited for."""

    class Page:
        """Answers everything."""

        def answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
            """With a greeting."""
            return 200, "hello"

    with serving(Page()) as server:
        for kind in ("prefect", "dagster"):
            with pytest.raises(StateError, match="something else: check the url"):
                trainer_of(kind, server.url).submit("r1", *files)
        for kind in ("ray", "airflow"):
            service = Service(kind, server.url)
            trainer: RemoteTrainer = RayTrainer(service, "true {dataset}", PLAIN)
            if kind == "airflow":
                trainer = AirflowTrainer(service, "d", PLAIN, token="t")
            with pytest.raises(StateError, match="something else: check the url"):
                trainer.state("r1")


@pytest.mark.parametrize("url", ["", "ray:8265", "ftp://host", "http://", "http://host:99999"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """At the start."""
    with pytest.raises(SettingsError, match=r"retraining\.trainer\.url is no http"):
        Service("ray", url)


def test_the_model_comes_from_the_folder_or_an_address(tmp_path: Path) -> None:
    """One model in the folder, or the stated address with the run's key; an empty folder is told."""
    (tmp_path / "m.onnx").write_bytes(b"m")
    assert Terms().collect("r1", tmp_path) == str(tmp_path / "m.onnx")
    assert Terms(model="models:/hotel@{run}").collect("r1", tmp_path / "none") == "models:/hotel@r1"
    (tmp_path / "empty").mkdir()
    with pytest.raises(StateError, match="the training job left no model"):
        Terms().collect("r1", tmp_path / "empty")
