"""The controller's minute with alerts that are of some models only."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import Raw

from fairlead.app.compose import open_context
from fairlead.app.follow_up import FollowUp
from fairlead.core.event import AlertQuieted, AlertRaised, AliasMoved, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.operations.recounts import recount
from fairlead.testing.registry import MemoryRegistry

AIMED = """
alerting:
  defaults: false
  alerts: [{name: errors, condition: "error_rate > 5%", severity: high, models: [stay, moon-*]}]
"""


def started(tmp_path: Path, text: str) -> tuple[Context, FollowUp]:
    """A controller over a home with two models and these settings, as a start reads them."""
    config = tmp_path / "fairlead.yaml"
    config.write_text(text)
    context = replace(open_context(tmp_path / "home", config), open_registry=MemoryRegistry)
    if not list(context.journal.read(kinds=("version_registered",))):
        for name in ("stay", "taxi"):
            context.journal.append(
                [VersionRegistered(name, 1, "b" * 64, "july"), AliasMoved(name, "champion", 1, None)],
                actor="ana",
                at=time.time() - 86_400.0,
            )
    return context, FollowUp(context, config, "")


def failing(model: str) -> list[Prediction]:
    """Requests of the last minute, of which half failed."""
    at = time.time() - 30.0
    return [
        Prediction(
            f"{model}{place}", model, 1, "champion", f"u{place}", 1.0, at, at, Raw(b"{}"), 0, 0.5, 20.0,
            status=500 if place % 2 else 200,
        )
        for place in range(200)
    ]  # fmt: skip


def test_an_alert_is_raised_for_the_models_that_it_is_aimed_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two models fail alike: one is told of, and of the other nothing is looked at; at the start the log says who is
    not there."""
    with caplog.at_level(logging.WARNING, "fairlead.conditions"):
        context, follow_up = started(tmp_path, AIMED)
    assert "errors is aimed at stay, moon-*: moon-* is not registered" in caplog.messages
    follow_up.observe([*failing("stay"), *failing("taxi")], ())
    follow_up.tick()
    follow_up.close()
    facts = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, AlertRaised)]
    assert [(fact.model, fact.alert) for fact in facts] == [("stay", "errors")]
    assert [(one.model, one.name) for one in alerts(context).conditions] == [("stay", "errors")]


def quieted(context: Context) -> list[tuple[str, str, str]]:
    """Which alerts of which models are over, and why."""
    facts = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, AlertQuieted)]
    return [(fact.model, fact.alert, fact.reason) for fact in facts if fact.recovered]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alerting: {defaults: false}", "no longer in the settings"),
        (AIMED.replace("stay, moon-*", "taxi"), "the settings no longer aim it at stay"),
        (AIMED.replace("name: errors", "name: failures"), "no longer in the settings"),
    ],
)
def test_an_alert_that_is_looked_at_no_more_is_over(tmp_path: Path, text: str, why: str) -> None:
    """Removed, renamed, or aimed elsewhere, it would stand for ever: at the next start's first look it is ended, with
    the reason, once, though nothing else is stated; what no condition raised stays, and all of it is replayed."""
    context, follow_up = started(tmp_path, AIMED)
    follow_up.observe(failing("stay"), ())
    follow_up.tick()
    follow_up.close()
    told = AlertRaised("stay", "harmful-drift", "critical", "Harm", "AUROC fell", "ana", "harmful-drift.md", 5.0)
    context.journal.append([told], actor="respond", at=time.time())
    assert quieted(context) == []
    for _ in range(2):
        context, follow_up = started(tmp_path, text)
        follow_up.tick()
        follow_up.tick()
        follow_up.close()
        assert quieted(context) == [("stay", "errors", why)]
    assert [one.alert for one in alerts(context).standing if one.model == "stay"] == ["harmful-drift"]
    again = recount(context, "stay", "alert")
    assert [one.state for one in again.found] == ["unproven"], "what was written by hand has no evidence"
    assert again.kinds[0].same == 2


def test_an_alert_that_is_still_stated_goes_on_standing(tmp_path: Path) -> None:
    """A restart with the same settings ends nothing."""
    context, follow_up = started(tmp_path, AIMED)
    follow_up.observe(failing("stay"), ())
    follow_up.tick()
    follow_up.close()
    _, follow_up = started(tmp_path, AIMED)
    follow_up.tick()
    follow_up.close()
    assert quieted(context) == []
