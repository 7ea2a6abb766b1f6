"""One page for Prometheus, on loopback: `GET /metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fairlead.errors import StateError

_READ_SECONDS = 5.0
_HEAD_BYTES = 8192
HOST = "127.0.0.1"


@asynccontextmanager
async def metrics_page(port: int | None, page: Callable[[], bytes]) -> AsyncIterator[int | None]:
    """Answers on a port until the end, and gives its number: 0 takes a free one, None answers nowhere. Raises
    `StateError` for a port that is taken."""
    if port is None:
        yield None
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_answer(head, page))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, HOST, port, limit=_HEAD_BYTES)
    except OSError as error:
        raise StateError(f"port {port} on {HOST} cannot be used ({error.strerror}): pass another") from None
    try:
        number: int = server.sockets[0].getsockname()[1]
        yield number
    finally:
        server.close()


def _answer(head: bytes, page: Callable[[], bytes]) -> bytes:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    method, target = words[0], words[1] if len(words) == 3 else b""
    if method not in (b"GET", b"HEAD"):
        status, body = b"405 Method Not Allowed", b"only GET and HEAD\n"
    elif target.partition(b"?")[0] != b"/metrics":
        status, body = b"404 Not Found", b"the page is /metrics\n"
    else:
        status, body = b"200 OK", page()
    fields = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: %d\r\nconnection: close"
    return b"HTTP/1.1 " + status + b"\r\n" + fields % len(body) + b"\r\n\r\n" + (b"" if method == b"HEAD" else body)
