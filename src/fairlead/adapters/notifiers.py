"""Channels that notices go to: the terminal, and any service that takes JSON over HTTP."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TextIO
from urllib.parse import urlsplit

import httpx
import msgspec

from fairlead.errors import SettingsError, StateError
from fairlead.ports.notifier import Notice

ATTEMPTS = 3


class ConsoleNotifier:
    """One line on standard error, or on the stream given."""

    def __init__(self, name: str = "console", stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Writes the line. Raises `StateError` when the stream is closed."""
        at = datetime.fromtimestamp(notice.at, UTC)
        line = (
            f"{at:%Y-%m-%d %H:%M:%S}Z {notice.severity.upper()} {notice.model}: {notice.title}. {notice.reason} "
            f"[owner {notice.owner}; runbook {notice.runbook}]"
        )
        try:
            # Looked up at each call: a test or a supervisor may have replaced it since.
            print(" ".join(line.split()), file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError) as error:
            raise StateError(f"channel {self._name}: the terminal cannot be written to ({error})") from None


class WebhookNotifier:
    """Posts the notice as JSON, with a `text` field that chat services show. Server errors and lost connections are
    tried three times in all; a refusal (4xx) is not repeated. The URL's path and query may be secrets: no error shows
    more of it than the host."""

    def __init__(
        self, name: str, url: str, timeout_seconds: float = 5.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"the url of channel {name!r} is not an http(s) address: write https://host/path")
        self._name = name
        self._url = url
        self._host = parts.hostname
        self._timeout = timeout_seconds
        self._transport = transport

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Posts. Raises `StateError` with the last answer's status."""
        text = f"[{notice.severity}] {notice.title}: {notice.reason} ({notice.runbook})"
        body = msgspec.json.encode({**msgspec.to_builtins(notice), "text": text})
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
        return f"{self._host} answered {response.status_code}", response.status_code >= 500
