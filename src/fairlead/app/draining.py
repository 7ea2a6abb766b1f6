"""The end of a server, without a request that meets a closed door.

A caller that keeps its connection may be sending when it is closed: HTTP/1.1 has no word for "no more" but the header
of an answer (RFC 9112, 9.6). So who is connected may ask once more, and is told then; who does not ask is closed after
all.
"""

from __future__ import annotations

import asyncio

import uvicorn

SETTLE_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_LAST = (b"connection", b"close")


async def settle(server: uvicorn.Server, seconds: float = SETTLE_SECONDS) -> None:
    """Takes no more connections, and tells each that its next answer is the last. Returns when all are gone, or after
    so many seconds."""
    for listener in server.servers:
        listener.close()
    state = server.server_state
    state.default_headers = [*state.default_headers, _LAST]
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while state.connections and loop.time() < deadline:  # noqa: ASYNC110 - nothing tells when the last one goes
        await asyncio.sleep(_LOOK_SECONDS)
