"""The stand-ins refuse what the real services refuse, and take what the shipped channels send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.pagerduty import changed, trigger
from fairlead.adapters.slack import message
from fairlead.core.notice import Notice
from fairlead.testing.paging_rules import change_faults, event_faults, slack_faults

KEY = "a" * 32
EVENT: dict[str, Any] = {
    "routing_key": KEY,
    "event_action": "trigger",
    "payload": {"summary": "s", "source": "x", "severity": "error"},
}
TEXT = st.text(max_size=4_000)
NOTICES = st.builds(
    Notice,
    model=st.text(max_size=300),
    alert=st.text(max_size=400),
    severity=st.sampled_from(["critical", "high", "medium", "low"]),
    title=st.text(min_size=1, max_size=1_500),
    reason=TEXT,
    owner=st.text(max_size=300),
    runbook=st.sampled_from(["", "docs/x.md", "https://example.com/x"]),
    at=st.floats(0.0, 4e9),
    link=st.sampled_from(["", "http://127.0.0.1:8081/models/x"]),
    details=st.lists(st.tuples(st.text(max_size=600), TEXT), max_size=15).map(tuple),
    notice=st.sampled_from(["", "aaaa"]),
)


@settings(max_examples=60, deadline=None)
@given(NOTICES)
def test_what_the_channels_send_is_taken(notice: Notice) -> None:
    """Whatever the words of the model and the data are, and however long."""
    assert event_faults({"routing_key": KEY, **trigger(notice)}) == []
    assert change_faults({"routing_key": KEY, **changed(notice)}) == []
    assert slack_faults(message(notice, "HIGH")) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"routing_key": "short"}, "routing_key"),
        ({"event_action": "raise"}, "event_action"),
        ({"event_action": "resolve"}, "dedup_key is needed"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"severity": "error"}, "'severity', which is not known"),
        ({"payload": None}, "payload is no object"),
        ({"payload": {**EVENT["payload"], "severity": "high"}}, "payload.severity"),
        ({"payload": {**EVENT["payload"], "summary": "x" * 1025}}, "payload.summary"),
        ({"payload": {**EVENT["payload"], "source": ""}}, "payload.source"),
        ({"payload": {**EVENT["payload"], "timestamp": "2026-01-01"}}, "payload.timestamp"),
        ({"links": [{"href": "docs/x.md"}]}, "links"),
    ],
)
def test_a_wrong_event_is_refused(change: dict[str, Any], said: str) -> None:
    """Each for its own fault; the right one is taken."""
    assert event_faults(EVENT) == []
    assert any(said in fault for fault in event_faults({**EVENT, **change}))


def test_a_change_event_calls_nobody() -> None:
    """It has neither action nor severity."""
    assert change_faults({"routing_key": KEY, "payload": {"summary": "s", "source": "x"}}) == []
    assert any("event_action" in fault for fault in change_faults(EVENT))
    assert any("severity" in fault for fault in change_faults(EVENT))


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "of type plain_text"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "1 to 150"),
        ([{"type": "section"}], "neither text nor fields"),
        ([{"type": "section", "text": {"type": "mrkdwn", "text": ""}}], "1 to 3000"),
        ([{"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}], "emoji"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}], "more than 10"),
        ([{"type": "context", "elements": []}], "1 to 10 elements"),
        ([{"type": "heading"}], "no type that is known"),
        ([{"type": "divider"}] * 51, "at most 50"),
    ],
)
def test_a_wrong_message_is_refused(blocks: list[dict[str, Any]], said: str) -> None:
    """Each for its own fault."""
    assert any(said in fault for fault in slack_faults({"text": "x", "blocks": blocks}))
    assert any("text is no text" in fault for fault in slack_faults({"blocks": []}))
