"""What a person does about alerts: it is written down, it holds, and what is typed wrongly is one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import AlertRaised, IncidentOpened
from fairlead.core.facts_act import AlertAcknowledged
from fairlead.errors import NotFound, UsageError
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.operations.incidents import acknowledge_incident, show_incident
from fairlead.operations.silences import acknowledge, end_silence, silence, silences
from fairlead.testing.clock import ManualClock


@pytest.fixture
def home(tmp_path: Path) -> Context:
    """A home in which an alert stands."""
    context = replace(open_context(tmp_path / "home"), clock=ManualClock(time.time()), actor="ana")
    fact = AlertRaised("shop", "errors", "high", "It fails", "error_rate is 12%", "serving", "r.md", 5.0)
    context.journal.append([fact], actor="respond", at=context.clock.now())
    return context


def test_a_silence_holds_for_its_time(home: Context) -> None:
    """It is listed, and what it holds back says so; afterwards neither."""
    made = silence(home, "err*", 3_600.0, "moving house", "shop")
    assert silences(home) == (made,)
    (stands,) = alerts(home).standing
    assert stands.held.endswith("by ana: moving house")
    assert isinstance(home.clock, ManualClock)
    home.clock.advance(3_600.0)
    assert silences(home) == ()
    assert alerts(home).standing[0].held == ""


def test_a_silence_can_be_ended(home: Context) -> None:
    """Once."""
    made = silence(home, "*", 3_600.0, "moving house")
    assert end_silence(home, made.id, "done") == made
    assert silences(home) == ()
    with pytest.raises(NotFound, match="alerts silences"):
        end_silence(home, made.id)


def test_who_works_on_an_alert_is_shown(home: Context) -> None:
    """Until the time is up."""
    fact = acknowledge(home, "shop", "errors", "restarting", 600.0)
    assert fact.until == home.clock.now() + 600.0
    assert alerts(home).standing[0].acknowledged == "ana works on it: restarting"
    assert isinstance(home.clock, ManualClock)
    home.clock.advance(601.0)
    assert alerts(home).standing[0].acknowledged == ""


@pytest.mark.parametrize(
    ("act", "error", "said"),
    [
        (lambda home: silence(home, " ", 60.0, "why"), UsageError, "needs the alerts' name"),
        (lambda home: silence(home, "x", 60.0, " "), UsageError, "--reason"),
        (lambda home: silence(home, "x", 0.0, "why"), UsageError, "--for"),
        (
            lambda home: silence(home, "harmful-drif", 60.0, "why"),
            NotFound,
            "'harmful-drif': did you mean harmful-drift",
        ),
        (lambda home: silence(home, "zz*", 60.0, "why"), NotFound, "there is harmful-drift, degraded"),
        (lambda home: silence(home, "x", 1e9, "why"), UsageError, "up to 30d"),
        (lambda home: silence(home, "x", float("nan"), "why"), UsageError, "--for"),
        (lambda home: acknowledge(home, "shop", "errors", seconds=0.0), UsageError, "--for"),
        (lambda home: acknowledge(home, "shop", "other"), NotFound, "errors does"),
        (lambda home: acknowledge(home, "none", "errors"), NotFound, "none does"),
    ],
)
def test_what_is_wrong_is_told(home: Context, act: Callable[[Context], object], error: type, said: str) -> None:
    """And nothing is written."""
    before = home.journal.verify()
    with pytest.raises(error, match=said):
        act(home)
    assert home.journal.verify() == before


def opened(home: Context, identity: str, alert: str, window: str = "") -> None:
    """An incident of the model."""
    fact = IncidentOpened("shop", identity, "high", "It fails", "model", "12%", alert=alert, window=window)
    home.journal.append([fact], actor="respond", at=home.clock.now())


@pytest.mark.parametrize("alert", ["errors", "incident-unacknowledged:inc-1:1"])
def test_an_acknowledged_alert_is_an_acknowledged_incident(home: Context, alert: str) -> None:
    """Its own alert's, or that nobody works on it; another incident of the model goes on."""
    opened(home, "inc-1", "errors")
    opened(home, "inc-2", "other")
    late = AlertRaised("shop", "incident-unacknowledged:inc-1:1", "high", "Nobody", "late", "ana", "r.md", 6.0)
    home.journal.append([late], actor="respond", at=home.clock.now())
    acknowledge(home, "shop", alert, "restarting")
    first = show_incident(home, "inc-1")
    assert (first.state, first.timeline[-1].text, first.timeline[-1].actor) == ("acknowledged", "restarting", "ana")
    assert show_incident(home, "inc-2").state == "open"


def test_an_acknowledged_incident_is_its_alerts_acknowledged(home: Context) -> None:
    """Those that stand: the page calls nobody else. Of an incident of a window it is the harm's."""
    harm = AlertRaised("shop", "harmful-drift", "critical", "Harm", "it fell", "ana", "r.md", 6.0)
    home.journal.append([harm], actor="respond", at=home.clock.now())
    opened(home, "inc-1", "", window="2026-W05")
    acknowledge_incident(home, "inc-1", "I look at it")
    seen = [entry.fact for entry in home.journal.read() if isinstance(entry.fact, AlertAcknowledged)]
    assert [(fact.alert, fact.note) for fact in seen] == [("harmful-drift", "I look at it")]
    assert {one.alert for one in alerts(home).standing if one.acknowledged} == {"harmful-drift"}


def test_nobody_silences_a_model_that_there_is_not(home: Context) -> None:
    """A slip would keep nothing quiet, and say that it does."""
    with pytest.raises(NotFound, match="there is no model 'nope'"):
        silence(home, "*", 60.0, "moving house", "nope")
    assert silences(home) == ()
