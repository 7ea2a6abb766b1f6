"""What it costs a request to be observable: the same gateway with log lines and traces off, at their defaults, and on.

CPU time per request of the server process, the linear model, one row on the native path; a real collector takes the
spans. Rounds alternate, in turned order; a cost is the median over the rounds of its difference within the round.

    python -m benchmarks.observing [--rounds 9] [--seconds 2] [--connections 16]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.serving import PATH, Server, free_port, made_row, make_home, measure, post, start, to_onnx, train
from fairlead.app.observability import hand_down
from fairlead.config.fields import Share
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings

OFF = "off"


class _Collector(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def settings(port: int) -> dict[str, Observing]:
    """What is compared. With both off there is no observer's work but the draw of a number."""

    def made(lines: float, spans: float | None) -> Observing:
        tracing = TracingSettings(spans is not None, Share(spans or 0.0), f"http://127.0.0.1:{port}")
        return Observing(LoggingSettings(sample_rate=Share(lines)), tracing)

    return {
        OFF: made(0.0, None),
        "lines 10 %": made(0.1, None),
        "traces 1 %": made(0.0, 0.01),
        "lines 10 %, traces 1 %": made(0.1, 0.01),
        "lines 100 %, traces 100 %": made(1.0, 1.0),
    }


def start_all(folder: Path, port: int, stack: ExitStack) -> list[Server]:
    """A gateway for each."""
    model, servers = to_onnx(train("linear")), []
    for number, (name, observing) in enumerate(settings(port).items()):
        home, own = folder / str(number), free_port()
        home.mkdir()
        make_home(home, model)
        worker = ["-m", "fairlead.app.worker", "--home", str(home), "--port", str(own), *hand_down(observing)]
        servers.append(start(name, worker, own, post(PATH, msgspec.json.encode({"features": made_row()})), stack))
    return servers


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    collector = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = start_all(Path(folder), collector.server_port, stack)
        found: dict[str, list[float]] = {server.name: [] for server in servers}
        for number in range(options.rounds):
            turned = servers[number % len(servers) :] + servers[: number % len(servers)]
            for server in turned:
                found[server.name].append(measure(server, options.seconds, options.connections).cpu_us)
    collector.shutdown()
    sys.stdout.write(f"{'':28}CPU us/request   more than off (range)\n")
    for name, costs in found.items():
        more = sorted(cost - off for cost, off in zip(costs, found[OFF], strict=True))
        sys.stdout.write(f"{name:28}{median(costs):14.2f}   {median(more):+.2f} ({more[0]:+.2f} to {more[-1]:+.2f})\n")


if __name__ == "__main__":
    main()
