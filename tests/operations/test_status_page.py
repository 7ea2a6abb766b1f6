"""The status page: what everybody may know, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from fairlead.app.compose import open_context
from fairlead.config.incidents import Incidents
from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.core.event import AlertQuieted, AlertRaised, IncidentNoted, IncidentOpened, VersionRegistered
from fairlead.core.facts_act import ActionTaken
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.operations.context import Context
from fairlead.operations.status_page import failing_alerts, status, write_status
from fairlead.ports.routes import WorkerState

SECRET = "adr of the feed bookings-7 at https://internal.example went from euros to cents"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home that serves one model."""
    opened = open_context(tmp_path / "home")
    opened.journal.append([VersionRegistered("hotel", 3, "d" * 64, "drawn")], actor="ana", at=1.0)
    opened.board.publish(RouteTable(1, {"hotel": ModelRoute((Arm("champion", 3, 1.0),), {3: "d" * 64})}))
    opened.board.report(WorkerState(0, 1, 1, 0.0, opened.clock.now()))
    return opened


def begin(context: Context, severity: str = "high", category: str = "data", alert: str = "data-quality") -> None:
    """An incident of an alert that stands, with words that are not for everybody."""
    now = context.clock.now()
    context.journal.append([AlertRaised("hotel", alert, severity, SECRET, SECRET, "ana", "r")], actor="watch", at=now)
    opened = IncidentOpened(
        "hotel",
        "inc-1",
        severity,
        f"<b>{SECRET}</b>",
        category,
        SECRET,
        "ana",
        now - 60.0,
        None,
        now,
        "",
        alert,
    )
    context.journal.append([opened], actor="respond", at=now)


def test_a_model_is_well_until_an_incident_is_open_and_again_once_it_is_resolved(context: Context) -> None:
    """Operational, degraded, fixing, resolved: each as the journal has it."""
    assert [(one.model, one.state) for one in status(context).models] == [("hotel", "operational")]
    begin(context)
    assert status(context).state == "degraded"
    now = context.clock.now()
    context.journal.append([ActionTaken("hotel", "inc-1", "fix_data", "k", automatic=True)], actor="respond", at=now)
    assert [one.state for one in status(context).incidents] == ["fixing"]
    context.journal.append([IncidentNoted("hotel", "inc-1", SECRET, "resolved")], actor="ana", at=now)
    found = status(context)
    assert found.state == "operational"
    assert [one.state for one in found.incidents] == ["resolved"]


def test_who_does_not_answer_is_an_outage(context: Context) -> None:
    """No worker; slow machines still answer, however grave the incident is."""
    begin(context, "critical", "infrastructure")
    assert status(context).state == "degraded"
    context.board.report(WorkerState(0, 1, 1, 0.0, context.clock.now() - 60.0))
    assert "not answered" in status(context).models[0].message


def test_failing_requests_are_an_outage(context: Context) -> None:
    """By what stands in, and by what is stated of the error rate where it pages; a milder one degrades."""
    begin(context, "high", "infrastructure", "p99_latency:high")
    assert status(context).state == "degraded"
    assert "answers may take longer than usual" in status(context).models[0].message
    raised = AlertRaised("hotel", "error_rate:high", "high", "t", "r", "ana", "r")
    joined = IncidentNoted("hotel", "inc-1", "Alert joined", alert="error_rate:high")
    context.journal.append([raised, joined], actor="respond", at=context.clock.now())
    assert status(context).state == "outage"
    assert "some requests failed" in status(context).models[0].message
    over = AlertQuieted("hotel", "error_rate:high", "they are answered again", recovered=True)
    context.journal.append([over], actor="watch", at=context.clock.now())
    assert status(context).state == "degraded"
    paging = '{name: e, condition: "error_rate > 5%", severity: high}'
    text = f'alerting: {{alerts: [{paging}, {{name: m, condition: "error_rate > 1%"}}]}}'
    assert failing_alerts(parse_settings(text)) == {"e", "refused_share:high"}


def test_no_harm_is_claimed_that_nobody_has_seen(context: Context) -> None:
    """Urgent broken data are told as what they are; once labels show harm, harm is told; what is over and did none is
    told as having been."""
    begin(context)
    (told,) = status(context).incidents
    assert (
        "part of the data behind the answers has been arriving damaged; no answer is known to be worse" in told.message
    )
    quiet = AlertQuieted("hotel", "data-quality", "benign", recovered=True)
    context.journal.append([quiet], actor="watch", at=context.clock.now())
    assert (status(context).state, len(status(context).incidents)) == ("operational", 1)
    harm = IncidentNoted("hotel", "inc-1", "Still harmful", alert="harmful-drift")
    context.journal.append([harm], actor="respond", at=context.clock.now())
    assert status(context).state == "degraded"
    assert "some answers may be less reliable than usual" in status(context).incidents[0].message


def test_what_is_mild_is_nobodys_news_until_it_harms(context: Context) -> None:
    """A medium incident is not on the page, open or over; harm puts it there."""
    begin(context, "medium")
    assert (status(context).state, status(context).incidents) == ("operational", ())
    harm = IncidentNoted("hotel", "inc-1", "Harmful", alert="harmful-drift", severity="high")
    context.journal.append([harm], actor="respond", at=context.clock.now())
    assert (status(context).state, len(status(context).incidents)) == ("degraded", 1)


def test_nothing_internal_is_on_the_page(context: Context) -> None:
    """No title, reason, owner, id, version or script; what is shown is escaped."""
    begin(context)
    path = write_status(context)
    text, data = path.read_text(), path.with_suffix(".json").read_text()
    for word in ("adr", "bookings", "internal.example", "ana", "inc-1", "version 3", "<b>", "<script", "http"):
        assert not re.search(rf"\b{re.escape(word)}", text.partition("</style>")[2]), word
        assert word not in data, word
    assert json.loads(data)["state"] == "degraded"
    assert "Degraded" in text


def test_a_page_that_cannot_be_written_is_said(context: Context, tmp_path: Path) -> None:
    """One line with the path."""
    (tmp_path / "file").write_text("")
    settings = changed(Settings(), incidents=Incidents(status_page=str(tmp_path / "file" / "index.html")))
    with pytest.raises(StateError, match="cannot be written"):
        write_status(replace(context, settings=settings))
