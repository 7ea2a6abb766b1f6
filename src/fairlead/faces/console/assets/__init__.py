"""The style sheet and the scripts, shipped with the package: the page asks nobody else for anything."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
NAMES = ("console.css", "console.js", "favicon.svg", "htmx.min.js")


class Assets:
    """Serves the few files by name, from memory. An address that carries the content's digest may be kept for ever."""

    def __init__(self) -> None:
        folder = files(__package__ or __name__)
        self._content = {name: (folder / name).read_bytes() for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope)
        name = request.url.path.rpartition("/")[2]
        content = self._content.get(name)
        if content is None or request.method not in ("GET", "HEAD"):
            status = 404 if content is None else 405
            await Response(f"{name}: no such asset\n", status, media_type="text/plain")(scope, receive, send)
            return
        kept = "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
        kind = _TYPES[name[name.rindex(".") :]]
        await Response(content, headers={"cache-control": kept}, media_type=kind)(scope, receive, send)


def versions() -> dict[str, str]:
    """Each asset's name with the start of its digest."""
    folder = files(__package__ or __name__)
    return {name: sha256((folder / name).read_bytes()).hexdigest()[:12] for name in NAMES}
