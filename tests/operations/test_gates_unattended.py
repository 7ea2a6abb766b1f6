"""What a gate that runs by itself knows of the channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import AnyFact
from fairlead.core.facts_act import NoticeTried, UpstreamChanged
from fairlead.operations.context import Context
from fairlead.operations.gates import PROOF_DAYS, unattended
from fairlead.testing.clock import ManualClock

DAY = 86_400.0
SETTINGS = """
alerting:
  channels:
    - {name: pager, type: pagerduty, routing_key: k}
    - {name: chat, type: slack, webhook: "https://chat.example/x"}
    - {name: hook, type: webhook, url: "https://hook.example/x"}
    - {name: siren, type: webhook, url: "https://siren.example/x", severity: [critical]}
    - {name: router, type: alertmanager, url: "http://127.0.0.1:9093"}
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home of channels of several types, on day 100."""
    home = open_context(tmp_path / "home", environment="")
    return replace(home, settings=parse_settings(SETTINGS), clock=ManualClock(100 * DAY))


def tried(channel: str, delivered: bool, reason: str = "") -> NoticeTried:
    return NoticeTried("hotel", "n-1", channel, delivered, 1, reason)


def on(context: Context, day: float, *facts: AnyFact) -> None:
    context.journal.append(facts, actor="tell", at=day * DAY)


def test_the_newest_real_notice_of_late_proves_a_channel(context: Context) -> None:
    """Each channel by its last attempt; one that is too long ago, or was made by other settings, proves nothing."""
    on(context, 60.0, tried("router", True))
    on(context, 71.0, tried("hook", True), tried("chat", True), tried("pager", False, "503"))
    assert unattended(context).told == {"hook": "", "chat": "", "pager": "503"}
    on(context, 80.0, tried("chat", False, "404"), tried("pager", True))
    assert unattended(context).told == {"hook": "", "chat": "404", "pager": ""}
    on(context, 90.0, UpstreamChanged("", "settings", "models, gates changed with this start", 1.0))
    assert len(unattended(context).told) == 3
    on(context, 91.0, UpstreamChanged("", "settings", "alerting, gates changed with this start", 1.0))
    assert unattended(context).told == {}
    on(context, 92.0, tried("hook", True))
    assert unattended(replace(context, clock=ManualClock((92 + PROOF_DAYS) * DAY))).told == {"hook": ""}
    assert unattended(replace(context, clock=ManualClock((93 + PROOF_DAYS) * DAY))).told == {}


def test_who_calls_people_is_not_asked(context: Context) -> None:
    """PagerDuty, what passes on to others, and whatever takes nothing but what is critical."""
    assert unattended(context).quiet == {"chat", "hook"}
