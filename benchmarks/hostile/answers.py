"""What the gateway may answer: read from a connection, judged, and its acknowledgements collected."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from benchmarks.hostile.house import SLOW
from benchmarks.hostile.requests import Request

MOST = 64 * 2**20
ALLOWED = frozenset((200, 400, 403, 404, 405, 408, 413, 415, 422, 431))
PARSER = b"Invalid HTTP request received."  # uvicorn's own words for what is no HTTP
SCORING = ("/ping", "/version", "/invocations")
TRACES, PROTOBUF = "/v1/traces", "application/x-protobuf"
TEXTS = ("/ping", "/version", "/metrics")


class Answer(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close" or self.is_parsers

    @property
    def is_parsers(self) -> bool:
        """Whether the parser refused the bytes, before any application saw a request."""
        return self.status == 400 and self.body == PARSER


class Torn(Exception):
    """The connection ended within an answer, or what came is no HTTP."""


async def read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> Answer | None:
    """The next answer; None where the connection ends before one. Raises `Torn`."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Torn(f"half an answer: {error.partial[:200]!r}") from None
        return None
    line, *fields = head[:-4].split(b"\r\n")
    if not line.startswith(b"HTTP/1.1 ") or not line[9:12].isdigit():
        raise Torn(f"no answer: {line[:200]!r}")
    headers = {name.decode("latin-1").lower(): value.strip().decode("latin-1") for name, _, value in _parted(fields)}
    status = int(line[9:12])
    if status < 200:
        return await read_answer(reader, is_head=is_head)
    return Answer(status, headers, b"" if is_head else await _body(reader, headers))


def _parted(fields: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    return [field.partition(b":") for field in fields]


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    try:
        if "content-length" in headers:
            return await reader.readexactly(int(headers["content-length"]))
        return await reader.read(MOST)  # uvicorn's own refusals end with the connection
    except asyncio.IncompleteReadError as error:
        raise Torn(f"half a body: {error.partial[:200]!r}") from None


def complaint(request: Request, answer: Answer) -> str | None:
    """What is wrong with an answer: its status, its type, the shape of its body. None where nothing is."""
    if answer.is_parsers or request.is_head:
        return None
    path = request.plain_path
    if answer.status == 200:
        return _wrong_success(path, answer)
    if answer.status not in ALLOWED and not _is_excused(request, path, answer):
        return f"the status {answer.status}"
    return _wrong_problem(path, answer)


def _is_excused(request: Request, path: str, answer: Answer) -> bool:
    """The 503 of a version that has too much to do, and the 501 of the paths that are documented so."""
    if answer.status == 503:
        return request.model == SLOW and answer.headers.get("retry-after", "").isdigit()
    return answer.status == 501 and path.endswith(("/load", "/unload"))


def _wrong_success(path: str, answer: Answer) -> str | None:
    kind = answer.headers.get("content-type", "")
    if path in TEXTS:
        return None if kind.startswith("text/plain") else f"the content type {kind}"
    if kind == PROTOBUF:
        return None if path == TRACES else f"the content type {kind}"
    if kind == "application/octet-stream":
        return None if answer.headers.get("inference-header-content-length", "").isdigit() else "no length of the JSON"
    return None if kind == "application/json" and _parsed(answer.body) is not None else f"{kind}: {answer.body[:100]!r}"


def _wrong_problem(path: str, answer: Answer) -> str | None:
    if path == TRACES and answer.headers.get("content-type") == PROTOBUF:
        return None if answer.body.startswith(b"\x12") else f"no status: {answer.body[:200]!r}"
    said = _parsed(answer.body)
    if answer.headers.get("content-type") != "application/json" or not isinstance(said, dict):
        return f"no problem: {answer.body[:200]!r}"
    is_scoring = path in SCORING or (path.startswith("/models/") and path.endswith("/invocations"))
    is_native = answer.status in (403, 408, 431) or "upgrade" in str(said.get("error"))  # the same on every path
    names = {"error_code", "message"} if is_scoring else {"message"} if path == TRACES else {"error"}
    if is_native:
        names = {"error"}
    if set(said) - {"path"} != names or not all(isinstance(one, str) and one for one in said.values()):
        return f"a problem of another shape: {answer.body[:200]!r}"
    text = said.get("error") or said["message"]
    return f"more than one line: {text[:200]!r}" if "\n" in text or "Traceback" in text else None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except ValueError:
        return None


def acknowledged(request: Request, answer: Answer) -> list[str]:
    """The ids of the predictions that an answer acknowledges, as they must stand in the log."""
    path = request.plain_path
    if answer.status != 200 or request.method != b"POST":
        return []
    if path.endswith("/predict"):
        return [one["request_id"] for one in rows_of(answer)]
    if path.endswith("/infer"):
        length = answer.headers.get("inference-header-content-length")
        said = json.loads(answer.body[: int(length)] if length else answer.body)
        return _numbered(said["id"], said["outputs"][0]["shape"][0])
    if path.endswith("/invocations"):
        count = len(json.loads(answer.body)["predictions"])
        made = answer.headers.get("x-request-id")
        return _numbered(made or json.loads(request.body)["params"]["request_id"], count)
    return []


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """The rows of an answer on the native path."""
    said = json.loads(answer.body)
    found: list[dict[str, Any]] = said.get("predictions", [said])
    return found


def outcomes_of(request: Request, answer: Answer) -> list[str]:
    """The ids of the outcomes that an answer acknowledges."""
    if answer.status != 200 or request.method != b"POST" or request.plain_path != "/v1/outcomes":
        return []
    said = json.loads(request.body)
    return [one["request_id"] for one in (said if isinstance(said, list) else [said])]


def _numbered(name: str | list[str], count: int) -> list[str]:
    if isinstance(name, list):
        return name
    return [name] if count == 1 else [f"{name}:{index}" for index in range(count)]
