"""What is told of requests: lines and spans, by a real gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.adapters.otlp_http import OtlpExporter
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.trace import Span
from fairlead.faces.gateway.observing import Observer, Rules, place_of
from fairlead.faces.gateway.spans import Ended, Kept, Unseen
from fairlead.testing.clock import ManualClock

Running = Any  # the fixtures' value: see conftest
ROW: dict[str, Any] = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PATH = "/v1/models/{model}/predict"
BOTH = pytest.mark.parametrize("both_ways", ["directly", "through the application"], indirect=True)


def wait_for(condition: Callable[[], bool], said: Callable[[], str] = str) -> None:
    """Until a condition holds; else what was there is `said`."""
    event = threading.Event()
    for _ in range(6000):
        if condition():
            return
        event.wait(0.01)
    raise AssertionError(said())


class Told:
    """An observer's lines and spans."""

    def __init__(self, draws: Iterator[float] | None = None, **rules: Any) -> None:
        self.raw: list[bytes] = []
        self.spans: list[Span] = []
        numbers = draws or iter(lambda: 0.5, None)
        kept = Kept(self.spans.append)
        self.observer = Observer(
            Rules("worker-7", **rules), SystemClock(), self.raw.append, kept, lambda: next(numbers)
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        """As they are read."""
        return [json.loads(line) for line in self.raw]

    def line(self) -> dict[str, Any]:
        """The only line, once it is there: an answer may arrive a moment before it is told of."""
        self.wait(lambda: len(self.raw) > 0)
        (line,) = self.lines
        return line

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until a condition holds."""
        wait_for(condition, lambda: f"{len(self.raw)} lines and {len(self.spans)} spans only")

    def named(self) -> dict[str, Span]:
        """The spans by their names."""
        return {span.name: span for span in self.spans}


def traceparent(flags: str = "01") -> dict[str, str]:
    """A caller's header."""
    return {"traceparent": f"00-{TRACE}-{CALLER}-{flags}"}


# -- lines ---------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_an_answered_request_is_one_line(start_gateway: Callable[..., Running]) -> None:
    """Who answered what, how long it took, and how much went over the wire."""
    told = Told(log_share=1.0)
    gateway = start_gateway(observer=told.observer)
    response = gateway.predict({"features": ROW, "request_id": "r-1"})
    line = told.line()
    assert line.pop("time").endswith("Z")
    assert 0.0 < line.pop("latency_ms") < 10_000.0
    assert line == {
        "level": "INFO",
        "event": "request",
        "process": "worker-7",
        "protocol": "v1",
        "method": "POST",
        "path": PATH,
        "status": 200,
        "rows": 1,
        "bytes_in": int(response.request.headers["content-length"]),
        "bytes_out": len(response.content),
        "request_id": "r-1",
        "model": "hotel",
        "arm": response.json()["arm"],
        "version": response.json()["version"],
    }


def test_each_protocol_is_told_with_its_path(start_gateway: Callable[..., Running]) -> None:
    """Batches by their rows; every path as a template."""
    told = Told(log_share=1.0)
    http = start_gateway(observer=told.observer).http
    http.post("/v1/models/hotel/predict", json={"instances": [ROW, ROW, ROW]})
    price = {"name": "nights", "datatype": "INT64", "shape": [2, 1], "data": [1, 2]}
    http.post("/v2/models/price/versions/1/infer", json={"inputs": [price]})
    http.post("/models/price/invocations", json={"inputs": {"nights": [1, 2]}})
    http.post("/v1/outcomes", json=[{"request_id": "r", "outcome": 1}])
    http.get("/health?token=s3cret")
    told.wait(lambda: len(told.raw) == 5)
    assert [(line["protocol"], line["path"], line["status"], line.get("rows")) for line in told.lines] == [
        ("v1", PATH, 200, 3),
        ("v2", "/v2/models/{model}/versions/{version}/infer", 200, 2),
        ("mlflow", "/models/{model}/invocations", 200, 2),
        ("v1", "/v1/outcomes", 200, None),
        ("fairlead", "/health", 200, None),
    ]


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_failures_are_told_whatever_the_share(start_gateway: Callable[..., Running]) -> None:
    """Refusals as warnings, failures as errors, by their kind; answers are not sampled here at all."""
    told = Told(log_share=0.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW})
    gateway.predict({"features": {**ROW, "nights": -4}})
    gateway.predict({"features": {**ROW, "lead_time": 950.0}, "request_id": "r-2"})
    gateway.predict(b"{", model="hotel")
    gateway.predict({"features": ROW}, model="no-such-model")
    gateway.http.get("/no/such/path")
    gateway.http.get("/v1/models/hotel/predict")
    told.wait(lambda: len(told.raw) == 6)
    assert [(line["level"], line["status"], line["error"], line.get("model")) for line in told.lines[:2]] == [
        ("WARNING", 422, "ContractError.out_of_range", "hotel"),
        ("ERROR", 500, "ModelFailed", "hotel"),
    ]
    assert (told.lines[1]["request_id"], told.lines[1]["version"] in (1, 2)) == ("r-2", True)
    assert [(line["status"], line["path"], line.get("model")) for line in told.lines[2:]] == [
        (400, PATH, "hotel"),
        (404, PATH, None),
        (404, "{path}", None),
        (405, PATH, None),
    ]


def test_failures_that_are_too_many_are_counted(start_gateway: Callable[..., Running]) -> None:
    """A line for some of each second, and a number for the rest."""
    clock = ManualClock(1_700_000_000.0)
    raw: list[bytes] = []
    observer = Observer(Rules("worker-0", failures_per_second=3), clock, raw.append)
    for _ in range(10):
        observer.ended(None, Ended("POST", "/v1/models/m/predict", 503))
    assert (len(raw), observer.suppressed) == (3, 7)
    clock.advance(1.0)
    observer.ended(None, Ended("POST", "/v1/models/m/predict", 503))
    assert (len(raw), observer.suppressed) == (4, 7)


@pytest.mark.parametrize(("level", "told_of"), [("DEBUG", 3), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_is_respected(level: str, told_of: int) -> None:
    """Answers are INFO, refusals WARNING, failures ERROR."""
    raw: list[bytes] = []
    observer = Observer(Rules("worker-0", level=level, log_share=1.0), ManualClock(), raw.append)
    for status in (200, 404, 500):
        trail = observer.begin(0.0, 0.0)
        if trail is not None or status >= 400:
            observer.ended(trail, Ended("GET", "/health", status))
    assert len(raw) == told_of


def test_a_share_of_the_answers_has_a_line() -> None:
    """Drawn for each request."""
    raw: list[bytes] = []
    draws = iter([0.05, 0.5, 0.0999, 0.1, 0.99])
    observer = Observer(Rules("worker-0", log_share=0.1), ManualClock(), raw.append, None, lambda: next(draws))
    trails = [observer.begin(0.0, 0.0) for _ in range(5)]
    assert [trail is not None for trail in trails] == [True, False, True, False, False]


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_nothing_that_a_caller_sent_is_told(start_gateway: Callable[..., Running]) -> None:
    """Not features, headers, query strings, unknown paths, names of models that are not there, nor broken bodies."""
    told = Told(log_share=1.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    secret = "s3cr3t"
    headers = {"authorization": f"Bearer {secret}", "cookie": secret, "x-api-key": secret}
    gateway.predict({"features": {**ROW, "lead_time": 31.4159}}, headers=headers, params={"key": secret})
    gateway.predict({"features": {**ROW, "segment": secret}, "unit_id": secret}, headers=headers)
    gateway.predict({"features": {**ROW, "lead_time": 931.4159}}, headers=headers)
    gateway.predict({"features": {**ROW, secret: secret}}, headers=headers)
    gateway.predict({"features": {**ROW, "nights": secret}, secret: 1}, headers=headers)
    gateway.predict(f'{{"features": {secret}'.encode(), headers=headers)
    gateway.predict({"features": ROW}, model=secret, headers=headers)
    for path in (f"/{secret}", f"/v1/models/{secret}/predict", f"/v2/models/{secret}/infer", f"/v2/{secret}"):
        for method in ("GET", "POST", "PROPFIND"):
            gateway.http.request(method, path, content=secret, headers=headers)
    gateway.http.post("/invocations", json={"inputs": secret}, headers=headers)
    gateway.http.post("/models/hotel/invocations", json={"dataframe_records": [{secret: secret}]}, headers=headers)
    gateway.http.post("/v1/outcomes", json=[{"request_id": "r", "outcome": secret}], headers=headers)
    told.wait(lambda: len(told.raw) >= 22)
    everything = b"".join(told.raw) + repr(told.spans).encode()
    assert {line["method"] for line in told.lines} == {"GET", "POST", "_OTHER"}
    assert secret.encode() not in everything.lower()
    assert b"1.4159" not in everything
    assert b"hotel" in everything


def test_features_are_told_where_the_settings_say_so(start_gateway: Callable[..., Running]) -> None:
    """With the answers, for a bounded number of rows."""
    told = Told(log_share=1.0, include_features=True)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"instances": [ROW] * 30})
    line = told.line()
    assert line["features"] == [ROW] * 20
    assert line["predictions"] == [0] * 20
    assert line["rows"] == 30


def test_a_caller_who_hangs_up_is_told_of(start_gateway: Callable[..., Running]) -> None:
    """As 499, which no gateway answers."""
    told = Told(log_share=1.0)
    gateway = start_gateway(observer=told.observer)
    head = (
        b"POST /v1/models/hotel/predict HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
    )
    import socket

    with socket.create_connection(("127.0.0.1", gateway.port)) as caller:
        caller.sendall(head + b"Connection: close\r\n\r\n{")
    line = told.line()
    assert (line["status"], line["level"]) == (499, "WARNING")


# -- spans ---------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_a_traced_request_has_its_spans(start_gateway: Callable[..., Running]) -> None:
    """The request and its three steps, one after another, inside it; the log has the same trace."""
    told = Told(log_share=1.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    answer = gateway.predict({"features": ROW, "request_id": "r-1"}).json()
    told.wait(lambda: len(told.spans) == 4)
    request, *steps = told.spans
    assert (request.name, request.kind, request.parent_id) == (f"POST {PATH}", "server", "")
    assert {
        key: request.attributes[key] for key in ("http.request.method", "http.route", "http.response.status_code")
    } == {
        "http.request.method": "POST",
        "http.route": PATH,
        "http.response.status_code": 200,
    }
    assert request.attributes["fairlead.model.name"] == "hotel"
    assert request.attributes["fairlead.model.version"] == answer["version"]
    assert (request.attributes["fairlead.arm"], request.attributes["fairlead.rows"]) == (answer["arm"], 1)
    assert [step.name for step in steps] == ["decode", "predict", "log"]
    assert {(step.trace_id, step.parent_id) for step in steps} == {(request.trace_id, request.span_id)}
    instants = [at for step in steps for at in (step.started_ns, step.ended_ns)]
    assert instants == sorted(instants)
    assert request.started_ns <= instants[0]
    assert instants[-1] <= request.ended_ns
    assert gateway.log.kept_predictions[0].trace_id == request.trace_id
    assert (told.line()["trace_id"], told.line()["span_id"]) == (request.trace_id, request.span_id)


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_a_callers_decision_holds(start_gateway: Callable[..., Running]) -> None:
    """Sampled is traced and not sampled is not, whatever the share; the record has the caller's trace either way."""
    told = Told(log_share=0.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW}, headers=traceparent("00"))
    gateway.predict({"features": ROW}, headers={**traceparent("01"), "tracestate": "vendor=1, other=2"})
    told.wait(lambda: len(told.spans) == 4)
    request = told.spans[0]
    assert (request.trace_id, request.parent_id, request.is_remote) == (TRACE, CALLER, True)
    assert {span.state for span in told.spans} == {"vendor=1,other=2"}
    assert [record.trace_id for record in gateway.log.kept_predictions] == [TRACE, TRACE]


@BOTH
@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    "header", [f"00-{TRACE.upper()}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", "x" * 55]
)
def test_a_malformed_trace_is_ignored(start_gateway: Callable[..., Running], header: str) -> None:
    """It is neither recorded nor followed, and the request is answered."""
    told = Told(log_share=0.0, trace_share=0.0)
    gateway = start_gateway(observer=told.observer)
    assert gateway.predict({"features": ROW}, headers={"traceparent": header}).status_code == 200
    assert gateway.log.kept_predictions[0].trace_id is None
    assert told.spans == []


def test_a_tensors_caller_is_followed(start_gateway: Callable[..., Running]) -> None:
    """Every protocol reads the header."""
    told = Told(log_share=0.0, trace_share=0.0)
    gateway = start_gateway(observer=told.observer)
    price = {"name": "nights", "datatype": "INT64", "shape": [1, 1], "data": [1]}
    gateway.http.post("/v2/models/price/infer", json={"inputs": [price]}, headers=traceparent())
    gateway.http.post("/models/price/invocations", json={"inputs": {"nights": [1]}}, headers=traceparent())
    told.wait(lambda: len(told.spans) == 8)
    assert {span.trace_id for span in told.spans} == {TRACE}
    assert {record.trace_id for record in gateway.log.kept_predictions} == {TRACE}


def test_nothing_is_traced_where_tracing_is_off(start_gateway: Callable[..., Running]) -> None:
    """A caller who samples changes nothing."""
    told = Told(log_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW}, headers=traceparent())
    assert told.line()["trace_id"] == TRACE
    assert told.spans == []


@BOTH
@pytest.mark.usefixtures("both_ways")
def test_a_failure_is_an_error_and_a_refusal_is_not(start_gateway: Callable[..., Running]) -> None:
    """As OpenTelemetry's conventions have it for servers; the error's text is not in the span."""
    told = Told(log_share=0.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": {**ROW, "lead_time": 950.0}})
    gateway.predict({"features": {**ROW, "nights": -4}})
    told.wait(lambda: sum(span.kind == "server" for span in told.spans) == 2)
    failed, refused = [span for span in told.spans if span.kind == "server"]
    assert (failed.error, failed.attributes["error.type"]) == ("ModelFailed", "ModelFailed")
    assert (refused.error, refused.attributes["http.response.status_code"]) == ("", 422)


def test_a_shadows_answer_is_linked(start_gateway: Callable[..., Running]) -> None:
    """A trace of its own, linked with that of the request whose answer it repeats, once its worker has told of that;
    one for a batch."""
    told = Told(log_share=0.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW})
    gateway.predict({"instances": [ROW, ROW, ROW]})
    told.wait(lambda: sum(span.kind == "server" for span in told.spans) == 2)
    requests = {span.span_id: span for span in told.spans if span.kind == "server"}
    shadows: list[Span] = []
    unseen = Unseen(shadows.append, SystemClock())
    answers = [replace(record, arm="shadow", model_version=3, shadow_of=1) for record in gateway.log.kept_predictions]
    unseen.answered(answers)
    unseen.learn([])
    assert shadows == []
    traced = told.observer.traced()
    unseen.learn(traced)
    assert len(shadows) == len(traced) == 2
    for shadow in shadows:
        (link,) = shadow.links
        assert requests[link.span_id].trace_id == link.trace_id != shadow.trace_id
        assert (shadow.name, shadow.attributes["fairlead.model.version"]) == ("shadow hotel", 3)
        assert shadow.started_ns <= shadow.ended_ns
    unseen.learn(traced)
    assert len(shadows) == 2


def test_a_traced_request_is_told_of_twice(start_gateway: Callable[..., Running]) -> None:
    """Who looks as often as it is told misses none; then it is forgotten."""
    told = Told(log_share=0.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW, "request_id": "a"})
    told.wait(lambda: any(span.kind == "server" for span in told.spans))
    assert [[one[1] for one in told.observer.traced()] for _ in range(3)] == [["a"], ["a"], []]


def test_whoever_sees_a_span_finds_its_request(start_gateway: Callable[..., Running]) -> None:
    """It is known as traced before any of its spans is told."""
    found: list[list[str]] = []
    kept = Kept(lambda _: found.append([one[1] for one in kept.traced()]))
    observer = Observer(Rules("worker-7", trace_share=1.0), SystemClock(), lambda _: None, kept)
    gateway = start_gateway(observer=observer)
    gateway.predict({"features": ROW, "request_id": "a"})
    wait_for(lambda: len(found) == 4)
    assert found == [["a"], ["a"], [], []]


def test_a_shadow_of_an_untraced_request_has_no_span(start_gateway: Callable[..., Running]) -> None:
    """Also where its caller sent a trace that it does not keep; what is held for it is given up after a while."""
    told = Told(log_share=0.0, trace_share=1.0)
    gateway = start_gateway(observer=told.observer)
    gateway.predict({"features": ROW}, headers=traceparent("00"))
    (record,) = gateway.log.kept_predictions
    assert record.trace_id is not None
    shadows: list[Span] = []
    clock = ManualClock()
    unseen = Unseen(shadows.append, clock)
    unseen.answered([record])
    unseen.learn(told.observer.traced())
    clock.advance(60.0)
    unseen.learn([])
    unseen.learn([(record.trace_id, record.request_id, "1" * 16)])
    assert shadows == told.spans == []


@given(st.text(max_size=40))
def test_a_path_is_told_as_one_of_few_templates(text: str) -> None:
    """No name that a caller chose is part of it."""
    marked = f"/v1/models/{text}X7Q/predict"
    for path in (text, marked, f"/v2/models/{text}X7Q", f"/X7Q{text}", f"/models/{text}X7Q/invocations"):
        assert "X7Q" not in place_of(path)[1]
        assert place_of(path)[0] in {"v1", "v2", "mlflow", "otlp", "fairlead", "unknown"}


def test_httpx_is_what_the_tests_use() -> None:
    """The client follows no redirect and adds no trace of its own."""
    assert not {"traceparent", "tracestate"} & set(httpx.Client().headers)


def test_a_collector_that_is_gone_costs_no_request_anything(start_gateway: Callable[..., Running]) -> None:
    """Every request is answered; the spans are dropped and counted."""
    exporter = OtlpExporter("http://127.0.0.1:9", {"service.name": "fairlead"}, queue=50)
    rules = Rules("worker-0", log_share=0.0, trace_share=1.0)
    lines: list[bytes] = []
    observer = Observer(rules, SystemClock(), lines.append, Kept(exporter.put))
    gateway = start_gateway(observer=observer)
    assert {gateway.predict({"features": ROW}).status_code for _ in range(100)} == {200}
    exporter.close(0.0)
    assert exporter.dropped["queue_full"] >= 300
    assert exporter.sent == 0
