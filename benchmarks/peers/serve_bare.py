"""The least that an ASGI application can do with a prediction's request: `-m benchmarks.peers.serve_bare PORT LENGTH`.

It reads the body, decodes its JSON (msgspec, untyped) and answers fixed JSON of LENGTH bytes. Server, event loop,
parser and their settings are the gateway's own: uvicorn, uvloop, httptools, no access log, no server header.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def application(answer: bytes) -> Callable[[Any, Receive, Send], Awaitable[None]]:
    """It answers that, to everybody who sends JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(_: Any, receive: Receive, send: Send) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        msgspec.json.decode(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def main() -> None:
    """The server."""
    port, length = int(sys.argv[1]), int(sys.argv[2])
    gc.set_threshold(20_000, 20, 20)  # as in the gateway
    uvicorn.run(
        application(b'{"a":"' + b"x" * (length - 8) + b'"}'),
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
