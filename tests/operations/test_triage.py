"""A triage over a home: what stands, what the windows say, and where the trouble lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import AlertQuieted, AlertRaised, AnyFact, IncidentOpened, VersionRegistered
from fairlead.core.incident import Incident
from fairlead.core.report import FeatureShift, fact_of
from fairlead.operations.context import Context
from fairlead.operations.incidents import open_incident, read_postmortem
from fairlead.operations.triage import triage
from fairlead.ports.routes import WorkerState
from fairlead.testing.reports import harmful_report, window_report

REPORT = harmful_report()
HARM = IncidentOpened(
    "hotel", "inc-1", "critical", "Harmful drift", "model", REPORT.reason, "ana", REPORT.starts_at,
    None, REPORT.judged_at, REPORT.window,
)  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home whose worker is well, and whose windows show harm by labels."""
    opened = open_context(tmp_path / "home")
    opened.board.report(WorkerState(0, 1, 0, 0.0, opened.clock.now()))
    tell(opened, VersionRegistered("hotel", 1, "d" * 64, "drawn"), fact_of(REPORT))
    return opened


def tell(context: Context, *facts: AnyFact) -> None:
    context.journal.append(facts, actor="ana", at=context.clock.now())


def slow(severity: str, key: str = "p99_latency") -> AlertRaised:
    return AlertRaised("hotel", key, severity, "p99_latency", "265 ms, where 263 ms are a breach", "ana", "p99")


def outcome(found: Incident, step: str) -> str:
    assert found.triage is not None
    return next(check.outcome.value for check in found.triage.checks if check.step == step)


@pytest.mark.parametrize(("severity", "said"), [("medium", "undecided"), ("critical", "breached")])
def test_slow_answers_do_not_explain_wrong_ones(context: Context, severity: str, said: str) -> None:
    """Labels show the harm: a latency alert is told, moves neither the category nor the advice, however grave it is,
    and leaves nothing behind once it is over."""
    tell(context, slow(severity), HARM)
    found = triage(context, "inc-1")
    assert outcome(found, "infrastructure") == said
    assert found.triage is not None
    assert (found.category, found.triage.action) == ("model", "none")
    assert "recent label" in found.triage.reason
    tell(context, AlertQuieted("hotel", "p99_latency", "it is over", recovered=True))
    assert triage(context, "inc-1").category == "model"


def test_the_metric_of_an_alert_says_what_it_speaks_of(context: Context) -> None:
    """A stated alert of latency is one of machines whatever it is called; one that is called after an error is not."""
    settings = parse_settings(
        'alerting: {alerts: [{name: tail, condition: "p99_latency > 200ms", severity: high},'
        ' {name: error_of_the_price, condition: "rmse > 5", severity: high}]}'
    )
    home = replace(context, settings=settings)
    tell(home, slow("high", "error_of_the_price"), fact_of(window_report(0)))
    tell(home, IncidentOpened("hotel", "inc-2", "high", "t", "integration", "r", alert="tail"))
    assert outcome(triage(home, "inc-2"), "infrastructure") == "holds"
    tell(home, slow("high", "tail"))
    assert outcome(triage(home, "inc-2"), "infrastructure") == "breached"


def test_what_was_cured_long_ago_is_not_blamed(context: Context) -> None:
    """Of an incident by hand without a beginning the newest windows count, in the order of time; with one, all since.
    Nothing is claimed of whom it reached."""
    nulls = FeatureShift("adr", "critical", broken="adr is null in 50 % of the rows")
    tell(context, *(fact_of(window_report(number)) for number in (2, 3)), fact_of(window_report(1, drift=(nulls,))))
    opened = open_incident(context, "hotel", "Callers complain")
    found = triage(context, opened.id)
    assert outcome(found, "panels") == "holds"
    assert found.triage is not None
    assert found.triage.action == "none"
    assert dict(found.triage.checks[1].evidence)["windows"] == "w2 to w3"
    text = read_postmortem(context, opened.id)
    assert "adr" not in text
    assert "Predictions affected: not known, for nobody said when it began." in text
    since = open_incident(context, "hotel", "Callers complain again", began_at=window_report(1).starts_at)
    assert triage(context, since.id).category == "data"
