"""The same with a person deciding at each step: nothing is done that nobody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.operations.incidents import show_incident

World = Any  # see conftest
BY_HAND = "{automatic: false, acknowledge: {medium: 2s, high: 2s, critical: 2s}, escalate: [{after: 0s}]}"


@pytest.mark.slow
def test_a_null_burst_by_hand(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """Somebody is called, acknowledges, triages, acts, tells people, gives work out and says that it is over."""
    home = world(BY_HAND)
    with home.traffic():
        home.wait(lambda: home.windows() >= 2)
    fault = time.time()
    with home.traffic(nulls=0.5):
        found = home.wait(lambda: home.incident(category="data"))
        home.wait(lambda: any("unacknowledged" in fact.alert for fact in home.facts("alert_raised")))
        assert "is acknowledged" in home.run("incident", "acknowledge", found.id, "I look at the booking feed")
        home.wait(lambda: any("unacknowledged" in fact.alert for fact in home.facts("alert_quieted")))
        assert home.incident(category="data").triage is None
        at = datetime.fromtimestamp(fault, UTC).isoformat()
        home.run("timeline", "note", "the booking feed has a new schema", "--source", "bookings", "--at", at)
        said = home.run("incident", "triage", found.id)
        assert "recommended: fix data" in said
        assert home.incident(category="data").actions == ()
        home.run("incident", "act", found.id, "fix_data", "--reason", "the feed's team is on it")
    with home.traffic():
        seen = home.windows()
        home.wait(lambda: home.windows() >= seen + 3)
    assert home.state(found.id) != "resolved"
    assert "ask for a review" in home.run("incident", "message", found.id, "users")
    home.run("incident", "message", found.id, "users", "--sent")
    home.run("incident", "item", found.id, "Agree on schema changes", "--owner", "feeds", "--due", "2031-01-02")
    home.run("incident", "item", found.id, "Agree on schema changes", "--done")
    home.run("incident", "resolve", found.id, "three windows without nulls")
    done = show_incident(home.context, found.id)
    tell("by hand", done, fault)
    assert [one.automatic for one in done.actions] == [False]
    text = home.run("incident", "postmortem", done.id)
    for line in (
        "Upstream: bookings: the booking feed has a new schema",
        "- [x] Agree on schema changes - Owner: @feeds - Due: 2031-01-02",
        "- [x] End users, where affected, told",
        "Acknowledged",
        "three windows without nulls",
    ):
        assert line in text, text
