"""Slow models, large requests and pinned versions over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.core.admission import Limits
from fairlead.core.pace import Pace
from fairlead.faces.gateway.operators import check_operator
from fairlead.faces.gateway.wire import Refusal
from fairlead.flows.warm import Live, LiveModel

Gateway = Any  # the fixture's value: see conftest
ROW: dict[str, Any] = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}
SLOW = Pace(0.005, ((4, 0.006), (16, 0.008), (64, 0.02)))


class Gated:
    """A version that waits until it is let."""

    def __init__(self, predictor: Any) -> None:
        self._predictor = predictor
        self.gate = threading.Event()
        self.batches: list[int] = []

    def predict(self, rows: Sequence[Any]) -> NDArray[np.float64]:
        """As the version that it stands before."""
        self.batches.append(len(rows))
        assert self.gate.wait(60)
        answers: NDArray[np.float64] = self._predictor.predict(rows)
        return answers


Slow = tuple[Gateway, Gated]


@pytest.fixture
def slow(start_gateway: Callable[..., Gateway]) -> Iterator[Slow]:
    """A gateway whose hotel is slow: champion alone, in a lane for two that wait; the price is quick."""
    gateway = start_gateway(limits={"hotel": Limits(queue=2, wait=60.0, batch=1)})
    live = gateway.serving.live
    hotel = live.models["hotel"]
    gated = Gated(hotel.versions[1].predictor)
    version = msgspec.structs.replace(hotel.versions[1], predictor=gated, pace=SLOW)
    route = msgspec.structs.replace(hotel.route, arms=(msgspec.structs.replace(hotel.route.arms[-1], share=1.0),))
    made = LiveModel("hotel", route, {**hotel.versions, 1: version}, is_quick=False)
    gateway.serving.live = Live(3, {**live.models, "hotel": made})
    yield gateway, gated
    gated.gate.set()


def wait(condition: Callable[[], Any]) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stands(gateway: Gateway, waiting: int) -> bool:
    """Whether one batch runs and so many requests wait."""
    return [(one.waiting, one.running) for one in gateway.serving.queues()] == [(waiting, 1)]


@pytest.mark.parametrize("protocol", ["v1", "v2", "mlflow"])
def test_a_slow_model_holds_up_nobody_else(slow: Slow, protocol: str) -> None:
    """While it works and others wait for it, another model answers, and so do health and metrics; then all are
    answered."""
    gateway, gated = slow
    tensors = [
        {"name": name, "datatype": kind, "shape": [1, 1], "data": [ROW[name]]}
        for name, kind in (("lead_time", "FP64"), ("nights", "INT64"), ("segment", "BYTES"))
    ]
    tensors.append({"name": "repeated", "datatype": "BOOL", "shape": [1, 1], "data": [True]})
    url, body = {
        "v1": ("/v1/models/hotel/predict", {"features": ROW}),
        "v2": ("/v2/models/hotel/infer", {"inputs": tensors}),
        "mlflow": ("/models/hotel/invocations", {"dataframe_records": [ROW]}),
    }[protocol]
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(httpx.post, gateway.http.base_url.join(url), json=body, timeout=60) for _ in range(3)]
        wait(lambda: stands(gateway, 2))
        assert gateway.predict({"features": {"nights": 2}}, "price").json()["prediction"] == 200.0
        assert gateway.http.get("/v2/health/ready").status_code == 200
        refused = gateway.http.post(url, json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "queue full" in refused.text
        gated.gate.set()
        assert [each.result().status_code for each in asked] == [200, 200, 200]
    text = gateway.http.get("/metrics").text
    assert 'fairlead_requests_shed_total{model_name="hotel",model_version="1",reason="queue_full",worker="0"} 1' in text
    assert [record.status for record in gateway.log.kept_predictions if record.model_name == "hotel"] == [200] * 3


def test_who_hangs_up_takes_its_place_in_the_queue_along(slow: Slow) -> None:
    """Its row is not begun, nothing is logged for it, and another may wait in its place."""
    gateway, gated = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.predict, {"features": ROW, "request_id": "first"})
        wait(lambda: stands(gateway, 0))
        leaving = http.client.HTTPConnection("127.0.0.1", gateway.port)
        body = json.dumps({"features": ROW, "request_id": "gone"})
        leaving.request("POST", "/v1/models/hotel/predict", body, {"content-type": "application/json"})
        wait(lambda: stands(gateway, 1))
        leaving.close()
        wait(lambda: stands(gateway, 0))
        url = f"{gateway.http.base_url}/v1/models/hotel/predict"
        last = pool.submit(httpx.post, url, json={"features": ROW}, timeout=60)
        wait(lambda: stands(gateway, 1))
        gated.gate.set()
        assert [first.result().status_code, last.result().status_code] == [200, 200]
    assert len(gated.batches) == 2
    assert "gone" not in {record.request_id for record in gateway.log.kept_predictions}


def test_a_request_out_of_time_is_a_503(slow: Slow, start_gateway: Callable[..., Gateway]) -> None:
    """With the time to try again, one line, and a record of that status under its own request id."""
    hotel = slow[0].serving.live
    gateway = start_gateway(limits={"": Limits(timeout=0.05)})
    gateway.serving.live = hotel
    answer = gateway.predict({"features": ROW, "request_id": "late"})
    assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True)
    assert "did not answer within 0.05 s" in answer.json()["error"]
    (record,) = gateway.log.kept_predictions
    assert (record.request_id, record.status, record.prediction) == ("late", 503, None)


def test_a_large_request_is_answered_like_a_small_one(gateway: Gateway) -> None:
    """Thousands of rows, read and answered off the loop: in order, each with its record and its arm."""
    rows = [{"features": {**ROW, "lead_time": index % 700}, "unit_id": index} for index in range(3000)]
    answers = gateway.predict({"instances": rows}, timeout=60).json()["predictions"]
    assert [answer["probabilities"][1] for answer in answers] == [index % 700 / 1000 for index in range(3000)]
    assert [record.unit_id for record in gateway.log.kept_predictions] == [str(index) for index in range(3000)]
    few = gateway.predict({"instances": rows[:20]}).json()["predictions"]
    assert [answer["arm"] for answer in few] == [answer["arm"] for answer in answers[:20]]


def test_a_large_request_with_a_broken_row_is_refused_whole(gateway: Gateway) -> None:
    """With the row's path; nothing is logged."""
    rows = [{"features": ROW} for _ in range(1500)]
    rows[1400] = {"features": {**ROW, "nights": 0}}
    answer = gateway.predict({"instances": rows}, timeout=60)
    assert (answer.status_code, answer.json()["path"]) == (422, "instances[1400].features.nights")
    assert gateway.log.kept_predictions == []


# -- an operator's pin ---------------------------------------------------------------------------------------------


def test_an_operator_may_ask_for_a_version(gateway: Gateway) -> None:
    """Any that is warm, for one row or many; the answer says `pinned`, and its record names no rollout."""
    one = gateway.predict({"features": ROW, "version": 3}).json()
    assert (one["version"], one["arm"]) == (3, "pinned")
    many = gateway.predict({"instances": [ROW] * 40, "version": 2}).json()["predictions"]
    assert {(answer["version"], answer["arm"]) for answer in many} == {(2, "pinned")}
    assert {(record.arm, record.rollout) for record in gateway.log.kept_predictions} == {("pinned", "")}


@pytest.mark.parametrize(
    ("version", "status", "said"),
    [
        (9, 404, "warm are: 1, 2, 3"),
        (0, 400, "version"),
        (-1, 400, "version"),
        ("2", 400, "version"),
        (2.5, 400, "version"),
        (True, 400, "version"),
        (2**70, 404, "warm are"),
    ],
)
def test_a_version_that_is_none_is_told(gateway: Gateway, version: Any, status: int, said: str) -> None:
    """A version is a whole number from 1 that is warm here; null is none."""
    answer = gateway.predict({"features": ROW, "version": version})
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)
    assert gateway.predict({"features": ROW, "version": None}).json()["arm"] != "pinned"


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "via"])
def test_who_comes_through_a_proxy_may_not_ask_for_a_version(gateway: Gateway, header: str) -> None:
    """403 for the version alone; the same request without it is answered."""
    refused = gateway.predict({"features": ROW, "version": 1}, headers={header: "203.0.113.7"})
    assert (refused.status_code, refused.json()["path"]) == (403, "version")
    assert gateway.predict({"features": ROW}, headers={header: "203.0.113.7"}).status_code == 200


@pytest.mark.parametrize(
    ("client", "allowed"),
    [(("127.0.0.1", 1), True), (("::1", 1), True), (None, True), (("192.0.2.1", 1), False), (("strange", 1), False)],
)
def test_an_operator_is_on_the_gateways_own_machine(client: tuple[str, int] | None, allowed: bool) -> None:
    """Who calls from another address may not ask for a version; a Unix socket tells no address."""
    scope: dict[str, Any] = {"client": client, "headers": []}
    if allowed:
        check_operator(scope)
    else:
        with pytest.raises(Refusal, match="own machine"):
            check_operator(scope)
