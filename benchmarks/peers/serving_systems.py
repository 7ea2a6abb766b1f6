"""The servers that the gateway is compared with: how each is started, and what it is asked.

A peer's environment is `$FAIRLEAD_PEERS/dp_<peer>`, built by `install.py` from its locked requirements. fairlead and
the FastAPI practice run in the environment of the benchmark. Each serves the same file: the boosted trees as
scikit-learn has them, or their ONNX translation.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from benchmarks.peers.systems import ROOT, python_of
from benchmarks.serving import PATH, free_port, post

QUIET = {  # nobody is told that they are used here
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Place(NamedTuple):
    """What a server is given: the model's file, a row to be asked, a folder of its own, and where environments are."""

    model: Path
    row: dict[str, float]
    folder: Path
    peers: Path

    @property
    def numbers(self) -> list[float]:
        """The row without names."""
        return list(self.row.values())


class Plan(NamedTuple):
    """How to start a server, and what to ask it. `prepare` is a command to be run once before."""

    command: list[str]
    port: int
    request: bytes
    environment: Mapping[str, str] = MappingProxyType({})
    prepare: tuple[str, ...] = ()


def fairlead(place: Place) -> Plan:
    """One gateway worker. The folder is its home, with the model registered."""
    port = free_port()
    command = [sys.executable, "-m", "fairlead.app.worker", "--home", str(place.folder / "home"), "--port", str(port)]
    return Plan(command, port, _json(PATH, {"features": place.row}))


def fairlead_shadowed(place: Place) -> Plan:
    """The same with the process beside it that answers unseen."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.serve_shadowed", str(place.folder / "home"), str(port)]
    return Plan(command, port, _json(PATH, {"features": place.row}))


def bare(place: Place, length: int) -> Plan:
    """An ASGI application that only reads, and answers so many bytes."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.serve_bare", str(port), str(length)]
    return Plan(command, port, _json(PATH, {"features": place.row}))


def fastapi(place: Place) -> Plan:
    """The practice: it logs each prediction, too."""
    port = free_port()
    module = [sys.executable, "-m", "benchmarks.peers.serve_fastapi"]
    command = [*module, str(place.model), str(place.folder / "predictions.log"), str(port)]
    return Plan(command, port, _json("/predict", {"features": place.numbers}))


def bentoml(place: Place) -> Plan:
    """`bentoml serve`."""
    port = free_port()
    command = [_program("bentoml", place), "serve", "benchmarks.peers.serve_bentoml:Bench"]
    command += ["--working-dir", str(ROOT), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"BENCH_MODEL": str(place.model), "BENTOML_HOME": str(place.folder / "home")}
    return Plan(command, port, _json("/predict", {"features": place.numbers}), environment)


def mlserver(place: Place) -> Plan:
    """`mlserver start`, with its settings in a folder."""
    port, folder = free_port(), place.folder / "settings"
    is_pickle = place.model.suffix == ".pkl"
    uri = folder / "bench" / f"model{'.joblib' if is_pickle else place.model.suffix}"
    uri.parent.mkdir(parents=True)
    shutil.copy(place.model, uri)
    settings: dict[str, object] = {
        "debug": False,
        "parallel_workers": 0,
        "metrics_endpoint": None,
        "gzip_enabled": False,
    }
    settings |= {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port()}
    runtime = "mlserver_sklearn.SKLearnModel" if is_pickle else "benchmarks.peers.serve_mlserver.OnnxModel"
    model = {"name": "bench", "implementation": runtime, "parameters": {"uri": str(uri), "version": "1"}}
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings))
    (folder / "bench" / "model-settings.json").write_bytes(msgspec.json.encode(model))
    tensor = {"name": "rows", "shape": [1, len(place.row)], "datatype": "FP64", "data": place.numbers}
    asked = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
    command = [_program("mlserver", place), "start", str(folder)]
    return Plan(command, port, _json("/v2/models/bench/infer", asked), {"PYTHONPATH": str(ROOT)})


def mlflow(place: Place) -> Plan:
    """`mlflow models serve`; uvicorn reads its settings from the environment."""
    port, saved = free_port(), str(place.folder / "model")
    python = python_of("mlflow", place.peers)
    command = [_program("mlflow", place), "models", "serve", "--model-uri", saved, "--env-manager", "local"]
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "UVICORN_ACCESS_LOG": "false",
        "MLFLOW_TRACKING_URI": (place.folder / "runs").as_uri(),
    }
    request = _json("/invocations", {"inputs": [place.numbers]})
    prepare = (str(python), "-m", "benchmarks.peers.serve_mlflow", str(place.model), saved)
    return Plan(command, port, request, environment, prepare)


def ray(place: Place) -> Plan:
    """`serve.run`, with the flag for throughput, less two of the things it sets: direct ingress and gRPC between proxy
    and replica. On one core each of them made it slower (of four ways that were tried this is the fastest)."""
    port = free_port()
    command = [str(python_of("ray", place.peers)), "-m", "benchmarks.peers.serve_ray", str(place.model), str(port)]
    environment = {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_worker_niceness": "0",  # 15 by default: it would lose its core to whatever else the machine does
    }
    return Plan([*command, str(place.folder / "ray")], port, _json("/", {"features": place.numbers}), environment)


PLANS: dict[str, Callable[[Place], Plan]] = {
    "fairlead": fairlead,
    "fastapi": fastapi,
    "bentoml": bentoml,
    "mlserver": mlserver,
    "mlflow": mlflow,
    "ray": ray,
}


def _program(peer: str, place: Place) -> str:
    """The program that a package of the same name installs."""
    return str(python_of(peer, place.peers).with_name(peer))


def _json(path: str, body: object) -> bytes:
    return post(path, msgspec.json.encode(body))
