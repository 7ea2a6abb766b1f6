"""Log lines and traces of a whole system: real processes, a real collector."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fairlead.core.route import Arm, ModelRoute
from fairlead.testing.loopback import own_port

ROW = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}
SECRET = "hunter2secret"


class Collector:
    """Takes what workers send, and decodes it with OpenTelemetry's own messages."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def spans(self) -> list[Span]:
        """Everything that came."""
        return [s for r in self.requests for a in r.resource_spans for b in a.scope_spans for s in b.spans]

    def stop(self) -> None:
        """Closes it."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    made = Collector()
    yield made
    made.stop()


class System:
    """`fairlead up` with one worker, every request logged and traced."""

    def __init__(self, home: Any, collector: int, to: str) -> None:
        self.path: Path = home.path
        self.wait = home.wait
        logs = f"{{sample_rate: 100%, to: {to}, level: INFO}}"
        traces = f'{{enabled: true, sample_rate: 100%, endpoint: "http://127.0.0.1:{collector}"}}'
        config = home.path / "fairlead.yaml"
        config.write_text(f"monitoring: {{logging: {logs}, tracing: {traces}}}\n")
        command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home.path), "--config", str(config), "up"]
        command += ["--port", "0", "--control-port", str(own_port()), "--workers", "1"]
        self.out = home.path / "out"
        with self.out.open("wb") as out, (home.path / "err").open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err)
        self.wait(lambda: re.search(rb"predictions +http://127.0.0.1:\d+\D", self.out.read_bytes()))
        (port,) = re.findall(rb"predictions +http://127.0.0.1:(\d+)", self.out.read_bytes())
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{int(port)}", timeout=60.0)
        self.wait(self.ready)

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self.http.get("/v2/models/hotel/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def lines(self, process: str) -> list[dict[str, Any]]:
        """A process's lines."""
        path = self.path / "logs" / f"{process}.jsonl"
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""  # the last may be under way
        return [json.loads(line) for line in whole.splitlines()]

    def stop(self) -> None:
        """Ends it."""
        self.http.close()
        self.process.terminate()
        assert self.process.wait(120) == 0


@pytest.fixture
def start(home: Any, collector: Collector) -> Iterator[Callable[..., System]]:
    """Starts a system, and stops it."""
    started: list[System] = []

    def make(to: str = "file") -> System:
        home.publish(ModelRoute((Arm("champion", 1, 1.0),), {1: home.put(0.0)}))
        started.append(System(home, collector.server.server_port, to))
        return started[-1]

    yield make
    for one in started:
        if one.process.poll() is None:
            one.stop()


def test_a_system_tells_of_itself(start: Callable[..., System], collector: Collector) -> None:
    """Requests, what becomes of workers, and spans; a worker that is killed is told of by the supervisor; nothing that
    a caller sent is in any file."""
    system = start()
    headers = {"authorization": f"Bearer {SECRET}"}
    body = {"features": {**ROW, "lead_time": 31.4159}, "request_id": "r-1"}
    answer = system.http.post("/v1/models/hotel/predict", json=body, headers=headers, params={"key": SECRET})
    assert answer.status_code == 200
    for path in ("/v1/models/hotel/predict", f"/v1/models/{SECRET}/predict", "/v1/outcomes", f"/{SECRET}"):
        for content in (SECRET, f'{{"features": {{"{SECRET}": 1}}}}', f'[{{"request_id": "{SECRET}", "outcome": []}}]'):
            system.http.post(path, content=content, headers={**headers, "content-type": "application/json"})
    system.wait(lambda: len([1 for line in system.lines("worker-0") if line.get("path", "").startswith("/v1")]) == 10)
    (line,) = [line for line in system.lines("worker-0") if line.get("request_id") == "r-1"]
    assert (line["status"], line["model"], line["version"], line["process"]) == (200, "hotel", 1, "worker-0")
    system.wait(lambda: line["span_id"] in {span.span_id.hex() for span in collector.spans()})
    started = [line for line in system.lines("supervisor") if "started" in line["message"]]
    pid = int(started[0]["message"].rpartition("pid ")[2])
    os.kill(pid, signal.SIGKILL)
    system.wait(lambda: [line["level"] for line in system.lines("supervisor")].count("WARNING") == 1)
    system.stop()
    names = {path.name for path in (system.path / "logs").iterdir()}
    assert names >= {"worker-0.jsonl", "supervisor.jsonl"}
    told = b"".join(path.read_bytes() for path in (system.path / "logs").iterdir()) + (system.path / "err").read_bytes()
    sent = b"".join(request.SerializeToString() for request in collector.requests)
    for hidden in (SECRET.encode(), b"31.4159", b"80.5"):
        assert hidden not in told + sent


def test_lines_on_standard_output_are_all_json(start: Callable[..., System]) -> None:
    """Also where the console and the predictions are, so that a machine can read everything."""
    system = start("stdout")
    system.wait(lambda: b'"event":"request"' in system.out.read_bytes())
    system.stop()
    lines = [json.loads(line) for line in system.out.read_bytes().splitlines()]
    assert {line["process"] for line in lines} >= {"supervisor", "worker-0"}
    assert not (system.path / "logs").exists()
