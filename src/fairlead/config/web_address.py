"""Addresses that people write into the settings."""

from __future__ import annotations

from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """The host of an http(s) address; empty for what is none, a port that cannot be included.

    >>> host_of("https://hooks.example.com/T0"), host_of("ftp://a"), host_of("http://a:99999"), host_of("http://")
    ('hooks.example.com', '', '', '')
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if usable else ""
