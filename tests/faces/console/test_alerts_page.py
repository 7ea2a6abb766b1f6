"""The page of alerts: what stands, who is told, what the budget has left, and what is kept quiet."""

from __future__ import annotations

from typing import Any

from fairlead.core.outbox import Silence
from fairlead.core.verdict import Outcome
from fairlead.faces.console import build_console
from fairlead.operations.aims import Aim
from fairlead.operations.alerts import AlertsView, Budget, ConditionState, StandingAlert, Undelivered

VIEW = AlertsView(
    standing=(
        StandingAlert("hotel-cancellation", "harmful-drift", "critical", 5.0, "Harmful <drift>", "AUROC fell", "rev"),
        StandingAlert("", "log-refused", "high", 6.0, "The log", "no room", "ops", held="silenced: a campaign"),
    ),
    conditions=(ConditionState("shop", "errors", "error_rate > 5%", Outcome.UNDECIDED, "not enough data yet", 7.0),),
    budgets=(Budget("hotel-cancellation", 1, 4, 30 * 86_400.0, 0.25),),
    stale=True,
    undelivered=(Undelivered("pager", "Harmful drift", "critical", 3, 60.0, "connection refused"),),
    silences=(Silence("a1", "", ("drift:*",), 0.0, 7_200.0, "a campaign", "anna"),),
    aims=(Aim("errors", ("shop", "shp"), ("shp",), "errors is aimed at shop, shp: shp is not registered"),),
)  # fmt: skip


def test_everything_about_alerts_stands_on_one_page(told: Any, call: Any) -> None:
    """With why somebody is not told, what waits for a dead channel, and the words that end a silence; escaped."""
    console = call(build_console(told.live.read, alerts=lambda: VIEW))
    text = console.get("/alerts").text
    for part in (
        "2 alerts stand", "Harmful &lt;drift&gt;", "held: silenced: a campaign", "connection refused", "3 attempts",
        "0.25", "fairlead alerts unsilence a1", "error_rate &gt; 5%", "not enough data yet", "No controller looks",
        "errors is aimed at shop, shp: shp is not registered",
        'href="/models/hotel-cancellation"',
    ):  # fmt: skip
        assert part in text, part
    assert 'href="/alerts"' in console.get("/models/hotel-cancellation").text
    assert "What stands" in console.get("/fragments/alerts").text


def test_where_nothing_stands_the_page_says_so(told: Any, call: Any) -> None:
    """And a console that reads no alerts has no such page, and no way to it."""
    quiet = call(build_console(told.live.read, alerts=lambda: AlertsView((), (), ()))).get("/alerts").text
    assert "all quiet" in quiet
    assert "Nothing stands" in quiet
    bare = call(build_console(told.live.read))
    assert bare.get("/alerts").status_code == 404
    assert 'href="/alerts"' not in bare.get("/").text
