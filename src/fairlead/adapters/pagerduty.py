"""PagerDuty, by its Events API v2: an alert triggers an event; that somebody works on it, and its end, go under the
same key. Rollouts and promotions are change events, which call nobody.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
https://developer.pagerduty.com/docs/send-change-event
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
        self._post_change = JsonPost(name, change_url(url), transport=transport)

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

    def acknowledge(self, notice: Notice) -> None:
        """Says that somebody works on it, so that it escalates no further. Raises `StateError`."""
        self._enqueue({"event_action": "acknowledge", "dedup_key": key_of(notice)})

    def change(self, notice: Notice) -> None:
        """Sends a change event. Raises `StateError`."""
        self._enqueue(changed(notice), change=True)

    def _enqueue(self, event: dict[str, Any], *, change: bool = False) -> None:
        if not self._key:
            raise StateError(
                f"channel {self._name}: it has no routing key: add `routing_key: ${{NAME}}` to it, or set "
                "PAGERDUTY_ROUTING_KEY; the notice was not delivered"
            )
        post = self._post_change if change else self._post
        post(msgspec.json.encode({"routing_key": self._key, **event}))


def key_of(notice: Notice) -> str:
    """What makes notices of one trouble one incident: the same for each of them, and at most 255 characters."""
    thread = notice.thread or notice.notice
    key = f"fairlead:{thread}" if thread else f"fairlead:{notice.model}:{notice.alert}"
    return key if len(key) <= _KEY else f"fairlead:{sha256(key.encode()).hexdigest()}"


def trigger(notice: Notice) -> dict[str, Any]:
    """The event of a notice, without its routing key."""
    event: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": key_of(notice),
        "client": "fairlead",
        "payload": {
            "summary": _cut(f"{notice.title}: {notice.reason}"),
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
                "alerts": notice.count,
                **dict(notice.details),
            },
        },
    }
    return _linked(event, notice)


def changed(notice: Notice) -> dict[str, Any]:
    """The change event of a notice, without its routing key."""
    payload = {
        "summary": _cut(notice.title),
        "source": notice.model or "fairlead",
        "timestamp": datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds"),
        "custom_details": {"model": notice.model, **dict(notice.details)},
    }
    return _linked({"payload": payload}, notice)


def change_url(url: str) -> str:
    """Where change events go, beside where events go.

    >>> change_url("https://events.pagerduty.com/v2/enqueue")
    'https://events.pagerduty.com/v2/change/enqueue'
    """
    return f"{url.removesuffix('/enqueue')}/change/enqueue" if url.endswith("/enqueue") else url


def _cut(summary: str) -> str:
    return summary if len(summary) <= _SUMMARY else f"{summary[: _SUMMARY - 1]}…"


def _linked(event: dict[str, Any], notice: Notice) -> dict[str, Any]:
    links = [{"href": link, "text": text} for link, text in _links(notice) if "://" in link]
    return {**event, "links": links} if links else event


def _links(notice: Notice) -> tuple[tuple[str, str], ...]:
    return (notice.runbook, "Runbook"), (notice.link, "Details")
