"""A real worker with a slow model, asked for more than it can answer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.predictors.onnx import OnnxPredictor
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.app.supervisor import worker_options
from fairlead.app.worker import DRAIN_SECONDS, drain_seconds, parse
from fairlead.core.admission import Limits
from fairlead.core.bundle import GOLDEN, PORTABLE, Golden, Lineage, Manifest, Parity
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute

Plane = Any  # the fixtures' values: see conftest
Home = Any
CONTRACT = Contract((Feature("lead_time", Kind.NUMBER),), Task.BINARY, "is_canceled", ("0", "1"))
PATH = "/v1/models/hotel/predict"
WIDE = 1024  # columns of the matrix that makes the model slow
CLIENTS = 64


def slow_model(products: int) -> bytes:
    """A logistic model in ONNX that first multiplies matrices for nothing, some milliseconds long."""
    wide = numpy_helper.from_array(np.zeros((1, WIDE), np.float32), "wide")
    shape = numpy_helper.from_array(np.array([WIDE, WIDE], np.int64), "shape")
    last = numpy_helper.from_array(np.zeros((WIDE, 1), np.float32), "last")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["matrix"]),
        helper.make_node("Add", ["lead_time", "wide"], ["x0"]),
        *(helper.make_node("MatMul", [f"x{step}", "matrix"], [f"x{step + 1}"]) for step in range(products)),
        helper.make_node("MatMul", [f"x{products}", "last"], ["nothing"]),
        helper.make_node("Add", ["lead_time", "nothing"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    given = helper.make_tensor_value_info("lead_time", TensorProto.FLOAT, [None, 1])
    answer = helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "slow", [given], [answer], [wide, shape, last])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def put(home: Path, products: int) -> str:
    """Registers the slow model and returns its digest."""
    draft = home / f"draft-{products}"
    (draft / PORTABLE).parent.mkdir(parents=True)
    data = slow_model(products)
    (draft / PORTABLE).write_bytes(data)
    answered = OnnxPredictor(data, CONTRACT).predict([(1.0,)])
    (draft / GOLDEN).write_bytes(msgspec.json.encode(Golden(({"lead_time": 1.0},), (tuple(answered[0].tolist()),))))
    manifest = Manifest(
        name="hotel",
        contract=CONTRACT,
        model_format="onnx",
        model_entry=PORTABLE,
        served=PORTABLE,
        files={path: file_sha256(draft / path) for path in (PORTABLE, GOLDEN)},
        lineage=Lineage("made", "0" * 64, 1),
        parity=Parity(1, 0.0, 1e-6),
    )
    return BundleFolder(home / "bundles").put(draft, manifest)


def champion(version: int, digest: str) -> ModelRoute:
    """One version answers."""
    return ModelRoute((Arm("champion", version, 1.0),), {version: digest})


class Asked(NamedTuple):
    """One request's id and what came of it."""

    request_id: str
    status: int
    retry_after: str
    version: int


class Crowd:
    """Clients that ask without pause, each on its own connection, until told to stop."""

    def __init__(self, plane: Plane, clients: int) -> None:
        self.asked: list[Asked] = []
        self.broken = 0
        self.stopping = threading.Event()
        self._url = plane.url
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits until each client has its last answer: none may hang."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(240)
        assert not any(thread.is_alive() for thread in self._threads)

    def _ask(self, client: int) -> None:
        count = 0
        with httpx.Client(base_url=self._url, timeout=240.0) as http:
            while not self.stopping.is_set():
                count += 1
                name = f"c{client}-{count}"
                try:
                    answer = http.post(PATH, json={"features": {"lead_time": 1.0}, "request_id": name})
                except httpx.TransportError:
                    self.broken += 1
                    return
                body = answer.json()
                version = body.get("version", 0)
                self.asked.append(Asked(name, answer.status_code, answer.headers.get("retry-after", ""), version))
                if answer.status_code == 503:
                    time.sleep(0.05)  # sooner than told: the crowd is rude


def records(home: Path) -> list[Prediction]:
    """The whole log."""
    reader, found = SegmentReader(home / "log"), []
    while batch := reader.poll()[0]:
        found += batch
    return found


def until_asked(crowd: Crowd, count: int) -> None:
    """Waits until the crowd has had so many answers with 200."""
    deadline = time.monotonic() + 240
    while sum(one.status == 200 for one in crowd.asked) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_overload_sheds_and_whoever_is_admitted_is_answered(start_plane: Callable[..., Plane], home: Home) -> None:
    """Sixty-four clients on a worker that answers one row at a time: the statuses are 200 and 503, each 503 says when
    to come back, nobody waits longer than the time-out, the log has each admitted request once, and right after the
    burst a single client is answered again."""
    digest = put(home.path, products=30)
    limits = Limits(timeout=20.0, queue=8, batch=1)
    plane = start_plane(limits={"hotel": limits})
    home.publish_and_wait(champion(1, digest), workers=1)
    crowd = Crowd(plane, CLIENTS)
    until_asked(crowd, 60)
    crowd.stop()
    statuses = Counter(one.status for one in crowd.asked)
    assert (set(statuses), crowd.broken) == ({200, 503}, 0)
    assert {one.retry_after for one in crowd.asked if one.status == 200} == {""}
    assert all(1 <= int(one.retry_after) <= 60 for one in crowd.asked if one.status == 503)
    alone = httpx.post(plane.url + PATH, json={"features": {"lead_time": 1.0}, "request_id": "after"}, timeout=60.0)
    assert alone.status_code == 200
    logged = records(home.path)
    answered = {one.request_id for one in crowd.asked if one.status == 200} | {"after"}
    assert sorted(record.request_id for record in logged) == sorted(answered)
    assert max(record.latency_ms for record in logged) <= limits.timeout * 1000.0
    metrics = httpx.get(plane.url + "/metrics", timeout=60.0).text
    shed = [line for line in metrics.splitlines() if line.startswith("fairlead_requests_shed_total{")]
    assert sum(int(line.rsplit(" ", 1)[1]) for line in shed) == statuses[503]
    assert 'fairlead_queue_depth{model_name="hotel",model_version="1",worker="0"} 0' in metrics
    assert "process_resident_memory_bytes" in metrics


def test_what_was_admitted_is_answered_when_the_worker_is_told_to_stop(
    start_plane: Callable[..., Plane], home: Home
) -> None:
    """SIGTERM with a full queue: every client that had its request in gets a whole answer, and it is in the log."""
    digest = put(home.path, products=300)
    plane = start_plane(limits={"hotel": Limits(timeout=240.0, wait=240.0, batch=1)})
    home.publish_and_wait(champion(1, digest), workers=1)
    answers: list[httpx.Response] = []

    def ask(number: int) -> None:
        body = {"features": {"lead_time": 1.0}, "request_id": f"r{number}"}
        answers.append(httpx.post(plane.url + PATH, json=body, timeout=240.0))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    home.wait(lambda: len(answers) + queue_depth(plane) >= 15)  # in this order; one runs: all sixteen are in
    os.kill(plane.supervisor.pids()[0], signal.SIGTERM)
    for thread in threads:
        thread.join(240)
    assert [answer.status_code for answer in answers] == [200] * 16
    assert sorted(record.request_id for record in records(home.path)) == sorted(f"r{number}" for number in range(16))


def queue_depth(plane: Plane) -> int:
    """Requests that wait, as the metrics say."""
    lines = httpx.get(plane.url + "/metrics", timeout=30.0).text.splitlines()
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("fairlead_queue_depth{"))


def test_a_route_swap_under_load_fails_nobody(start_plane: Callable[..., Plane], home: Home) -> None:
    """Those who wait are answered by the version that they began with, those who come later by the next."""
    old, new = put(home.path, products=20), put(home.path, products=19)
    plane = start_plane(limits={"hotel": Limits(timeout=60.0, wait=60.0)})
    home.publish_and_wait(champion(1, old), workers=1)
    crowd = Crowd(plane, 16)
    until_asked(crowd, 40)
    home.publish_and_wait(champion(2, new), workers=1)
    until_asked(crowd, len(crowd.asked) + 40)
    crowd.stop()
    assert ({one.status for one in crowd.asked}, crowd.broken) == ({200}, 0)
    told = {one.request_id: one.version for one in crowd.asked}
    assert {record.request_id: record.model_version for record in records(home.path)} == told
    assert set(told.values()) == {1, 2}


def test_the_limits_reach_the_worker_and_wrong_ones_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON by model; a worker that is told to stop goes on for the longest time-out."""
    limits = {"": Limits(), "hotel": Limits(timeout=42.5)}
    options = parse(["--home", "h", *worker_options(("pickle",), limits)])
    assert (options.limits, options.trust) == (limits, ["pickle"])
    assert drain_seconds(options) == 44
    assert drain_seconds(parse(["--home", "h"])) == DRAIN_SECONDS + 1
    for wrong in ("{", '{"hotel": {"timeout": "long"}}', "[]"):
        with pytest.raises(SystemExit) as caught:
            parse(["--home", "h", "--limits", wrong])
        assert caught.value.code == 2
        assert "--limits" in capsys.readouterr().err
