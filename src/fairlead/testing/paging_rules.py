"""What PagerDuty and Slack take, as their documents say it; what is wrong with a body, in words.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
https://developer.pagerduty.com/docs/send-change-event
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Faults = list[str]
_EVENT = {"routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
_CHANGE_PAYLOAD = {"summary", "source", "timestamp", "custom_details"}
_SEVERITIES = ("critical", "error", "warning", "info")
_ACTIONS = ("trigger", "acknowledge", "resolve")
_BLOCKS = 50


def event_faults(event: Mapping[str, Any]) -> Faults:
    """What is wrong with an event of PagerDuty's Events API v2 (`/v2/enqueue`)."""
    faults = _keys(event, _EVENT, "event") + _routing(event) + _links(event)
    action, key = event.get("event_action"), event.get("dedup_key")
    if action not in _ACTIONS:
        faults.append(f"event_action is {action!r}")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
        faults.append("dedup_key is no text of 1 to 255 characters")
    if action in ("acknowledge", "resolve") and key is None:
        faults.append(f"dedup_key is needed to {action}")
    if action == "trigger":
        faults += _payload(event.get("payload"), _PAYLOAD)
        payload = event.get("payload")
        if isinstance(payload, dict) and payload.get("severity") not in _SEVERITIES:
            faults.append(f"payload.severity is {payload.get('severity')!r}")
    return faults


def change_faults(event: Mapping[str, Any]) -> Faults:
    """What is wrong with a change event (`/v2/change/enqueue`)."""
    known = {"routing_key", "payload", "links", "images"}
    return (
        _keys(event, known, "event") + _routing(event) + _links(event) + _payload(event.get("payload"), _CHANGE_PAYLOAD)
    )


def slack_faults(message: Mapping[str, Any]) -> Faults:
    """What is wrong with a message to an incoming webhook."""
    faults = _keys(message, {"text", "blocks", "attachments", "thread_ts", "mrkdwn", "response_type"}, "message")
    if not isinstance(message.get("text"), str) or not message["text"] or len(message["text"]) > 40_000:
        faults.append("text is no text of 1 to 40,000 characters")
    blocks = message.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > _BLOCKS:
        return [*faults, f"blocks is no list of at most {_BLOCKS}"]
    for place, block in enumerate(blocks):
        check = _CHECKS.get(block.get("type"))
        found = ["is of no type that is known"] if check is None else check(block)
        faults += [f"blocks[{place}] {fault}" for fault in found]
    return faults


def _header(block: Mapping[str, Any]) -> Faults:
    return _text(block.get("text"), ("plain_text",), 150)


def _section(block: Mapping[str, Any]) -> Faults:
    faults = _text(block["text"], ("plain_text", "mrkdwn"), 3000) if "text" in block else []
    fields = block.get("fields", [])
    if "text" not in block and not fields:
        faults.append("has neither text nor fields")
    if len(fields) > 10:
        faults.append("has more than 10 fields")
    return faults + [fault for one in fields for fault in _text(one, ("plain_text", "mrkdwn"), 2000)]


def _context(block: Mapping[str, Any]) -> Faults:
    elements = block.get("elements", [])
    faults = [] if 1 <= len(elements) <= 10 else ["has not 1 to 10 elements"]
    return faults + [fault for one in elements for fault in _text(one, ("plain_text", "mrkdwn"), 3000)]


_CHECKS: dict[Any, Callable[[Mapping[str, Any]], Faults]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "divider": lambda _: [],
}


def _text(value: Any, kinds: tuple[str, ...], longest: int) -> Faults:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return [f"has no text of type {' or '.join(kinds)}"]
    text = value.get("text")
    if not isinstance(text, str) or not 1 <= len(text) <= longest:
        return [f"has a text that is not of 1 to {longest} characters"]
    return [] if value["type"] == "plain_text" or "emoji" not in value else ["has emoji, which is for plain_text alone"]


def _keys(value: Mapping[str, Any], known: set[str], what: str) -> Faults:
    return [f"{what} has {name!r}, which is not known" for name in sorted(set(value) - known)]


def _routing(event: Mapping[str, Any]) -> Faults:
    key = event.get("routing_key")
    return [] if isinstance(key, str) and len(key) == 32 else ["routing_key is no text of 32 characters"]


def _payload(payload: Any, known: set[str]) -> Faults:
    if not isinstance(payload, dict):
        return ["payload is no object"]
    faults = _keys(payload, known, "payload")
    summary = payload.get("summary")
    if not isinstance(summary, str) or not 1 <= len(summary) <= 1024:
        faults.append("payload.summary is no text of 1 to 1,024 characters")
    if not isinstance(payload.get("source"), str) or not payload["source"]:
        faults.append("payload.source is no text")
    if not isinstance(payload.get("custom_details", {}), dict):
        faults.append("payload.custom_details is no object")
    if "timestamp" in payload and not _instant(payload["timestamp"]):
        faults.append("payload.timestamp is no instant of ISO 8601 with a zone")
    return faults


def _instant(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _links(event: Mapping[str, Any]) -> Faults:
    return ["links holds what is no {href, text}" for link in event.get("links", []) if not _is_link(link)]


def _is_link(link: Any) -> bool:
    return isinstance(link, dict) and "://" in str(link.get("href", "")) and not set(link) - {"href", "text"}
