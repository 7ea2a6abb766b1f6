"""PagerDuty, by its Events API v2: an alert triggers an event, and its end resolves it under the same key.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx
import msgspec

from fairlead.adapters.json_post import JsonPost
from fairlead.errors import StateError
from fairlead.ports.notifier import Notice

URL = "https://events.pagerduty.com/v2/enqueue"
SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_SUMMARY, _KEY = 1024, 255  # the longest that the API takes


class PagerDutyNotifier:
    """Sends events of one service's integration, whose `routing_key` no error shows. Without one nothing can be sent,
    and each notice says so."""

    def __init__(
        self, name: str, routing_key: str, url: str = URL, transport: httpx.BaseTransport | None = None
    ) -> None:
        """Raises `SettingsError` for a url that is none."""
        self._name = name
        self._key = routing_key
        self._post = JsonPost(name, url, transport=transport)

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Triggers an event. Raises `StateError`."""
        self._enqueue(trigger(notice))

    def resolve(self, notice: Notice) -> None:
        """Resolves the event of an alert that is over. Raises `StateError`."""
        self._enqueue({"event_action": "resolve", "dedup_key": key_of(notice)})

    def _enqueue(self, event: dict[str, Any]) -> None:
        if not self._key:
            raise StateError(
                f"channel {self._name}: it has no routing key: add `routing_key: ${{NAME}}` to it, or set "
                "PAGERDUTY_ROUTING_KEY; the notice was not delivered"
            )
        self._post(msgspec.json.encode({"routing_key": self._key, **event}))


def key_of(notice: Notice) -> str:
    """What makes notices of one alert one incident: the same for each of them, and at most 255 characters."""
    key = f"fairlead:{notice.model}:{notice.alert}"
    return key if len(key) <= _KEY else f"fairlead:{sha256(key.encode()).hexdigest()}"


def trigger(notice: Notice) -> dict[str, Any]:
    """The event of a notice, without its routing key."""
    summary = f"{notice.title}: {notice.reason}"
    event: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": key_of(notice),
        "client": "fairlead",
        "payload": {
            "summary": summary if len(summary) <= _SUMMARY else f"{summary[: _SUMMARY - 1]}…",
            "source": notice.model or "fairlead",
            "severity": SEVERITIES[notice.severity],
            "timestamp": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds"),
            "component": notice.model or "log",
            "class": notice.alert,
            "custom_details": {
                "reason": notice.reason,
                "severity": notice.severity,
                "owner": notice.owner,
                "runbook": notice.runbook,
            },
        },
    }
    links = [{"href": link, "text": text} for link, text in _links(notice) if "://" in link]
    return {**event, "links": links} if links else event


def _links(notice: Notice) -> tuple[tuple[str, str], ...]:
    return (notice.runbook, "Runbook"), (notice.link, "Details")
