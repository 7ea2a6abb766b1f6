"""A caller of the stage: one kept-alive connection, one request at a time, timed as a client sees it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from time import perf_counter
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

JSON = "application/json"


class Reply(Struct, frozen=True):
    """An answer; status 0 where none came, with the reason in `error`."""

    status: int
    body: dict[str, Any]
    milliseconds: float
    error: str = ""
    retry_after: str = ""  # the header, where it came

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.status // 100 == 2

    @property
    def is_shed(self) -> bool:
        """Whether it is refused for now, as a gateway that has too much to do refuses: with a time to try again."""
        return self.status == 503 and bool(self.retry_after)

    @property
    def said(self) -> str:
        """The status and the error's text, short."""
        return f"{self.status or 'no answer'} {self.error}".strip()[:200]


class Caller:
    """A client of one base URL. Not for several threads."""

    def __init__(self, base_url: str, timeout_seconds: float = 10.0) -> None:
        host = urlsplit(base_url)
        self._http = HTTPConnection(host.hostname or "", host.port, timeout=timeout_seconds)

    def post(self, path: str, body: bytes, content_type: str = JSON) -> Reply:
        """One request. A lost connection is an answer of status 0; the next request opens another."""
        began = perf_counter()
        try:
            status, text, retry = self._exchange(path, body, content_type)
        except (OSError, HTTPException) as error:
            self._http.close()
            return Reply(0, {}, (perf_counter() - began) * 1000.0, f"{type(error).__name__}: {error}")
        elapsed = (perf_counter() - began) * 1000.0
        return _read(status, text, elapsed, retry)

    def close(self) -> None:
        """Hangs up."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes, str]:
        http = self._http
        if http.sock is None:
            http.connect()  # sets TCP_NODELAY
        http.putrequest("POST", path, skip_accept_encoding=True)
        http.putheader("content-type", content_type)
        http.putheader("content-length", str(len(body)))
        # A server may refuse a large body before it has read it: its answer is then still in the socket.
        with suppress(BrokenPipeError, ConnectionResetError):
            http.endheaders(body)
        response = http.getresponse()
        return response.status, response.read(), response.headers.get("retry-after", "")


def predict_path(model: str) -> str:
    """Where a model answers."""
    return f"/v1/models/{model}/predict"


def ask(features: bytes, request_id: str) -> bytes:
    """A predict body from a JSON object of features."""
    return b'{"features":%b,"request_id":"%b"}' % (features, request_id.encode())


def ask_batch(rows: Sequence[bytes]) -> bytes:
    """A predict body from JSON objects of features; each row gets an id of its own."""
    return b'{"instances":[%b]}' % b",".join(b'{"features":%b}' % features for features in rows)


def _read(status: int, text: bytes, milliseconds: float, retry: str) -> Reply:
    try:
        body = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Reply(status, {}, milliseconds, "", retry)
    error = body.get("error")
    return Reply(status, body, milliseconds, error if isinstance(error, str) else "", retry)
