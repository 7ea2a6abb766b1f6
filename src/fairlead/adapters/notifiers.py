"""Channels that notices go to: the terminal, and any service that takes JSON over HTTP."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TextIO

import httpx
import msgspec

from fairlead.adapters.json_post import JsonPost
from fairlead.errors import StateError
from fairlead.ports.notifier import Notice


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
        whose = f" {notice.model}" if notice.model else ""
        known = {"owner": notice.owner, "runbook": notice.runbook}
        found = "; ".join(f"{name} {value}" for name, value in known.items() if value)
        line = f"{at:%Y-%m-%d %H:%M:%S}Z {notice.severity.upper()}{whose}: {notice.title}. {notice.reason}"
        line += f" [{found}]" if found else ""
        try:
            # Looked up at each call: a test or a supervisor may have replaced it since.
            print(" ".join(line.split()), file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError) as error:
            raise StateError(f"channel {self._name}: the terminal cannot be written to ({error})") from None


class WebhookNotifier:
    """Posts the notice as JSON, with a `text` field that chat services show, and its `state`: raised, acknowledged or
    over. The URL's path and query may be secrets: no error shows more of it than the host."""

    def __init__(
        self, name: str, url: str, timeout_seconds: float = 5.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._name = name
        self._post = JsonPost(name, url, timeout_seconds, transport)

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Posts. Raises `StateError` with the last answer's status."""
        self._tell(notice, "raised", notice.severity)

    def resolve(self, notice: Notice) -> None:
        """Posts that it is over. Raises `StateError`."""
        self._tell(notice, "over", "over")

    def acknowledge(self, notice: Notice) -> None:
        """Posts who works on it. Raises `StateError`."""
        self._tell(notice, "acknowledged", "acknowledged")

    def _tell(self, notice: Notice, state: str, word: str) -> None:
        text = f"[{word}] {notice.title}: {notice.reason} ({notice.runbook})"
        self._post(msgspec.json.encode({**msgspec.to_builtins(notice), "state": state, "text": text}))
