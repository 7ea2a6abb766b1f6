"""A training service's API: JSON over HTTP, with no secret and no more of the address than its host in any error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from fairlead.config.web_address import host_of
from fairlead.errors import SettingsError, StateError
from fairlead.ports.trainer import TrainerAway

_MOST_SAID = 300
_BUSY = (408, 425, 429)


class Answer(Struct, frozen=True):
    """What a service answered: its status, and its document (None where it is no JSON)."""

    status: int
    document: Any
    text: str

    @property
    def taken(self) -> bool:
        """Whether it did what it was asked."""
        return 200 <= self.status < 300


class Service:
    """One address. What cannot be reached, or is busy, raises `TrainerAway`; any other status is the caller's to read.
    Nothing is tried again here: whoever asks knows whether that is safe."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        """Raises `SettingsError` for what is no address."""
        self.host = host_of(url)
        if not self.host:
            raise SettingsError(f"retraining.trainer.url is no http(s) address: write {name}'s, as https://host:port")
        self.name = name
        self._url = url.rstrip("/")
        # One client, as each reads all certificates anew; no connection is kept, as minutes lie between two questions.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(headers=dict(headers or {}), timeout=timeout_seconds, limits=limits)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request. Raises `TrainerAway`."""
        content = None if body is None else msgspec.json.encode(body)
        sent = {"content-type": "application/json", **(headers or {})}
        try:
            response = self._client.request(method, self._url + path, content=content, headers=sent)
        except httpx.HTTPError as error:
            raise TrainerAway(f"{self.name} at {self.host} cannot be reached ({type(error).__name__})") from None
        if response.status_code in _BUSY or response.status_code in (502, 503, 504):
            raise TrainerAway(f"{self.name} at {self.host} is not ready (it answered {response.status_code})")
        return Answer(response.status_code, _document(response.content), response.text)

    def refused(self, what: str, answer: Answer) -> StateError:
        """The error for a status that nothing can be done about."""
        hint = {401: ": check the token", 403: ": check the token's rights", 404: ": check its name and the url"}
        said = "" if answer.status in hint else f": {said_of(answer)}"
        return StateError(
            f"{self.name} at {self.host} refused {what} with {answer.status}{hint.get(answer.status, said)}"
        )

    def unread(self, what: str) -> StateError:
        """The error for an answer that does not hold what it should."""
        return StateError(f"{self.name} at {self.host} answered {what} with something else: check the url and its path")


def field(document: Any, *path: str) -> str:
    """The text at a path of a document; empty where there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""


def said_of(answer: Answer) -> str:
    """The service's own words, on one line, cut short."""
    text = field(answer.document, "detail") or field(answer.document, "message") or answer.text
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SAID else f"…{line[-_MOST_SAID:]}"


def _document(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
