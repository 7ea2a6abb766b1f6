"""The body of a request to infer: JSON, bytes behind it, compression, and who may send it without a type."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

Gateway = Any  # the fixture's value: see conftest
LENGTH = "inference-header-content-length"
BODY = json.dumps({"inputs": [{"name": "nights", "shape": [1], "datatype": "INT64", "data": [2]}]}).encode()
TWO = struct.pack("<qq", 3, 4)


def head(**parameters: Any) -> bytes:
    """A request whose two nights are bytes."""
    tensor = {"name": "nights", "shape": [2, 1], "datatype": "INT64", "parameters": {"binary_data_size": 16}}
    return json.dumps({"inputs": [tensor], **parameters}).encode()


def post(gateway: Gateway, body: bytes, headers: dict[str, str] | None = None) -> Any:
    """What a client sends that sets no content-type."""
    return gateway.http.post("/v2/models/price/infer", content=body, headers=headers or {})


def test_bytes_go_both_ways(gateway: Gateway) -> None:
    """The header gives the JSON's length, on the way in and out; an output that says nothing else follows the rest."""
    said = head(parameters={"binary_data_output": True})
    answer = post(gateway, said + TWO, {LENGTH: str(len(said)), "content-type": "application/octet-stream"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[LENGTH])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output == {"name": "predict", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    assert struct.unpack("<dd", answer.content[length:]) == (300.0, 400.0)


@pytest.mark.parametrize(
    ("binary_output", "binary", "sent_as_bytes"),
    [(None, None, False), (True, None, True), (True, False, False), (False, True, True), (None, True, True)],
)
def test_an_output_overrides_the_request(
    gateway: Gateway, binary_output: bool | None, binary: bool | None, sent_as_bytes: bool
) -> None:
    """`binary_data` of an output goes before `binary_data_output` of the request."""
    said = head(
        parameters={"binary_data_output": binary_output},
        outputs=[{"name": "predict", "parameters": {"binary_data": binary}}],
    )
    answer = post(gateway, said + TWO, {LENGTH: str(len(said))})
    assert answer.status_code == 200, answer.text
    assert (LENGTH in answer.headers) == sent_as_bytes


@pytest.mark.parametrize(
    ("rest", "size", "said"),
    [
        (TWO[:-1], None, "binary_data_size add up to 16, 15 bytes came"),
        (TWO + b"\0", None, "binary_data_size add up to 16, 17 bytes came"),
        (b"", None, "binary_data_size add up to 16, 0 bytes came"),
        (TWO, 15, "add up to 15, 16 bytes came"),
        (TWO[:15], 15, "15 bytes hold no whole number of INT64 values"),
        (TWO[:8], 8, "shape [2, 1] holds 2 values, data holds 1"),
        (TWO, -1, "binary_data_size: expected a number of bytes"),
        (TWO, "16", "binary_data_size: expected a number of bytes"),
        (TWO, True, "binary_data_size: expected a number of bytes"),
        (TWO, 2**70, "16 bytes came"),
    ],
)
def test_sizes_are_checked(gateway: Gateway, rest: bytes, size: Any, said: str) -> None:
    """400 for bytes that are missing or left over, and nothing is answered."""
    text = head() if size is None else head().replace(b'_size": 16', b'_size": ' + json.dumps(size).encode())
    answer = post(gateway, text + rest, {LENGTH: str(len(text))})
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    assert gateway.log.kept_predictions == []


@pytest.mark.parametrize(
    "length", ["0", "-1", "x", "", "1e2", "9" * 5000, "0" * 18 + "9" * 5000, str(len(BODY) + 1), "²"]
)
def test_a_wrong_length_of_the_json_is_refused(gateway: Gateway, length: str) -> None:
    """400, whatever stands there."""
    answer = post(gateway, BODY, {LENGTH: length.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, "expected the JSON's length" in answer.json()["error"]) == (400, True)


def test_a_length_too_short_is_broken_json(gateway: Gateway) -> None:
    """The error says where."""
    answer = post(gateway, BODY, {LENGTH: "10"})
    assert (answer.status_code, "broken JSON" in answer.json()["error"]) == (400, True)


def test_json_alone_may_have_its_length(gateway: Gateway) -> None:
    """Nothing follows it."""
    assert post(gateway, BODY, {LENGTH: str(len(BODY))}).status_code == 200


def test_a_tensor_has_its_values_once(gateway: Gateway) -> None:
    """As data or as bytes."""
    both = head().replace(b'"parameters"', b'"data": [1, 2], "parameters"')
    answer = post(gateway, both + TWO, {LENGTH: str(len(both))})
    assert (answer.status_code, "both data and binary_data_size" in answer.json()["error"]) == (400, True)
    null = head().replace(b'"parameters"', b'"data": null, "parameters"')
    assert post(gateway, null + TWO, {LENGTH: str(len(null))}).status_code == 200


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_unpacked(gateway: Gateway, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    """Whole; one that is broken, cut short or followed by more is a 400."""
    packed = pack(BODY)
    assert post(gateway, packed, {"content-encoding": encoding}).json()["outputs"][0]["data"] == [200.0]
    for wrong in (b"no " + packed, packed[:-2], packed + b"x", b""):
        answer = post(gateway, wrong, {"content-encoding": encoding})
        assert (answer.status_code, encoding in answer.json()["error"]) == (400, True), answer.text


def test_a_small_body_cannot_become_a_large_one(start_gateway: Callable[..., Gateway]) -> None:
    """413 as soon as it is too large; no more is unpacked."""
    gateway = start_gateway(body_limit=1000)
    assert (
        post(gateway, gzip.compress(b" " * (1000 - len(BODY)) + BODY), {"content-encoding": "gzip"}).status_code == 200
    )
    answer = post(gateway, gzip.compress(b" " * 700_000), {"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert post(gateway, b" " * 1001).status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-encoding": "identity"}, 200),
        ({"content-encoding": "br"}, 415),
        ({"content-encoding": "gzip, gzip"}, 415),
        ({"content-type": "application/octet-stream"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"origin": "http://localhost:3000"}, 415),
        ({"sec-fetch-site": "cross-site"}, 415),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000", "content-type": "application/json"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/v2/models/price/infer", "/v2/models/price/versions/1/infer"])
def test_only_programs_may_leave_out_the_type(
    gateway: Gateway, path: str, headers: dict[str, str], status: int
) -> None:
    """The protocol's clients send no content-type. A browser can be made to do so by any page, but says where from."""
    assert gateway.http.post(path, content=BODY, headers=headers).status_code == status
    assert len(gateway.log.kept_predictions) == (status == 200)
    index = gateway.http.post(
        "/v2/repository/index", content=b"{}", headers={**headers, "content-encoding": "identity"}
    )
    if "content-encoding" not in headers:
        assert index.status_code == status


def test_an_empty_body_is_told(gateway: Gateway) -> None:
    """400."""
    answer = post(gateway, b"")
    assert (answer.status_code, "the body is empty" in answer.json()["error"]) == (400, True)


def test_the_trace_is_kept(gateway: Gateway) -> None:
    """W3C's `traceparent`, in the log."""
    post(gateway, BODY, {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    assert gateway.log.kept_predictions[0].trace_id == "ab" * 16


def test_a_large_batch_is_answered_whole(gateway: Gateway) -> None:
    """As bytes and as JSON, in order."""
    count = 20_000
    raw = struct.pack(f"<{count}q", *range(count))
    said = head(parameters={"binary_data_output": True}).replace(b"[2, 1]", b"[%d, 1]" % count)
    said = said.replace(b'_size": 16', b'_size": %d' % len(raw))
    answer = post(gateway, said + raw, {LENGTH: str(len(said))})
    assert answer.status_code == 200, answer.text
    values = struct.unpack(f"<{count}d", answer.content[int(answer.headers[LENGTH]) :])
    assert values == tuple(100.0 * number for number in range(count))
    tensor = {"name": "nights", "shape": [count], "datatype": "INT64", "data": list(range(count))}
    assert tuple(post(gateway, json.dumps({"inputs": [tensor]}).encode()).json()["outputs"][0]["data"]) == values
    assert len(gateway.log.kept_predictions) == 2 * count
