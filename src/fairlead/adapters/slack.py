"""Slack, by an incoming webhook: the notice as blocks, with a text for notifications.

https://api.slack.com/messaging/webhooks, https://api.slack.com/reference/block-kit/blocks
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from fairlead.adapters.json_post import JsonPost
from fairlead.ports.notifier import Notice

_HEADER, _SECTION = 150, 3000  # the longest texts that a block takes
_FIELDS, _NAME, _FIELD = 10, 300, 1600  # a section's fields, and what one may hold: 2,000 characters in all


class SlackNotifier:
    """Posts to one webhook. Its address is a secret: no error shows more of it than the host."""

    def __init__(self, name: str, webhook: str, transport: httpx.BaseTransport | None = None) -> None:
        """Raises `SettingsError` for what is no address."""
        self._name = name
        self._post = JsonPost(name, webhook, transport=transport)

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Posts the notice. Raises `StateError`."""
        self._post(msgspec.json.encode(message(notice, notice.severity.upper())))

    def resolve(self, notice: Notice) -> None:
        """Says that it is over. Raises `StateError`."""
        self._post(msgspec.json.encode(message(notice, "RESOLVED")))

    def acknowledge(self, notice: Notice) -> None:
        """Says who works on it. Raises `StateError`."""
        self._post(msgspec.json.encode(message(notice, "ACKNOWLEDGED")))


def message(notice: Notice, state: str) -> dict[str, Any]:
    """The message of a notice. What the model or the data say is text, never markup, link or mention."""
    title = f"{state}: {notice.title}"
    about = f"model {notice.model or '(all)'} · owner {notice.owner} · runbook {notice.runbook}"
    more = f" · {notice.link}" if notice.link else ""
    said = [
        {"type": "mrkdwn", "text": f"*{escaped(name, _NAME)}*\n{escaped(text or '-', _FIELD)}"}
        for name, text in notice.details[:_FIELDS]
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER), "emoji": False}},
        {"type": "section", "text": {"type": "mrkdwn", "text": escaped(notice.reason or "-", _SECTION)}},
        *([{"type": "section", "fields": said}] if said else []),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": escaped(about + more, _SECTION)}]},
    ]
    return {"text": escaped(f"{title}. {notice.reason}", _SECTION), "blocks": blocks}


def escaped(text: str, longest: int) -> str:
    """Text that Slack shows as it is.

    >>> escaped("a < b & <!channel>", 100)
    'a &lt; b &amp; &lt;!channel&gt;'
    """
    found = _cut(text, longest)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        found = found.replace(character, entity)
    return found if len(found) <= longest else escaped(text, longest - (len(found) - longest))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: max(longest - 1, 0)]}…"
