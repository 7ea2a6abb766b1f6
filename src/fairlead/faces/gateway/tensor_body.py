"""The body of a request to the Open Inference Protocol: JSON, with or without tensors' bytes behind it.

Its public clients send no content-type, so here a body without one is taken as well, unless a web page sends it: a
browser tells where from (`origin`, `sec-fetch-site`) whenever it posts.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from fairlead.core.trace import parse_traceparent
from fairlead.faces.gateway.wire import JSON, Header, Receive, Refusal, Scope, check_type, read_rest, too_large

BINARY = b"application/octet-stream"
LENGTH = b"inference-header-content-length"
_READ = frozenset((LENGTH, b"content-encoding", b"origin", b"sec-fetch-site", b"traceparent"))
_WINDOWS = {b"gzip": 31, b"deflate": 15}  # the format, in zlib's notation


class TensorBody(NamedTuple):
    """`json`: the document; `binary`: what followed it, None where nothing may; `trace_id`: the caller's."""

    json: bytes
    binary: memoryview | None = None
    trace_id: str | None = None

    @property
    def size(self) -> int:
        """In bytes, as unpacked."""
        return len(self.json) + (0 if self.binary is None else len(self.binary))


async def read_tensors(scope: Scope, receive: Receive, limit: int) -> TensorBody:
    """A whole body of at most `limit` bytes, also when it is unpacked. Raises `Refusal` (400, 413, 415) and `Gone`."""
    length, encoding, trace_id = _check_headers(scope["headers"], limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] == "http.disconnect" or len(body) > limit:
        body = await read_rest(message, receive, limit)
    if encoding is not None:
        body = unpack(body, encoding, limit)
    if length is None:
        return TensorBody(body, None, trace_id)
    if not length.isdigit() or len(length) > 19 or not 0 < int(length) <= len(body):
        said = length[:20].decode("ascii", "replace")
        raise Refusal(
            400, f"the header {LENGTH.decode()} is {said}: expected the JSON's length, of {len(body)} bytes in all"
        )
    size = int(length)
    return TensorBody(body[:size], memoryview(body)[size:], trace_id)


def _check_headers(headers: list[Header], limit: int) -> tuple[bytes | None, bytes | None, str | None]:
    """The JSON's length, the compression and the trace id."""
    content_type, rest = None, {}
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit() or int(value) > limit:
                raise too_large(limit)
        elif name == b"content-type":
            content_type = value
        elif name in _READ:
            rest[name] = value
    if content_type == JSON and not rest:
        return None, None, None
    length = rest.get(LENGTH)
    is_bare = content_type is None and b"origin" not in rest and b"sec-fetch-site" not in rest
    if not is_bare and not (content_type == BINARY and length):
        check_type(content_type)
    return length, _encoding(rest), _trace_id(rest)


def _encoding(headers: dict[bytes, bytes]) -> bytes | None:
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding == b"identity":
        return None
    if encoding not in _WINDOWS:
        raise Refusal(415, "the header content-encoding is not supported: send gzip, deflate or no compression")
    return encoding


def _trace_id(headers: dict[bytes, bytes]) -> str | None:
    parent = parse_traceparent(headers.get(b"traceparent", b""))
    return None if parent is None else parent.trace_id


def unpack(body: bytes, encoding: bytes, limit: int) -> bytes:
    """A compressed body (gzip, deflate), of at most `limit` bytes. Raises `Refusal` (400, 413)."""
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        made = stream.decompress(body, limit + 1)  # no more is unpacked than is taken
    except zlib.error:
        raise Refusal(400, f"the body is no {encoding.decode()}, as the header content-encoding has it") from None
    if len(made) > limit:
        raise too_large(limit)
    if not stream.eof or stream.unused_data:
        raise Refusal(400, f"the body's {encoding.decode()} ends too early, or bytes follow it")
    return made
