"""A home folder with a real bundle in it, and processes that serve it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
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
from fairlead.app.compose import open_context
from fairlead.app.supervisor import Supervisor, worker_options
from fairlead.core.admission import Limits
from fairlead.core.bundle import GOLDEN, PORTABLE, PROFILE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import DeployAsked, VersionRegistered
from fairlead.core.rollout import Guardrail, Plan, Step
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.operations.context import Context
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.candidate import Parts, StayPredictor, draw, formula_onnx, write_candidate
from fairlead.testing.loopback import own_port

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
        when_full: str = "shed",
        port: int = 0,
    ) -> Plane:
        changes: list[tuple[int, str, str]] = []
        told = lambda *change: changes.append(change)  # noqa: E731 - one line, used once
        options = worker_options(trust, limits, when_full)
        supervisor = Supervisor(tmp_path, "127.0.0.1", port, workers, durability, told, options)
        started.append(supervisor)
        supervisor.start()
        plane = Plane(tmp_path, supervisor, changes)
        if wait:
            plane.wait_ready()
        return plane

    yield start
    for supervisor in started:
        supervisor.stop()


GUARDRAILS = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
CANARY = Plan("canary", (Step(0.3, 0.0, 120), Step(0.5, 0.0, 200), Step(1.0)), GUARDRAILS)
ROWS = draw(4000, seed=11)[0]
NAMES = ("age", "nights", "city")


def put(home: Path, note: str) -> str:
    """A version of the model by formula, with its held-out scores in its profile; returns the digest."""
    draft = home / f"draft-{note}"
    draft.mkdir(parents=True)
    manifest = write_candidate(draft, Parts(portable=formula_onnx(), model=note.encode()))
    scores = StayPredictor().predict(draw(2000, seed=3)[0])[:, 1]
    (draft / PROFILE).write_bytes(msgspec.json.encode(profile((NumericColumn("__score__", np.array(scores)),))))
    manifest = msgspec.structs.replace(manifest, files={**manifest.files, PROFILE: file_sha256(draft / PROFILE)})
    return BundleFolder(home / "bundles").put(draft, manifest)


def parents() -> dict[int, int]:
    """The parent of each living process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            found[int(entry.name)] = int(parent)
    return found


class System:
    """A running `fairlead up` over a home with two versions; the first one serves."""

    def __init__(
        self,
        home: Path,
        wait: Callable[..., None],
        settings: str = "",
        workers: int = 2,
        port: int = 0,
        **variables: str,
    ) -> None:
        """`settings`: the text of a settings file. `port` 0 takes a free one. `variables` are added to the
        environment."""
        self.wait = wait
        self.workers = workers
        self.environment = {**os.environ, **variables}
        home.mkdir(exist_ok=True)
        self.config = home / "settings.yaml"
        self.config.write_text(settings)
        self.context: Context = open_context(home, self.config)
        self.digests = [put(home, "1"), put(home, "2")]
        facts = [VersionRegistered("stay", n + 1, digest, "drawn") for n, digest in enumerate(self.digests)]
        self.context.journal.append(facts, actor="ana", at=time.time())
        self.deployed = 0
        self.deploy(1)
        self.home, self.control_port = home, own_port()
        self.http = httpx.Client(timeout=60.0)
        self.asked = 0
        self.start(port)

    def start(self, port: int = 0) -> None:
        """Runs `up`, and reads from it where it answers."""
        home = self.home
        command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home), "--config", str(self.config), "up"]
        command += ["--port", str(port), "--control-port", str(self.control_port), "--workers", str(self.workers)]
        self.log = home / "up.err"
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=self.environment
            )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(2)]
        self.port = int(self.said[0].rpartition(":")[2])
        self.http.base_url = httpx.URL(f"http://127.0.0.1:{self.port}")

    parents = staticmethod(parents)

    def deploy(self, version: int, plan: Plan = CANARY) -> str:
        """Someone asks for a rollout; returns its id."""
        self.deployed += 1
        asked = DeployAsked("stay", f"r{self.deployed}", version, self.digests[version - 1], plan)
        self.context.journal.append([asked], actor="ana", at=time.time())
        return asked.rollout

    def register(self) -> int:
        """One more version, with its number."""
        number = len(self.digests) + 1
        self.digests.append(put(self.home, str(number)))
        fact = VersionRegistered("stay", number, self.digests[-1], "drawn")
        self.context.journal.append([fact], actor="ana", at=time.time())
        return number

    def row(self) -> dict[str, Any]:
        """The features of one more request."""
        self.asked += 1
        return dict(zip(NAMES, ROWS[self.asked % len(ROWS)], strict=True))

    def predict(self) -> int:
        """The status of one more request."""
        body = {"features": self.row(), "unit_id": f"u{self.asked}", "request_id": f"q{self.asked}"}
        return self.http.post("/v1/models/stay/predict", json=body).status_code

    def ready(self) -> bool:
        """Whether predictions are answered."""
        try:
            return self.predict() == 200
        except httpx.HTTPError:
            return False

    def children(self, module: str) -> list[int]:
        """The living processes of a module that `up` has started."""
        words = {}
        for pid, parent in parents().items():
            if parent == self.process.pid:
                with suppress(OSError):  # it has ended meanwhile
                    words[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return sorted(pid for pid, command in words.items() if f"fairlead.app.{module}".encode() in command)

    def console_answers(self) -> bool:
        """Whether the control port is there."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.control_port}/api/v1/overview", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    def facts(self, kind: str) -> list[Any]:
        """The journal's facts of a kind."""
        return [entry.fact for entry in self.context.journal.read(kinds=[kind])]

    def end(self) -> None:
        """Stops it, whatever state it is in: its children leave with it."""
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., System]]:
    """Starts systems, and stops them at the end. `home`: where, if that was prepared; else see `System`."""
    stack = ExitStack()

    def make(home: Path | None = None, settings: str = "", workers: int = 2, port: int = 0, **variables: str) -> System:
        system = System(home or tmp_path_factory.mktemp("up") / "home", wait, settings, workers, port, **variables)
        stack.callback(system.end)
        system.wait(system.ready)
        system.wait(system.console_answers)
        return system

    with stack:
        yield make


@pytest.fixture(scope="module")
def system(start: Callable[[], System]) -> System:
    """One system for the tests that leave it running."""
    return start()


@pytest.fixture
def unused_port() -> int:
    """A port that nobody holds."""
    return own_port()
