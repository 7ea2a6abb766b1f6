"""One page for Prometheus."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fairlead.adapters.metrics_page import metrics_page
from fairlead.errors import StateError


async def spoken(port: int, text: bytes) -> bytes:
    """What comes back on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    found = await reader.read()
    writer.close()
    await writer.wait_closed()
    return found


@pytest.mark.parametrize(
    ("text", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n", b"200 OK", b"page 1\n"),
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", b"200 OK", b"page 1\n"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found", b"the page is /metrics\n"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"only GET and HEAD\n"),
        (b"\r\n\r\n", b"405 Method Not Allowed", b"only GET and HEAD\n"),
    ],
)
def test_answers_what_is_asked(text: bytes, status: bytes, body: bytes) -> None:
    """The page, read anew each time; anything else is refused in one line."""

    async def run() -> bytes:
        async with metrics_page(0, lambda: b"page 1\n") as port:
            assert port
            return await spoken(port, text)

    found = asyncio.run(run())
    assert found.startswith(b"HTTP/1.1 " + status)
    assert found.partition(b"\r\n\r\n")[2] == body


def test_a_head_without_an_end_is_closed() -> None:
    """It does not grow for ever."""

    async def run() -> bytes:
        async with metrics_page(0, lambda: b"page") as port:
            assert port
            return await spoken(port, b"GET /metrics HTTP/1.1\r\n" + b"x" * 20_000)

    try:
        found = asyncio.run(run())
    except ConnectionError:  # whichever end is the first to notice
        found = b""
    assert found == b""


def test_no_port_is_no_page_and_a_taken_one_is_told() -> None:
    """Before anything else is begun."""

    async def run(port: int | None) -> int | None:
        async with metrics_page(port, lambda: b"") as number:
            return number

    assert asyncio.run(run(None)) is None
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StateError, match="pass another"):
        asyncio.run(run(taken.getsockname()[1]))
