"""Alertmanager, by its API v2: what stands is pushed with an end that lies ahead, and pushed again before that comes.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from fairlead.adapters.json_post import JsonPost
from fairlead.ports.notifier import Notice

PATH = "/api/v2/alerts"
REMIND_SECONDS = 60.0
_AHEAD_SECONDS = 5 * REMIND_SECONDS  # until when an alert stands if nobody says it again


class AlertmanagerNotifier:
    """Pushes to one Alertmanager, whose own routes, silences and receivers then apply."""

    remind_seconds = REMIND_SECONDS

    def __init__(
        self,
        name: str,
        url: str,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`url` is Alertmanager's own, such as http://127.0.0.1:9093. Raises `SettingsError` for one that is none."""
        self._name = name
        self._post = JsonPost(name, f"{url.rstrip('/').removesuffix(PATH)}{PATH}", transport=transport)
        self._now = now

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Says that it stands. Raises `StateError`."""
        self._push(notice, self._now() + _AHEAD_SECONDS)

    def resolve(self, notice: Notice) -> None:
        """Says that it is over. Raises `StateError`."""
        self._push(notice, self._now())

    def _push(self, notice: Notice, ends_at: float) -> None:
        self._post(msgspec.json.encode([alert_of(notice, ends_at)]))


def alert_of(notice: Notice, ends_at: float) -> dict[str, Any]:
    """The alert of a notice. Its labels tell it from others, so they hold nothing that changes while it stands but the
    severity: one that rises is another alert there, and the one before ends by itself."""
    labels = {
        "alertname": notice.alert,
        "model": notice.model,
        "severity": notice.severity,
        "fairlead": notice.thread or notice.notice,
    }
    annotations = {
        "summary": notice.title,
        "description": notice.reason,
        "owner": notice.owner,
        "runbook_url": notice.runbook,
        "alerts": str(notice.count),
        "details": "\n".join(f"{name}: {text}" for name, text in notice.details),
    }
    alert = {
        "labels": {name: text for name, text in labels.items() if text},
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": _instant(min(notice.at, ends_at)),
        "endsAt": _instant(ends_at),
    }
    return {**alert, "generatorURL": notice.link} if "://" in notice.link else alert


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
