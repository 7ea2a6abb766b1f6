"""fairlead's data plane against the field's practice: the same model, one core for the server, another for the load.

The client is fair to both. It is one program that knows no server: the same number of kept connections, each sending
the next request when its answer is whole; the bytes are made beforehand, so it costs the same for all; it never
sleeps, so no server is charged for waking it. The servers run under the same uvicorn, event loop and parser, with
one thread, and write each prediction to a log. One is asked at a time, the others sleep. What differs is
fairlead's burden: its request is longer (features by name), checked against a contract, routed, logged checksummed.

Rounds alternate, in turned order, because a machine's speed swings; a ratio is taken within a round, and told as the
median over the rounds with its range. CPU time per request is the server process's own: user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection, create_server
from statistics import median
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.route_file import RouteFile
from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.route import Arm, ModelRoute, RouteTable

FEATURES = 15
NAMES = tuple(f"feature_{index}" for index in range(FEATURES))
PATH = "/v1/models/bench/predict"
ROOT = Path(__file__).parents[1]
TICK = os.sysconf("SC_CLK_TCK")
BUSY = 0.5  # load average a core, from which figures are doubted
OURS, BARE, ROLLOUT = "fairlead", "bare ASGI", "fairlead, canary 5 %"
CHAMPION = Arm("champion", 1, 1.0)
CANARY = (Arm("canary", 2, 0.05), Arm("champion", 1, 0.95))


class Load(NamedTuple):
    """What one round measured: a latency in seconds and a status for each request."""

    seconds: float
    latencies: list[float]
    statuses: list[bytes]


class Exchange(asyncio.Protocol):
    """One kept connection, one request at a time; `answered` is called when an answer is whole."""

    def __init__(self) -> None:
        self._buffer = b""
        self.transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[: head_end + 2].lower()
        at = head.find(b"content-length:")
        if at < 0:  # in chunks
            whole = self._buffer.endswith(b"\r\n0\r\n\r\n")
        else:
            whole = len(self._buffer) >= head_end + 4 + int(head[at + 15 : head.find(b"\r\n", at)])
        if whole:
            self._buffer = b""
            self.answered(head[9:12])

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.done.done():
            self.done.set_result(None)

    def answered(self, status: bytes) -> None:
        raise NotImplementedError


class _Connection(Exchange):
    """The next request leaves when the answer is there, until the deadline."""

    def __init__(self, request: bytes, deadline: float, load: Load) -> None:
        super().__init__()
        self._request = request
        self._deadline = deadline
        self._load = load
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send()

    def answered(self, status: bytes) -> None:
        now = time.perf_counter()
        self._load.latencies.append(now - self._sent_at)
        self._load.statuses.append(status)
        if now < self._deadline:
            self._send()
        elif self.transport is not None:
            self.transport.close()

    def _send(self) -> None:
        assert self.transport is not None
        self._sent_at = time.perf_counter()
        self.transport.write(self._request)


async def spin() -> None:
    """Never sleeps: in a virtual machine the wake-up of a sleeping client costs its waker tens of microseconds, and
    that is no work of the server's."""
    while True:  # noqa: ASYNC110 - it waits for nothing, on purpose
        await asyncio.sleep(0)


async def send_all(port: int, request: bytes, seconds: float, connections: int) -> Load:
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    taken = Load(0.0, [], [])
    made = [
        await loop.create_connection(lambda: _Connection(request, begun + seconds, taken), "127.0.0.1", port)
        for _ in range(connections)
    ]
    spinner = loop.create_task(spin())
    await asyncio.gather(*(connection.done for _, connection in made))
    spinner.cancel()
    return taken._replace(seconds=time.perf_counter() - begun)


def post(path: str, body: bytes) -> bytes:
    """The bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def load(port: int, request: bytes, seconds: float, connections: int) -> Load:
    """Sends a request again and again."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(send_all(port, request, seconds, connections))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Server(NamedTuple):
    """A running server and what it is asked. `cpu` tells the CPU time of its process, or of all its processes."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    request: bytes
    cpu: Callable[[int], float] = cpu_seconds


class Round(NamedTuple):
    """One round's figures."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def made_rows() -> NDArray[np.float64]:
    """(20,000, 15) numbers, always the same."""
    return np.random.default_rng(7).normal(size=(20_000, FEATURES))


def made_row() -> dict[str, float]:
    """The one that is asked."""
    return dict(zip(NAMES, made_rows()[100].tolist(), strict=True))


def train(kind: str = "boosted") -> Any:
    """A gradient boosting of 100 trees, or a logistic regression (`linear`), on the made rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    rows = made_rows()
    noise = np.random.default_rng(8).normal(size=len(rows))
    target = (rows[:, :5].sum(axis=1) + np.abs(rows[:, 5]) + noise > 0.8).astype(int)
    boosted = HistGradientBoostingClassifier(max_iter=100, random_state=7)
    return (boosted if kind == "boosted" else LogisticRegression()).fit(rows, target)


def to_onnx(model: Any) -> bytes:
    """The model in the portable format, probabilities as a matrix."""
    from skl2onnx import to_onnx

    made = to_onnx(model, np.zeros((1, FEATURES), np.float32), options={"zipmap": False})
    data: bytes = made.SerializeToString()
    return data


def make_home(
    home: Path,
    onnx_model: bytes,
    arms: tuple[Arm, ...] = (CHAMPION,),
    shadows: tuple[int, ...] = (),
    shadowed: float = 1.0,
) -> None:
    """A home folder that serves the portable model: all versions are of one bundle, so that each costs the same."""
    rows = made_rows()
    lows, highs = rows.min(axis=0), rows.max(axis=0)
    features = tuple(
        Feature(name, Kind.NUMBER, minimum=float(low), maximum=float(high))
        for name, low, high in zip(NAMES, lows, highs, strict=True)
    )
    contract = Contract(features, Task.BINARY, "target", ("0", "1"))
    golden_rows = [tuple(row) for row in rows[:32].tolist()]
    outputs = OnnxPredictor(onnx_model, contract).predict(golden_rows).tolist()
    golden = Golden(tuple(dict(zip(NAMES, row, strict=True)) for row in golden_rows), tuple(map(tuple, outputs)))
    draft = home / "draft"
    (draft / PORTABLE).parent.mkdir(parents=True)
    (draft / PORTABLE).write_bytes(onnx_model)
    (draft / GOLDEN).write_bytes(msgspec.json.encode(golden))
    manifest = Manifest(
        name="bench",
        contract=contract,
        model_format="onnx",
        model_entry=PORTABLE,
        served=PORTABLE,
        files={path: file_sha256(draft / path) for path in (PORTABLE, GOLDEN)},
        lineage=Lineage(dataset="made", dataset_digest="0" * 64, rows=len(rows)),
        parity=Parity(len(golden_rows), 0.0, 1e-6),
    )
    digest = BundleFolder(home / "bundles").put(draft, manifest)
    salt = "bench" if shadows or len(arms) > 1 else ""  # as a rollout has it, and only a rollout
    bundles = dict.fromkeys((*(arm.version for arm in arms), *shadows), digest)
    route = ModelRoute(arms, bundles, shadows, salt, shadowed=shadowed)
    RouteFile(home / "routes").publish(RouteTable(1, {"bench": route}))


def free_port() -> int:
    """A port that nobody listens on."""
    with create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(name: str, command: Sequence[str], port: int, request: bytes, stack: ExitStack) -> Server:
    """Starts a server on core 0 and waits until it accepts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *command], env=environment, cwd=ROOT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    os.sched_setaffinity(process.pid, {0})
    for _ in range(600):
        try:
            create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    time.sleep(1.0)  # the gateway loads its table
    return Server(name, process, port, request)


def measure(server: Server, seconds: float, connections: int) -> Round:
    """One round of load on one server."""
    load(server.port, server.request, 0.3, connections)
    before = server.cpu(server.process.pid)
    taken = load(server.port, server.request, seconds, connections)
    spent = server.cpu(server.process.pid) - before
    count = len(taken.latencies)
    if set(taken.statuses) != {b"200"}:
        sys.exit(f"{server.name}: of {count} requests {count - taken.statuses.count(b'200')} failed")
    p50, p99 = np.percentile(taken.latencies, [50, 99]) * 1000.0
    return Round(count / taken.seconds, float(p50), float(p99), spent / count * 1e6)


def start_ours(home: Path, onnx_model: bytes, stack: ExitStack, name: str = OURS, *arms: Arm) -> Server:
    """A gateway worker that serves a model, with all that it does on: contract, route, log, evidence."""
    make_home(home, onnx_model, arms or (CHAMPION,))
    port = free_port()
    worker = ["-m", "fairlead.app.worker", "--home", str(home), "--port", str(port)]
    return start(name, worker, port, post(PATH, msgspec.json.encode({"features": made_row()})), stack)


def start_linear(folder: Path, stack: ExitStack) -> list[Server]:
    """fairlead with a linear model, as champion and in a rollout, and an application that answers as many bytes."""
    model = to_onnx(train("linear"))
    ours = start_ours(folder / "alone", model, stack)
    rollout = start_ours(folder / "rollout", model, stack, ROLLOUT, *CANARY)
    port = free_port()
    command = ["-m", "benchmarks.peers.serve_bare", str(port), str(len(ask(ours)))]
    return [ours, rollout, start(BARE, command, port, ours.request, stack)]


def ask(server: Server) -> bytes:
    """The body of one answer."""
    with create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(server.request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    if head[9:12] != b"200":
        sys.exit(f"{server.name} answers {said.decode(errors='replace')}")
    return body


def start_all(folder: Path, stack: ExitStack) -> list[Server]:
    """fairlead, the practice with scikit-learn, and the practice with the same ONNX session."""
    model = train()
    onnx_model = to_onnx(model)
    (folder / "model.onnx").write_bytes(onnx_model)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    theirs = post("/predict", msgspec.json.encode({"features": list(made_row().values())}))
    servers = [start_ours(folder / "home", onnx_model, stack)]
    for name, file in (("fastapi + scikit-learn", "model.pkl"), ("fastapi + onnx", "model.onnx")):
        port = free_port()
        command = ["-m", "benchmarks.peers.serve_fastapi", str(folder / file), str(folder / f"{file}.log"), str(port)]
        servers.append(start(name, command, port, theirs, stack))
    return servers


def model_us(onnx_model: bytes) -> float:
    """What one row costs in the model alone, in microseconds, through the predictor that serves it."""
    contract = Contract(tuple(Feature(name, Kind.NUMBER) for name in NAMES), Task.BINARY, "target", ("0", "1"))
    predictor, rows = OnnxPredictor(onnx_model, contract), [tuple(made_row().values())]
    begun = time.process_time()
    for _ in range(5_000):
        predictor.predict(rows)
    return (time.process_time() - begun) / 5_000 * 1e6


def ratios(theirs: list[float], ours: list[float]) -> str:
    """The median of the rounds' ratios, with its range."""
    each = [one / other for one, other in zip(theirs, ours, strict=True)]
    digits = 1 if median(each) > 3.0 else 2
    return f"{median(each):.{digits}f}x ({min(each):.{digits}f} to {max(each):.{digits}f})"


def report(rounds: dict[str, list[Round]], best: str) -> None:
    """Prints medians over the rounds, and how many times better than each server one of them is."""
    print(f"{'server':<24}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU us/request':>16}", end="")
    print(f"{f'{best} in time':>24}{f'{best} in CPU time':>24}")
    for name, taken in rounds.items():
        rate, p50, p99, cpu = (median(values) for values in zip(*taken, strict=True))
        line = f"{name:<24}{rate:>12,.0f}{p50:>10.2f}{p99:>10.2f}{cpu:>16.1f}"
        if name != best:
            line += f"{ratios([one.rate for one in rounds[best]], [one.rate for one in taken]):>24}"
            line += f"{ratios([one.cpu_us for one in taken], [one.cpu_us for one in rounds[best]]):>24}"
        print(line)


def warn_if_busy(cores: int) -> None:
    """Says so when others use the machine: the ratios still tell something, the figures do not."""
    load_average = os.getloadavg()[0]
    if load_average > BUSY * cores:
        used = f"the load average of the last minute is {load_average:.1f} on {cores} cores"
        print(f"warning: {used}: others use this machine, read the ratios, not the figures", file=sys.stderr)


def main() -> None:
    """The benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument(
        "--peers",
        choices=("practice", "bare"),
        default="practice",
        help="FastAPI with the same boosted model; or, with a linear one, an ASGI application that only reads the body",
    )
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    warn_if_busy(cores)
    os.sched_setaffinity(0, {1 % cores})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        servers = (start_linear if options.peers == "bare" else start_all)(folder, stack)
        rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
        for turn in range(options.rounds):
            for server in servers if turn % 2 == 0 else reversed(servers):
                rounds[server.name].append(measure(server, options.seconds, options.connections))
        if options.peers == "bare":
            return report(rounds, BARE)
        alone_us = model_us((folder / "model.onnx").read_bytes())
    report(rounds, OURS)
    beyond = median(one.cpu_us for one in rounds[OURS]) - alone_us
    return print(f"the model alone, warm: {alone_us:.1f} us a row; fairlead beyond it: {beyond:.1f} us a request")


if __name__ == "__main__":
    main()
