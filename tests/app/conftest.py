"""A home folder with a real bundle in it, and processes that serve it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.route_file import RouteFile
from fairlead.app.supervisor import Supervisor, worker_options
from fairlead.core.admission import Limits
from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.errors import StateError

CONTRACT = Contract(
    features=(
        Feature("lead_time", Kind.NUMBER, minimum=0.0, maximum=700.0),
        Feature("adr", Kind.NUMBER, nullable=True),
        Feature("segment", Kind.CATEGORY, categories=("Direct", "Groups")),
    ),
    task=Task.BINARY,
    target="is_canceled",
    classes=("0", "1"),
)
ROW: dict[str, float | int | bool | str | None] = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}


def model_bytes(bias: float, breaks_above: float) -> bytes:
    """A logistic model in ONNX; it answers NaN where lead_time exceeds `breaks_above`."""

    def constant(name: str, value: float) -> Any:
        return numpy_helper.from_array(np.array([[value]], np.float32), name)

    nodes = [
        helper.make_node("Mul", ["lead_time", "slope"], ["slanted"]),
        helper.make_node(
            "LabelEncoder",
            ["segment"],
            ["group"],
            domain="ai.onnx.ml",
            keys_strings=["Direct", "Groups"],
            values_floats=[0.0, 1.0],
            default_float=0.5,
        ),
        helper.make_node("Add", ["slanted", "group"], ["both"]),
        helper.make_node("Add", ["both", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["sound"]),
        helper.make_node("Sub", ["limit", "lead_time"], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        helper.make_node("Mul", ["root", "zero"], ["nothing"]),
        helper.make_node("Mul", ["adr", "zero"], ["ignored"]),
        helper.make_node("IsNaN", ["ignored"], ["absent"]),
        helper.make_node("Where", ["absent", "zero", "zero"], ["none"]),
        helper.make_node("Sum", ["sound", "nothing", "none"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "logistic",
        [
            helper.make_tensor_value_info("lead_time", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("adr", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("segment", TensorProto.STRING, [None, 1]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [constant("slope", 0.01), constant("bias", bias), constant("limit", breaks_above), constant("zero", 0.0)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def put_bundle(home: Path, bias: float, *, breaks_above: float = 1e6, name: str = "hotel") -> str:
    """Registers a version of the model in the home's bundles and returns its digest."""
    draft = home / f"draft-{bias}-{breaks_above}"
    (draft / PORTABLE).parent.mkdir(parents=True)
    data = model_bytes(bias, breaks_above)
    (draft / PORTABLE).write_bytes(data)
    answered = OnnxPredictor(data, CONTRACT).predict([tuple(ROW.values())])
    golden = Golden(rows=(dict(ROW),), outputs=(tuple(answered[0].tolist()),))
    (draft / GOLDEN).write_bytes(msgspec.json.encode(golden))
    manifest = Manifest(
        name=name,
        contract=CONTRACT,
        model_format="onnx",
        model_entry=PORTABLE,
        served=PORTABLE,
        files={path: file_sha256(draft / path) for path in (PORTABLE, GOLDEN)},
        lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=1),
        parity=Parity(rows=1, largest_difference=0.0, tolerance=1e-6),
    )
    return BundleFolder(home / "bundles").put(draft, manifest)


def wait(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits until a condition holds; fails when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)


class Home:
    """A home folder of one model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.board = RouteFile(path / "routes")
        self.wait = wait

    def put(self, bias: float, *, breaks_above: float = 1e6) -> str:
        """Registers a version and returns its digest."""
        return put_bundle(self.path, bias, breaks_above=breaks_above)

    def publish(self, route: ModelRoute) -> int:
        """Publishes a table with the model's route; returns its generation."""
        try:
            generation = self.board.current().generation + 1
        except StateError:
            generation = 1
        self.board.publish(RouteTable(generation, {"hotel": route}))
        return generation

    def wait_applied(self, generation: int, workers: int) -> None:
        """Until that many workers run a generation."""
        wait(lambda: sum(state.generation >= generation for state in self.board.workers()) >= workers)

    def publish_and_wait(self, route: ModelRoute, workers: int) -> None:
        """Publishes, and waits until the workers run it."""
        self.wait_applied(self.publish(route), workers)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Waits until a condition holds."""
    return wait


class Plane:
    """A running data plane."""

    def __init__(self, home: Path, supervisor: Supervisor, changes: list[tuple[int, str, str]]) -> None:
        self.home = home
        self.supervisor = supervisor
        self.changes = changes
        self.url = f"http://127.0.0.1:{supervisor.port}"

    def wait_ready(self) -> None:
        """Until a worker answers."""

        def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/v2/health/ready", timeout=5.0).status_code == 200
            except httpx.HTTPError:
                return False

        wait(ready)


@pytest.fixture
def start_plane(tmp_path: Path) -> Iterator[Callable[..., Plane]]:
    """Starts supervised workers over a home folder, and stops them."""
    started: list[Supervisor] = []

    def start(
        workers: int = 1,
        durability: str = "batch",
        trust: tuple[str, ...] = (),
        wait: bool = True,
        limits: dict[str, Limits] | None = None,
    ) -> Plane:
        changes: list[tuple[int, str, str]] = []
        told = lambda *change: changes.append(change)  # noqa: E731 - one line, used once
        supervisor = Supervisor(tmp_path, "127.0.0.1", 0, workers, durability, told, worker_options(trust, limits))
        started.append(supervisor)
        supervisor.start()
        plane = Plane(tmp_path, supervisor, changes)
        if wait:
            plane.wait_ready()
        return plane

    yield start
    for supervisor in started:
        supervisor.stop()
