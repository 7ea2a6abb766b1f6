"""A registry event posted in MLflow's webhook form: signed by HMAC-SHA256 over its id, its time and its body."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from fairlead.core.registry_event import RegistryEvent
from fairlead.errors import Refused, StateError

ID, AT, SIGNATURE = "X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"
VERSION = "v1"
ATTEMPTS = 3
_AGAIN = (408, 425, 429)  # beside the server's own errors


def signed(secret: str, delivery: str, at: str, body: str) -> str:
    """MLflow's signature: `v1,` and the base64 of HMAC-SHA256 over `delivery.at.body`.

    >>> signed("key", "1", "2", "{}")
    'v1,9iXOMau8MQvofxZwGPd/aC/ZrwvhfkmpWBMiycRwdZ0='
    """
    mac = hmac.new(secret.encode(), f"{delivery}.{at}.{body}".encode(), "sha256").digest()
    return f"{VERSION},{base64.b64encode(mac).decode()}"


class SignedWebhook:
    """Posts to one address, three times where that may help. No error shows more of the address than its host, and none
    shows the secret, what was posted or what was answered. A redirect is not followed: it could lead anywhere."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        events: Collection[str],
        *,
        timeout_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`url` is an http(s) address; an empty `secret` signs nothing."""
        self.name = name
        self._url, self._secret, self._events = url, secret, frozenset(events)
        self._timeout, self._now = timeout_seconds, now
        self._host = urlsplit(url).hostname

    def takes(self, event: RegistryEvent) -> bool:
        """Whether it wants this event."""
        return event.name in self._events

    def send(self, event: RegistryEvent) -> None:
        """Delivers. Raises `StateError` where a later attempt may help, `Refused` where the receiver wants none."""
        body = _body(event)
        problem = ""
        # The transport itself: a client would write the whole address into its own log, and follow a proxy.
        with httpx.HTTPTransport() as transport:
            for _ in range(ATTEMPTS):
                problem = self._post(transport, event.delivery, body)
                if not problem:
                    return
        raise StateError(f"webhook {self.name}: {problem}; it is tried again")

    def _post(self, transport: httpx.HTTPTransport, delivery: str, body: str) -> str:
        """What went wrong and may not the next time. Raises `Refused` for what will."""
        try:
            response = transport.handle_request(self._request(delivery, body))
            response.close()
        except httpx.HTTPError as error:
            return f"{self._host} cannot be reached ({type(error).__name__})"
        if response.is_success:
            return ""
        if response.status_code >= 500 or response.status_code in _AGAIN:
            return f"{self._host} answered {response.status_code}"
        raise Refused(f"webhook {self.name}: {self._host} answered {response.status_code}; the event is not repeated")

    def _request(self, delivery: str, body: str) -> httpx.Request:
        limits = {"timeout": httpx.Timeout(self._timeout).as_dict()}
        headers = self._headers(delivery, body)
        return httpx.Request("POST", self._url, headers=headers, content=body.encode(), extensions=limits)

    def _headers(self, delivery: str, body: str) -> dict[str, str]:
        at = str(int(self._now()))
        headers = {"Content-Type": "application/json", ID: delivery, AT: at}
        if self._secret:
            headers[SIGNATURE] = signed(self._secret, delivery, at, body)
        return headers


def _body(event: RegistryEvent) -> str:
    entity, _, action = event.name.partition(".")
    at = datetime.fromtimestamp(event.at, UTC).isoformat()
    return msgspec.json.encode({"entity": entity, "action": action, "timestamp": at, "data": event.data}).decode()
