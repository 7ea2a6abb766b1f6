"""Requests in every protocol of the gateway, right ones and such as were changed: in the document, in its bytes, in the
head. What frames them is honest here (`wire` lies about that too), so each gets exactly one answer."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from benchmarks.hostile.documents import bytes_changed, changed, written
from benchmarks.hostile.house import BINARY, CONTRACTS, KINDS, ROWS, SLOW, VALUE, WIRE
from fairlead.core.contract import Kind

JSON = "application/json"
PROTOCOLS = (
    "native", "batch", "tensors", "binary tensors", "records", "split", "instances", "inputs", "csv", "outcomes",
    "events", "spans", "protobuf spans",
)  # fmt: skip
MODELS = (BINARY, BINARY, VALUE, KINDS)
SLOW_SHARE = 0.01
_TYPES = {Kind.NUMBER: "FP64", Kind.INTEGER: "INT64", Kind.CATEGORY: "BYTES", Kind.BOOLEAN: "BOOL"}


class Request(NamedTuple):
    """One request. `document` is what its body was written from, None where it is no JSON; `shape` is the protocol that
    says what an error looks like."""

    protocol: str
    model: str
    path: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    method: bytes = b"POST"
    document: Any = None

    @property
    def is_head(self) -> bool:
        """Whether the answer has no body."""
        return self.method == b"HEAD"

    @property
    def plain_path(self) -> str:
        """The path without what stands behind it."""
        return self.path.partition("?")[0].partition("#")[0]

    def head(self, *more: tuple[bytes, bytes]) -> bytes:
        """The line and the fields, with the empty line behind them."""
        lines = [b"%s %s HTTP/1.1" % (self.method, self.path.encode("latin-1")), b"host: here"]
        lines += [name + b": " + value for name, value in (*self.headers, *more)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def raw(self) -> bytes:
        """The bytes, framed by their length."""
        return self.head((b"content-length", b"%d" % len(self.body))) + self.body

    def chunked(self, random: Random) -> bytes:
        """The same in chunks."""
        parts, at = [self.head((b"transfer-encoding", b"chunked"))], 0
        while at < len(self.body):
            size = random.choice((1, 7, 100, 10_000))
            part = self.body[at : at + size]
            extension = random.choice((b"", b"", b";a=b"))
            parts.append(b"%x%s\r\n%s\r\n" % (len(part), extension, part))
            at += size
        trailer = random.choice((b"", b"", b"x-trailer: y\r\n"))
        return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


def right(random: Random, number: int, protocol: str, model: str) -> Request:
    """A request that is answered with 200. Its ids are made of the number."""
    return _BUILDERS[protocol](random, f"q{number}", model)


def row(random: Random, model: str) -> dict[str, Any]:
    """Features that every contract takes."""
    made = dict(ROWS[model])
    if model == BINARY:
        made |= {"age": random.randrange(18, 90) + 0.5, "city": random.choice(("aspen", "berlin", "cairo"))}
    elif model in (VALUE, WIRE):
        made |= {"area": float(random.randrange(1, 1000)), "age": random.choice((None, 3.5))}
    return made


def _post(protocol: str, model: str, path: str, document: Any, **more: Any) -> Request:
    return Request(
        protocol, model, path, written(document), ((b"content-type", JSON.encode()),), document=document, **more
    )


def _native(random: Random, name: str, model: str) -> Request:
    document: dict[str, Any] = {"features": row(random, model), "request_id": name}
    if random.random() < 0.5:
        document |= {"unit_id": random.choice(("u", 7)), "timestamp": random.choice((1.7e9, "2026-01-31T12:00:00Z"))}
    return _post("native", model, f"/v1/models/{model}/predict", document)


def _batch(random: Random, name: str, model: str) -> Request:
    instances: list[Any] = [row(random, model) for _ in range(random.choice((1, 2, 3)))]
    instances.append({"features": row(random, model), "request_id": f"{name}-own", "unit_id": "u"})
    return _post("batch", model, f"/v1/models/{model}/predict", {"instances": instances, "request_id": name})


def _tensors(random: Random, name: str, model: str) -> Request:
    rows = [row(random, model) | ({"age": 1.5} if model == VALUE else {}) for _ in range(random.choice((1, 2)))]
    inputs = [
        {
            "name": feature.name,
            "shape": [len(rows)],
            "datatype": _TYPES[feature.kind],
            "data": [one[feature.name] for one in rows],
        }
        for feature in CONTRACTS[model].features
    ]
    document: dict[str, Any] = {"id": name, "inputs": inputs}
    if random.random() < 0.3:
        document["outputs"] = [{"name": "predict", "parameters": {"binary_data": random.random() < 0.5}}]
    if random.random() < 0.3:
        document["parameters"] = {"unit_id": "u", "timestamp": 1.7e9, "binary_data_output": random.random() < 0.3}
    where = f"/v2/models/{model}" + random.choice(("", "", "/versions/1"))
    return _post("tensors", model, f"{where}/infer", document)


def _binary(random: Random, name: str, model: str) -> Request:
    del random
    inputs, parts = [], []
    for feature in CONTRACTS[model].features:
        value = ROWS[model][feature.name]
        data = _packed(feature.kind, value)
        parts.append(data)
        inputs.append(
            {
                "name": feature.name,
                "shape": [1, 1],
                "datatype": _TYPES[feature.kind],
                "parameters": {"binary_data_size": len(data)},
            }
        )
    document = {"id": name, "inputs": inputs}
    head = written(document)
    headers = (
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", b"%d" % len(head)),
    )
    return Request("binary tensors", model, f"/v2/models/{model}/infer", head + b"".join(parts), headers, document=None)


def _packed(kind: Kind, value: Any) -> bytes:
    if kind is Kind.CATEGORY:
        text: bytes = value.encode()
        return struct.pack("<I", len(text)) + text
    return struct.pack({Kind.NUMBER: "<d", Kind.INTEGER: "<q", Kind.BOOLEAN: "<?"}[kind], value)


def _scored(form: str, shaped: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Random, str, str], Request]:
    def build(random: Random, name: str, model: str) -> Request:
        rows = [row(random, model) for _ in range(random.choice((1, 2, 3)))]
        params: dict[str, Any] = {
            "request_id": random.choice((name, [f"{name}-{index}" for index in range(len(rows))]))
        }
        if model != VALUE and random.random() < 0.3:
            params["pyfunc_predict_fn"] = "predict_proba"
        where = f"/models/{model}" + random.choice(("", "", "/versions/1"))
        key = form if form in ("instances", "inputs") else f"dataframe_{form}"
        return _post(form, model, f"{where}/invocations", {key: shaped(rows), "params": params})

    return build


def _split(rows: list[dict[str, Any]]) -> Any:
    return {"columns": list(rows[0]), "data": [list(one.values()) for one in rows]}


def _columns(rows: list[dict[str, Any]]) -> Any:
    return {name: [one[name] for one in rows] for name in rows[0]}


def _csv(random: Random, name: str, model: str) -> Request:
    del name
    rows = [row(random, model) for _ in range(random.choice((1, 2)))]
    lines = [",".join(rows[0])] + [
        ",".join("" if v is None else json.dumps(v).strip('"') for v in r.values()) for r in rows
    ]
    body = "\n".join(lines).encode() + b"\n"
    return Request("csv", model, f"/models/{model}/invocations", body, ((b"content-type", b"text/csv"),))


def _outcomes(random: Random, name: str, model: str) -> Request:
    del model
    one = {"request_id": name, "outcome": random.choice((1, 0.5, "yes"))}
    if random.random() < 0.5:
        one["observed_at"] = random.choice((1.7e9, "2026-01-31T12:00:00Z"))
    return _post("outcomes", "", "/v1/outcomes", random.choice(([one], one)))


def _events(random: Random, name: str, model: str) -> Request:
    one = {
        "model": model,
        "unit_id": random.choice(("u", 7)),
        "name": "sale",
        "value": random.choice((1, 0.5, "yes", True)),
    }
    if random.random() < 0.5:
        one |= {"at": random.choice((1.7e9, "2026-01-31T12:00:00Z")), "event_id": name}
    return _post("events", model, "/v1/events", random.choice(([one], one)))


def _spans(random: Random, name: str, model: str) -> Request:
    del name, model
    attributes = [
        {"key": "gen_ai.system", "value": {"stringValue": "x"}},
        {"key": "tokens", "value": random.choice(({"intValue": "12"}, {"doubleValue": 0.5}, {"boolValue": True}))},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"kvlistValue": {"values": []}}]}}},
    ]
    span = {
        "traceId": random.randbytes(16).hex(),
        "spanId": random.randbytes(8).hex(),
        "parentSpanId": random.choice(("", random.randbytes(8).hex())),
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000500000000",
        "attributes": attributes,
        "events": [{"name": "retry", "timeUnixNano": "1700000000100000000"}],
        "status": {"code": 2, "message": "late"},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": [span]}]}]}
    return _post("spans", "", "/v1/traces", document)


def _protobuf(random: Random, name: str, model: str) -> Request:
    del name, model
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    made = ExportTraceServiceRequest()
    span = made.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = random.randbytes(16), random.randbytes(8), "chat"
    span.start_time_unix_nano, span.end_time_unix_nano = 1_700_000_000_000_000_000, 1_700_000_000_500_000_000
    span.attributes.add(key="tokens").value.int_value = 12
    span.attributes.add(key="list").value.array_value.values.add().string_value = "a"
    headers = ((b"content-type", b"application/x-protobuf"),)
    return Request("protobuf spans", "", "/v1/traces", made.SerializeToString(), headers)


_BUILDERS: dict[str, Callable[[Random, str, str], Request]] = {
    "native": _native,
    "batch": _batch,
    "tensors": _tensors,
    "binary tensors": _binary,
    "records": _scored("records", list),
    "split": _scored("split", _split),
    "instances": _scored("instances", list),
    "inputs": _scored("inputs", _columns),
    "csv": _csv,
    "outcomes": _outcomes,
    "events": _events,
    "spans": _spans,
    "protobuf spans": _protobuf,
}

TYPES = (
    b"text/plain", b"text/csv", b"application/json; charset=utf-8", b"application/json;charset=latin-1",
    b"APPLICATION/JSON", b"application/octet-stream", b"multipart/form-data; boundary=x",
    b"application/x-www-form-urlencoded", b"", b";", b"a" * 500, b"\xff\xfe", b"application/json, text/csv",
    b"text/csv; header=absent", b"application/vnd.apache.arrow.stream",
)  # fmt: skip
FIELDS = (
    (b"origin", b"http://evil.example"), (b"origin", b"null"), (b"origin", b"http://[::1"),
    (b"origin", b"http://localhost:1"), (b"origin", b"\xff"), (b"sec-fetch-site", b"cross-site"),
    (b"traceparent", b"0" * 55), (b"traceparent", b"\xff" * 55),
    (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), (b"content-encoding", b"br"),
    (b"content-encoding", b""), (b"content-encoding", b"identity"), (b"content-encoding", b"gzip, gzip"),
    (b"inference-header-content-length", b"5"), (b"inference-header-content-length", b"-1"),
    (b"inference-header-content-length", b"9" * 30), (b"inference-header-content-length", b"\xb2"),
    (b"accept", b"text/html"), (b"te", b"trailers"), (b"cookie", b"a=b; " * 500), (b"x-forwarded-for", b"10.0.0.1"),
    (b"forwarded", b"for=x"), (b"via", b"1.1 x"), (b"authorization", b"Bearer x"),
    (b"content-type", b"application/json"), (b"x" * 500, b"y"), (b"x-empty", b""), (b"range", b"bytes=0-1"),
    (b"if-match", b"*"), (b"x-http-method-override", b"DELETE"), (b"expect", b"100-continue"),
    (b"connection", b"keep-alive, te"),
)  # fmt: skip
METHODS = (b"GET", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"PROPFIND", b"QUERY")
PATHS = (
    "/", "/v1", "/v1/models", "/v1/models/", "/v1/models//predict", "/v1/models/nothing/predict",
    "/v1/models/binary/predict/", "/v1/models/binary/predict?x=1", "/v1/models/%62inary/predict",
    "/v1/models/binary%00/predict", "/v1/models/%ff/predict", "/v1/models/%2e%2e/predict",
    "/v1/models/../binary/predict", "/v1/models/binary%2Fx/predict", "/V1/models/binary/predict",
    "//v1/models/binary/predict", "/v1/models/binary/predict#x", "/v1/models/binary;x/predict", "/v1/models/{}/predict",
    "/v1/models/" + "a" * 3000 + "/predict", "/v1/models/%F0%9F%98%80/predict", "/v1/models/%", "/v2/", "/v2//models",
    "/v2/models/binary", "/v2/models/binary/ready", "/v2/models/binary/versions/9/infer",
    "/v2/models/binary/versions/-1/infer", "/v2/models/binary/versions/1e3/infer",
    "/v2/models/binary/versions/%C2%B2/infer", "/v2/models/binary/config", "/v2/models/binary/stats",
    "/v2/models/stats", "/v2/repository/index", "/v2/repository/models/binary/load", "/v2/health/live",
    "/v2/health/ready", "/v2/systemsharedmemory/status", "/v2/trace/setting", "/v2/logging", "/invocations",
    "/models//invocations", "/models/binary/versions//invocations", "/models/binary/x/invocations", "/ping", "/version",
    "/health", "/metrics", "/openapi.json", "/favicon.ico", "/.env", "/v1/outcomes/", "/v1/outcomes?x", "*",
    "/v1/models/binary/predict%0d%0ax:y",
)  # fmt: skip


BOMB = gzip.compress(b"[" + b"0," * 2_000_000 + b"0]", 1)


def hostile(random: Random, number: int) -> Request:
    """A request with something wrong, seldom with nothing."""
    model = SLOW if random.random() < SLOW_SHARE else random.choice(MODELS)
    return worse(random, right(random, number, random.choice(PROTOCOLS), model))


def worse(random: Random, request: Request) -> Request:
    """The request, changed."""
    kind = random.random()
    if kind < 0.05:
        return request
    if kind < 0.6 and request.document is not None:
        return _document_changed(random, request)
    if kind < 0.8:
        return request._replace(body=bytes_changed(random, request.body), document=None)
    return _head_changed(random, request)


def _document_changed(random: Random, request: Request) -> Request:
    document = request.document
    for _ in range(random.choice((1, 1, 1, 2))):
        made = changed(random, document)
        if not isinstance(made, dict | list) or random.random() < 0.5:
            document = made
            break
        document = made
    return request._replace(body=written(document), document=None)


def _head_changed(random: Random, request: Request) -> Request:
    return random.choice(_HEADS)(random, request)._replace(document=None)


def _path_changed(random: Random, request: Request) -> Request:
    path = bytes_changed(random, request.path.encode()).decode("latin-1")
    clean = "".join(letter for letter in path if "!" <= letter <= "~")
    return request._replace(path="/" + clean.lstrip("/"))


def _typed(request: Request, kind: bytes) -> Request:
    others = tuple(pair for pair in request.headers if pair[0] != b"content-type")
    return request._replace(headers=(*others, (b"content-type", kind)))


def _packed_body(random: Random, request: Request) -> Request:
    encoding, body = random.choice(
        (
            (b"gzip", gzip.compress(request.body, 1)),
            (b"deflate", zlib.compress(request.body)),
            (b"gzip", request.body),
            (b"gzip", gzip.compress(request.body, 1)[:-5]),
            (b"gzip", BOMB),
            (b"deflate", zlib.compress(request.body)[2:]),
            (b"gzip", gzip.compress(request.body, 1) * 2),
        )
    )
    return request._replace(body=body, headers=(*request.headers, (b"content-encoding", encoding)))


_HEADS: tuple[Callable[[Random, Request], Request], ...] = (
    lambda _random, request: request._replace(headers=()),
    lambda random, request: _typed(request, random.choice(TYPES)),
    lambda random, request: request._replace(headers=(*request.headers, random.choice(FIELDS))),
    lambda random, request: request._replace(method=random.choice(METHODS)),
    lambda random, request: request._replace(path=random.choice(PATHS)),
    _packed_body,
    _path_changed,
)
