"""Runbooks: from the settings as they are, and tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.main import get_command

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.config.watchpoints import rollback_watchpoint, stand_ins, watchpoints
from fairlead.core import alarm, group_alarms
from fairlead.core.drift_tests import RUNBOOK as DRIFT_TEST
from fairlead.core.runbook import NAME
from fairlead.errors import NotFound
from fairlead.faces.cli.app import build as build_cli
from fairlead.operations.context import Context
from fairlead.operations.runbooks import build, rehearse, runbook_text, runbooks
from fairlead.testing.reports import benign_report, harmful_report, window_report

SETTINGS = """
models: {hotel: {}}
alerting:
  owner: revenue
  channels:
    - {name: desk, type: console}
    - {name: pager, type: console, severity: [critical]}
  alerts:
    - {name: high_error_rate, condition: "error_rate > 5%", severity: high, message: Too many errors, owner: serving}
incidents: {acknowledge: {high: 7m}, escalate: [{after: 5m, to: [pager]}]}
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home with these settings."""
    return replace(open_context(tmp_path / "home"), settings=parse_settings(SETTINGS))


def test_a_page_says_what_is_configured(context: Context) -> None:
    """Condition, clock, owner, channels, escalation and the commands, with the model's own name."""
    folder, books = build(context)
    page = (folder / "high_error_rate.md").read_text()
    for part in (
        "# Too many errors",
        "`error_rate > 5%`",
        "| high | 7 min | serving | desk |",
        "after 12 min",
        "pager",
    ):
        assert part in page, part
    assert "`fairlead why hotel`" in page
    assert "desk, pager" in (folder / "harmful-drift.md").read_text()
    listed = (folder / "README.md").read_text()
    assert all(f"]({book.name}.md)" in listed for book in books)
    assert listed.count("| never |") == len(books)


OWNED = """
models: {income: {owner: credit-team}, churn: {owner: crm}, hotel: {}}
alerting:
  owner: ml-platform
  alerts:
    - {name: slow_income, condition: "p99_latency > 50ms", severity: medium, models: [income]}
    - {name: slow_two, condition: "p99_latency > 90ms", severity: medium, models: [income, churn]}
    - {name: stated, condition: "p99_latency > 99ms", severity: medium, models: [income], owner: serving}
"""


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("harmful-drift", "credit-team (income), crm (churn), ml-platform (all others)"),
        ("slow_income", "credit-team"),
        ("slow_two", "credit-team (income), crm (churn)"),
        ("stated", "serving"),
        ("log-refused", "ml-platform"),
    ],
)
def test_a_page_names_whom_its_alerts_go_to(context: Context, name: str, owner: str) -> None:
    """The owners of the models that it may be raised of; where no model is meant, the home's."""
    books = {one.name: one for one in runbooks(replace(context, settings=parse_settings(OWNED)))}
    assert books[name].owner == owner


def test_every_command_of_every_page_is_one(context: Context) -> None:
    """What a page tells people to type the command line has."""
    app = build_cli(lambda *_: context, "0")
    root = get_command(app)
    for book in runbooks(context):
        for step in book.steps:
            words = step.command.split()[1:]
            if not words or words[0] == "up":
                continue
            command = root.commands[words[0]]  # type: ignore[attr-defined]
            if hasattr(command, "commands") and len(words) > 1:
                assert words[1] in command.commands, step.command


def test_rehearsals_are_journalled_and_shown(context: Context) -> None:
    """On a home where nothing serves some steps work and some do not; each says why; the pages say when."""
    tried = rehearse(context)
    found = {one.step: one for one in tried}
    assert found["alerts"].passed
    assert found["disk"].passed
    assert not found["workers"].passed
    assert found["workers"].reason == "no worker is running"
    assert not found["trainer"].passed
    assert len(list(context.journal.read(kinds=["procedure_rehearsed"]))) == len(tried)
    folder, _ = build(context)
    assert "did not work: no worker is running" in (folder / "high_error_rate.md").read_text()
    assert "| never |" not in (folder / "README.md").read_text()


def test_a_page_for_several_models_names_none(tmp_path: Path) -> None:
    """With two models the command has a place for the name."""
    two = replace(open_context(tmp_path / "two"), settings=parse_settings("models: {hotel: {}, flights: {}}"))
    assert any(step.command == f"fairlead drift {NAME}" for book in runbooks(two) for step in book.steps)


STATED = """
alerting: {alerts: [{name: psi}, {name: high_errors, condition: "error_rate > 5%", runbook: errors}]}
monitoring: {metrics: [{name: p50_latency, alert_threshold: ">500ms"}]}
pipeline: {rollback: {trigger: "error_rate > 10%", automatic: false}}
"""


def names(text: str) -> set[str]:
    """The runbook of every alert that the code can raise under some settings."""
    settings = parse_settings(text)
    constants = {value for key, value in vars(alarm).items() if key.isupper() and isinstance(value, str)}
    found = constants | {group_alarms.GROUP, group_alarms.FAIRNESS, DRIFT_TEST}
    back = rollback_watchpoint(settings)
    points = [*watchpoints(settings), *stand_ins(settings), *([back] if back else [])]
    reports = (window_report(0), harmful_report(1), benign_report(2))
    looks = [one for report in reports for one in alarm.alarms_of(report)]
    found |= {one.runbook or alarm.runbook_of(one.alert) for one in looks}
    return found | {point.runbook or alarm.runbook_of(point.key) for point in points}


@pytest.mark.parametrize("text", ["{}", STATED, "alerting: {defaults: false}"])
def test_every_alert_has_a_page(tmp_path: Path, text: str) -> None:
    """Whatever the code can raise, by default and as stated: the page that its link names is there."""
    home = replace(open_context(tmp_path / "home"), settings=parse_settings(text))
    for name in names(text):
        assert runbook_text(home, name).startswith("# "), name


def test_peoples_own_pages_are_shown_and_what_there_is_not_is_told(context: Context) -> None:
    """A page in the folder under a name that nothing raises; none is read from elsewhere."""
    folder, _ = build(context)
    (folder / "ours.md").write_text("# Ours")
    assert runbook_text(context, "ours") == "# Ours"
    (context.home / "secret.md").write_text("no")
    for name in ("../secret", "nothing", ""):
        with pytest.raises(NotFound, match="there is no runbook"):
            runbook_text(context, name)
