"""A worker process with models of every kind, whose answers are known formulas, for whoever wants to be hostile to it.

binary      in ONNX, a category that is let through when unseen, an integer that is imputed
value       a regression in plain Python with a range that is enforced
kinds       three classes, a category and a boolean that are enforced, and a rule over two features
slow        a function that takes its time, so it is answered in a lane and sheds
wire        as `value`: asked over broken HTTP only, so that its records can be told from the others'
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from math import exp
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.route_file import RouteFile
from fairlead.app.supervisor import worker_options
from fairlead.core.admission import Limits
from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.testing.candidate import CONTRACT as STAY
from fairlead.testing.candidate import formula_onnx
from fairlead.testing.loopback import own_port

FILE = "model/model.py"
BINARY, VALUE, KINDS, SLOW, WIRE = "binary", "value", "kinds", "slow", "wire"
PRICE = Contract(
    (
        Feature("area", Kind.NUMBER, minimum=0.0, maximum=1000.0, out_of_range=Policy.REJECT),
        Feature("rooms", Kind.INTEGER, minimum=1, maximum=20, out_of_range=Policy.REJECT),
        Feature("age", Kind.NUMBER, nullable=True),
    ),
    Task.REGRESSION,
    "price",
)
TRIP = Contract(
    (
        Feature("distance", Kind.NUMBER, minimum=0.0, maximum=100.0, out_of_range=Policy.REJECT),
        Feature("weight", Kind.NUMBER, minimum=0.0, maximum=500.0),
        Feature("vehicle", Kind.CATEGORY, categories=("bike", "car", "ship"), unseen=Policy.REJECT),
        Feature("fragile", Kind.BOOLEAN),
    ),
    Task.MULTICLASS,
    "route",
    ("air", "land", "sea"),
    rules=(Rule("distance <= weight + 100"),),
)
EASE = Contract((Feature("load", Kind.NUMBER),), Task.BINARY, "late", ("0", "1"))
SOURCES = {
    VALUE: (
        "def predict(rows):\n"
        "    return [10.0 * a + 5.0 * r - (0.0 if y is None else min(y, 100.0)) for a, r, y in rows]\n"
    ),
    KINDS: (
        "NAMES = ('bike', 'car', 'ship')\n"
        "def predict(rows):\n"
        "    return [[0.5 if NAMES.index(v) == n else 0.25 for n in range(3)] for d, w, v, f in rows]\n"
    ),
    SLOW: (
        "import time\n"
        "def predict(rows):\n"
        "    time.sleep(0.002 * len(rows))\n"
        "    return [0.75 if x > 0.5 else 0.25 for (x,) in rows]\n"
    ),
}
SOURCES[WIRE] = SOURCES[VALUE]
CONTRACTS = {BINARY: STAY, VALUE: PRICE, KINDS: TRIP, SLOW: EASE, WIRE: PRICE}
ROWS: dict[str, dict[str, Any]] = {
    BINARY: {"age": 40.0, "nights": 4, "city": "berlin"},
    VALUE: {"area": 50.0, "rooms": 3, "age": 7.0},
    KINDS: {"distance": 12.5, "weight": 20.0, "vehicle": "car", "fragile": False},
    SLOW: {"load": 0.9},
    WIRE: {"area": 50.0, "rooms": 3, "age": 7.0},
}
ANSWERS: dict[str, tuple[Any, tuple[float, ...]]] = {
    BINARY: (0, (1 - 1 / (1 + exp(1.7)), 1 / (1 + exp(1.7)))),
    VALUE: (508.0, (508.0,)),
    KINDS: ("land", (0.25, 0.5, 0.25)),
    SLOW: (1, (0.25, 0.75)),
    WIRE: (508.0, (508.0,)),
}


class Short(NamedTuple):
    """What is shorter in a hostile house than in a real one, in seconds and bytes."""

    read_seconds: float = 2.0
    idle_seconds: int = 4
    body_limit: int = 2 * 2**20


def put(home: Path, name: str) -> str:
    """Registers a model and returns its bundle's digest."""
    draft, contract = home / f"draft-{name}", CONTRACTS[name]
    entry = FILE if name in SOURCES else PORTABLE
    (draft / entry).parent.mkdir(parents=True)
    (draft / entry).write_bytes(SOURCES[name].encode() if entry == FILE else formula_onnx())
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden((ROWS[name],), (ANSWERS[name][1],))))
    manifest = Manifest(
        name=name,
        contract=contract,
        model_format="python" if entry == FILE else "onnx",
        model_entry=entry,
        served=entry,
        files={path: file_sha256(draft / path) for path in (entry, GOLDEN)},
        lineage=Lineage("made", "0" * 64, 1),
        parity=Parity(1, 0.0, 1e-5),
        model_call="predict" if entry == FILE else "",
    )
    return BundleFolder(home / "bundles").put(draft, manifest)


def furnish(home: Path, names: tuple[str, ...] = tuple(CONTRACTS)) -> None:
    """A home that serves the models, each by one version."""
    routes = {name: ModelRoute((Arm("champion", 1, 1.0),), {1: put(home, name)}) for name in names}
    RouteFile(home / "routes").publish(RouteTable(1, routes))


class House:
    """A worker process on loopback. Its limits are short, so that what is slow on purpose is soon over."""

    def __init__(self, home: Path, short: Short | None = None, limits: Mapping[str, Limits] | None = None) -> None:
        short = short or Short()
        self.home = home
        self.names = tuple(RouteFile(home / "routes").current().models)
        self.port = own_port()
        self.errors = home / "worker.err"
        program = [sys.executable, "-m", "benchmarks.hostile.worker", *map(str, short)]
        options = ["--home", str(home), "--port", str(self.port), "--body-limit", str(short.body_limit)]
        with self.errors.open("wb") as errors:
            command = [*program, *options, *worker_options(("python",), limits)]
            self.process = subprocess.Popen(command, stderr=errors, cwd=Path(__file__).parents[2])
        self.pid = self.process.pid
        try:
            until(self._is_ready)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int:
        """Ends it; returns its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def said(self) -> str:
        """What it has written to its error stream."""
        return self.errors.read_text(errors="replace")

    def resident(self) -> int:
        """Its resident memory, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def peak(self) -> int:
        """The most memory that it ever had resident, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

    def ask(self, name: str) -> dict[str, Any]:
        """One plain request; raises where it is not answered with 200."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = msgspec.json.encode({"features": ROWS[name], "unit_id": "well"})
        connection.request("POST", f"/v1/models/{name}/predict", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text!r}")
        found: dict[str, Any] = msgspec.json.decode(text)
        return found

    def is_right(self, name: str) -> bool:
        """Whether the model answers its formula."""
        answer, (label, outputs) = self.ask(name), ANSWERS[name]
        close = all(abs(a - b) < 1e-5 for a, b in zip(answer.get("probabilities", [label]), outputs, strict=True))
        return bool(close and answer["prediction"] == label)

    def are_right(self) -> bool:
        """Whether all models do."""
        return all(self.is_right(name) for name in self.names)

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the worker has ended: {self.said()}")
        try:
            return self.are_right()
        except (OSError, RuntimeError):
            return False


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for a condition. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)
