"""A slow original model behind the gateway: on the event loop, and off it in a lane that answers together what waits.

The model is a scikit-learn pipeline that is asked through a data frame (scaling, one-hot encoding, boosted trees): some
milliseconds a row, nearly all of it the same for sixty-four. Both servers are the gateway's own application, server and
log; they differ in where the model runs. Another connection asks for the health all the while: what a stalled event
loop costs everybody else. Rounds alternate, in turned order; a ratio is taken within a round, and told as the median.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np
import uvloop

from benchmarks.serving import Load, cpu_seconds, free_port, load, post, warn_if_busy
from fairlead.adapters.predictors.sklearn import SklearnPredictor
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.system_clock import SystemClock
from fairlead.app.worker import SWITCH_SECONDS, http_server
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.route import Arm, ModelRoute
from fairlead.faces.gateway.app import Gateway
from fairlead.flows.serve import Serving
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion, measure

GROUPS = ("corporate", "direct", "groups", "online")
NUMBERS = tuple(f"feature_{index}" for index in range(10))
CONTRACT = Contract(
    (
        *(Feature(name, Kind.NUMBER) for name in NUMBERS),
        Feature("segment", Kind.CATEGORY, categories=GROUPS),
        Feature("market", Kind.CATEGORY, categories=GROUPS),
    ),
    Task.BINARY,
    "target",
    ("0", "1"),
)
ROW: dict[str, Any] = {**dict.fromkeys(NUMBERS, 0.25), "segment": "groups", "market": "direct"}
ON_LOOP, IN_LANE = "on the event loop", "in a lane"


def train() -> Any:
    """The pipeline, on 5,000 made rows."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.normal(size=(5_000, len(NUMBERS))), columns=list(NUMBERS))
    frame["segment"], frame["market"] = rng.choice(GROUPS, 5_000), rng.choice(GROUPS, 5_000)
    target = (frame[list(NUMBERS[:4])].sum(axis=1) + (frame.segment == "groups") > 0.5).astype(int)
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    columns = ColumnTransformer([("n", StandardScaler(), list(NUMBERS)), ("c", encoder, ["segment", "market"])])
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=100, random_state=7)).fit(frame, target)


def serve(model_file: Path, port: int, where: str) -> None:
    """The gateway with the model, until it is ended."""
    model = pickle.loads(model_file.read_bytes())
    predictor = SklearnPredictor(model, CONTRACT)
    pace = measure(predictor, [tuple(ROW.values())], SystemClock())
    manifest = Manifest("slow", CONTRACT, "pickle", "m", "m", {}, Lineage("made", "0" * 64, 5_000))
    decoder, reader = RowDecoder(CONTRACT), OutputReader(CONTRACT)
    version = LiveVersion(1, "1", manifest, decoder, reader, predictor, pace)
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: "1"})
    log = SegmentLog(model_file.parent / f"log-{port}", 0)
    serving = Serving(log, SystemClock(), Tally())
    serving.live = Live(1, {"slow": LiveModel("slow", route, {1: version}, is_quick=where == ON_LOOP)})
    batches = ", ".join(f"{rows} rows {seconds * 1e3:.1f} ms" for rows, seconds in pace.batches)
    print(f"{where}: one row {pace.single * 1e3:.1f} ms, {batches}; answered together: {pace.together(64)}", flush=True)
    sys.setswitchinterval(SWITCH_SECONDS)
    gateway = Gateway(serving, lambda: [serving.tally.snapshot(0, 1, 1, [])])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(http_server(gateway).serve([socket.create_server(("127.0.0.1", port), backlog=512)]))


class Server(NamedTuple):
    """A running server."""

    where: str
    process: subprocess.Popen[bytes]
    port: int


class Round(NamedTuple):
    """One round's figures; `health_ms` is the 99th percentile of the other connection."""

    rate: float
    p50_ms: float
    p99_ms: float
    health_ms: float
    cpu_ms: float


def start(where: str, model_file: Path, stack: ExitStack) -> Server:
    """Starts a server on core 0 and waits until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.slow_model", "--serve", where, str(model_file), str(port)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    stack.callback(process.wait)
    stack.callback(process.kill)
    os.sched_setaffinity(process.pid, {0})
    for _ in range(600):
        try:
            health(port)
            break
        except OSError:
            time.sleep(0.1)
    return Server(where, process, port)


def health(port: int) -> float:
    """How long an answer on the health takes, in seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    begun = time.perf_counter()
    connection.request("GET", "/v2/health/ready")
    connection.getresponse().read()
    connection.close()
    return time.perf_counter() - begun


@contextmanager
def watching(port: int) -> Iterator[list[float]]:
    """Asks for the health ten times a second."""
    seen: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            seen.append(health(port))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def run_round(server: Server, seconds: float, connections: int) -> Round:
    """One round of load on one server."""
    request = post("/v1/models/slow/predict", msgspec.json.encode({"features": ROW}))
    load(server.port, request, 0.3, connections)
    before = cpu_seconds(server.process.pid)
    with watching(server.port) as seen:
        taken: Load = load(server.port, request, seconds, connections)
    spent = cpu_seconds(server.process.pid) - before
    count = len(taken.latencies)
    if set(taken.statuses) != {b"200"}:
        sys.exit(f"{server.where}: of {count} requests {count - taken.statuses.count(b'200')} failed")
    p50, p99 = np.percentile(taken.latencies, [50, 99]) * 1e3
    worst = float(np.percentile(seen, 99)) * 1e3
    return Round(count / taken.seconds, float(p50), float(p99), worst, spent / count * 1e3)


def report(connections: int, rounds: dict[str, list[Round]]) -> None:
    """Prints medians over the rounds, and the median of the rounds' ratios."""
    for where, taken in rounds.items():
        rate, p50, p99, worst, cpu = (median(values) for values in zip(*taken, strict=True))
        print(f"{connections:>11}  {where:<18}{rate:>12,.0f}{p50:>10.1f}{p99:>10.1f}{worst:>15.1f}{cpu:>12.2f}")
    pairs = list(zip(rounds[ON_LOOP], rounds[IN_LANE], strict=True))
    rate = median(lane.rate / loop.rate for loop, lane in pairs)
    p99 = median(lane.p99_ms / loop.p99_ms for loop, lane in pairs)
    other = median(lane.health_ms / loop.health_ms for loop, lane in pairs)
    print(f"{'':>11}  lane / loop: {rate:.2f}x the requests, {p99:.2f}x the p99, {other:.2f}x the health's p99")


def main() -> None:
    """The benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--serve", nargs=3, metavar=("WHERE", "MODEL", "PORT"), help="be a server")
    options = parser.parse_args()
    if options.serve is not None:
        where, model, port = options.serve
        serve(Path(model), int(port), where)
        return
    warn_if_busy(os.cpu_count() or 1)
    os.sched_setaffinity(0, {1 % (os.cpu_count() or 1)})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        model_file = Path(name) / "model.pkl"
        model_file.write_bytes(pickle.dumps(train()))
        servers = [start(where, model_file, stack) for where in (ON_LOOP, IN_LANE)]
        print(f"{'connections':>11}  {'model':<18}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}", end="")
        print(f"{'health p99 ms':>15}{'CPU ms/req':>12}")
        for connections in (1, 8, 64):
            rounds: dict[str, list[Round]] = {server.where: [] for server in servers}
            for turn in range(options.rounds):
                for server in servers if turn % 2 == 0 else reversed(servers):
                    rounds[server.where].append(run_round(server, options.seconds, connections))
            report(connections, rounds)


if __name__ == "__main__":
    main()
