"""Who may ask for a version by number on the native path."""

from __future__ import annotations

from ipaddress import ip_address

from fairlead.faces.gateway.wire import Refusal, Scope

_PROXIED = (b"forwarded", b"x-forwarded-for", b"via")


def check_operator(scope: Scope) -> None:
    """Raises `Refusal` (403) for a caller who is no operator: someone on the gateway's own machine, whose request came
    through no proxy. A pinned answer is no evidence, and could keep a client on an old version for ever."""
    client = scope.get("client")
    proxied = any(name in _PROXIED for name, _ in scope["headers"])
    if proxied or (client and not _is_loopback(client[0])):
        said = "version: only an operator on the gateway's own machine may ask for one: leave it out"
        raise Refusal(403, said, "version")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
