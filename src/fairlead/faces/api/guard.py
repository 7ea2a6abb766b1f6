"""Who may talk to the control port: this machine's own pages and programs, not a page from elsewhere.

A page on the web can make a browser call 127.0.0.1, and a hostile name server can make any name point there. So the
`Host` must be loopback or named, and a write that carries an `Origin` must come from this very origin.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead.faces.api.problems import problem

_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses what does not come from here. `allowed_hosts` are further names, without port, that the port goes by."""

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            await problem(403, refusal, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why a request is refused; empty where it is not."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._known(host):
            return f"the Host {host!r} is not this machine: use http://127.0.0.1, or allow the name where it is served"
        if method in _SAFE:
            return ""
        origin = headers.get("origin")
        if origin is not None and not _same(origin, host):
            return f"a write from the page {origin!r} is refused: only this port's own pages may write"
        if origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a write from another site's page is refused: only this port's own pages may write"
        return ""

    def _known(self, host: str) -> bool:
        name = _name(host)
        return name == "localhost" or name in self._allowed or _is_loopback(name)


def _name(host: str) -> str:
    """The host without its port; empty for what is no host.

    >>> _name("LOCALHOST:8081"), _name("[::1]:8081"), _name("evil.example:80"), _name("a@b")
    ('localhost', '::1', 'evil.example', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018  raises for a port that is no number
    except ValueError:
        return ""
    if not parts.hostname or parts.netloc != host or "@" in host or parts.path:
        return ""
    return parts.hostname


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
