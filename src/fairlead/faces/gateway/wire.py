"""HTTP as the gateway speaks it: reading a JSON body, sending an answer, refusing what cannot be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sized
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fairlead.core.asking import unreadable
from fairlead.core.trace import parse_traceparent
from fairlead.errors import FairleadError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
BODY_LIMIT = 8 * 2**20
MOST_ROWS = 100_000  # of one request: bodies of many empty rows would take far more memory than they are long

_UNSUPPORTED = {
    b"content-encoding": "send the JSON uncompressed",
    b"inference-header-content-length": "send the tensors' data as JSON",
}


class Refusal(FairleadError):
    """What the caller sent cannot be taken: the status says why, `path` names the field, `header` goes with it."""

    def __init__(self, status: int, message: str, path: str = "", header: Header | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.path = path
        self.header = header


class Gone(FairleadError):
    """The caller hung up before the body was complete: nobody is there to be answered."""


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every error."""

    error: str
    path: str = ""


def problem(error: str, path: str = "") -> bytes:
    """The body of an error. Halves of surrogate pairs, which a caller's JSON may hold, become question marks."""
    return msgspec.json.encode(Problem(*(text.encode(errors="replace").decode() for text in (error, path))))


def check_caller(headers: list[Header]) -> None:
    """Raises `Refusal` for a caller whom the gateway does not answer, whatever is asked: see the two checks."""
    named = dict(headers)
    if b"upgrade" in named:  # first: it closes the connection, which no other refusal does
        _check_offer(named)
    if b"origin" in named:
        _check_origin(headers)


def _check_origin(headers: list[Header]) -> None:
    """Raises `Refusal` (403) for a web page from elsewhere. A page can make a browser call this machine, and a hostile
    name server can make any name point to it; programs send no `Origin`."""
    for name, value in headers:
        if name == b"origin" and not _is_local(value):
            raise Refusal(403, f"a call from the page {_ascii(value)} is refused: only this machine's own may call")


def _is_local(origin: bytes) -> bool:
    try:
        host = urlsplit(origin.decode("ascii")).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_offer(named: dict[bytes, bytes]) -> None:
    """Raises `Refusal` (400) for a body behind an offer of another protocol, such as h2c.

    httptools takes such a body for bytes of that protocol, so under uvicorn it does not arrive, or arrives as a
    request of its own. The connection is closed for that reason.
    """
    if named.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in named:
        raise Refusal(
            400,
            f"the offer to upgrade to {_ascii(named[b'upgrade'])} is not taken, and the body is lost with it: "
            "set the client to HTTP/1.1",
            header=(b"connection", b"close"),
        )


async def read_json(scope: Scope, receive: Receive, limit: int) -> tuple[bytes, str | None]:
    """The body and the caller's trace id. Raises `Refusal` (413, 415) and `Gone`."""
    trace_id = check_headers(scope["headers"], limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] == "http.disconnect" or len(body) > limit:
        body = await read_rest(message, receive, limit)
    return body, trace_id


def parse(decoder: msgspec.json.Decoder[Any], body: bytes, hint: str = "") -> Any:
    """Decodes a body by its type. Raises `Refusal` (400) with the field's path."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = unreadable(error, body, hint)
        raise Refusal(400, reason.line, reason.path) from None


def check_count(rows: Sized, path: str) -> None:
    """Raises `Refusal` (413) for more than `MOST_ROWS`."""
    if len(rows) > MOST_ROWS:
        raise Refusal(413, f"{path}: more than {MOST_ROWS} rows: send smaller batches", path)


async def reply(send: Send, status: int, body: bytes, content_type: bytes = JSON, header: Header | None = None) -> None:
    """Sends a whole answer."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    if header is not None:
        headers.append(header)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def check_headers(headers: list[Header], limit: int) -> str | None:
    """The caller's trace id. Raises `Refusal` (413, 415) for a body that is too long, or announced as no JSON."""
    trace_id = content_type = None
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit() or int(value) > limit:
                raise too_large(limit)
        elif name == b"content-type":
            content_type = value
        elif name == b"traceparent":
            parent = parse_traceparent(value)
            trace_id = None if parent is None else parent.trace_id
        elif name in _UNSUPPORTED and value != b"identity":
            raise Refusal(415, f"the header {name.decode()} is not supported: {_UNSUPPORTED[name]}")
    if content_type != JSON:
        check_type(content_type)
    return trace_id


def check_type(value: bytes | None) -> None:
    """Raises `Refusal` (415) for a body that is not announced as JSON."""
    if value is None:  # a web page may send such a body anywhere unasked, so it is not taken for JSON
        raise Refusal(415, "the header content-type is missing: send content-type: application/json")
    kind, _, parameters = value.lower().partition(b";")
    charset = parameters.strip().removeprefix(b"charset=").strip(b'"')
    if kind.strip() != JSON or charset not in (b"", b"utf-8", b"us-ascii"):
        raise Refusal(415, f"content-type {_ascii(value)} is not supported: send application/json in UTF-8")


async def read_rest(message: Message, receive: Receive, limit: int) -> bytes:
    """A whole body that begins with `message`. Raises `Refusal` (413) and `Gone`."""
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Gone("the caller hung up")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def too_large(limit: int) -> Refusal:
    """The answer to a body of more than `limit` bytes."""
    return Refusal(413, f"the body is larger than {limit} bytes: send smaller batches")


def _ascii(value: bytes) -> str:
    return value[:80].decode("ascii", "replace")
