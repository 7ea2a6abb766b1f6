"""Requests fail on a home whose settings state no alert: somebody is called, and the status page says outage."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.app.release.conftest import Trial

from fairlead.core.facts_act import NoticeMade
from fairlead.testing.callers import Callers
from fairlead.testing.receivers import pagerduty_receiver

KEY = "0123456789abcdef0123456789abcdef"
SETTINGS = """
trust: [python]
incidents: {{automatic: false}}
alerting:
  group_wait: 1s
  channels: [{{name: pager, type: pagerduty, routing_key: {key}, url: "http://127.0.0.1:{port}/v2/enqueue"}}]
"""


@pytest.mark.slow
def test_an_outage_ends_in_a_delivered_page(start: Callable[..., Any]) -> None:
    """A model that begins to fail every third request: one page of severity high, an incident, and
    `outage` for everybody to read."""
    with pagerduty_receiver() as pager:
        system = start(settings=SETTINGS.format(key=KEY, port=pager.server_port))
        Trial(system, "tires")
        with Callers(system.port) as callers:
            system.wait(lambda: any(one.status >= 500 for one in list(callers.answers)), 120.0)
            system.wait(lambda: pager.taken, 150.0)
            _, body = pager.taken[0]
            assert body["event_action"] == "trigger"
            assert "error_rate > 5%" in json.dumps(body)
            page = system.home / "status" / "index.json"
            system.wait(lambda: page.is_file() and json.loads(page.read_text())["state"] == "outage", 60.0)
        made = [fact for fact in system.facts("notice_made") if isinstance(fact, NoticeMade)]
        assert [fact.pages for fact in made].count(True) == 1
        (opened,) = system.facts("incident_opened")
        assert (opened.alert, opened.severity) == ("error_rate:high", "high")
