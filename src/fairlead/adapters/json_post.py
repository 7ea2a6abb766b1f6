"""A JSON document posted to a service over HTTP: tried again where that may help, and no secret in any error."""

from __future__ import annotations

import logging

import httpx

from fairlead.config.web_address import host_of
from fairlead.errors import SettingsError, StateError

ATTEMPTS = 3
logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write whole addresses into the log


class JsonPost:
    """Posts to one address. Server errors, a service that is busy (429) and lost connections are tried three times in
    all; any other refusal is not repeated. The URL's path and query may be secrets: no error shows more of it than the
    host, and none shows what was posted or answered."""

    def __init__(
        self, name: str, url: str, timeout_seconds: float = 5.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Raises `SettingsError` for what is no address."""
        self._host = host_of(url)
        if not self._host:
            raise SettingsError(f"the url of channel {name!r} is not an http(s) address: write https://host/path")
        self._name = name
        self._url = url
        self._timeout = timeout_seconds
        self._transport = transport

    def __call__(self, body: bytes) -> None:
        """Posts. Raises `StateError` with the last answer's status."""
        problem = ""
        with httpx.Client(timeout=self._timeout, transport=self._transport) as client:
            for _ in range(ATTEMPTS):
                problem, again = self._post(client, body)
                if not again:
                    break
        if problem:
            raise StateError(f"channel {self._name}: {problem}; the notice was not delivered")

    def _post(self, client: httpx.Client, body: bytes) -> tuple[str, bool]:
        """What went wrong, if anything, and whether another attempt may help."""
        try:
            response = client.post(self._url, content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError as error:
            return f"{self._host} cannot be reached ({type(error).__name__})", True
        if response.is_success:
            return "", False
        busy = response.status_code >= 500 or response.status_code == 429
        return f"{self._host} answered {response.status_code}", busy
