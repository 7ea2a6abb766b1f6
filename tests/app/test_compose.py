"""The composition root: what a home folder and its settings become."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace as replaced
from pathlib import Path

import pytest

from fairlead.adapters.command_trainer import CommandTrainer
from fairlead.app.compose import alert_policy, open_context, open_notifiers, open_trainer, retrain_policy
from fairlead.config.alerting import Alerting, Channel
from fairlead.config.fields import Secret, Span
from fairlead.config.load import parse_settings
from fairlead.config.paging_plan import paging_plan
from fairlead.config.retraining import Retraining
from fairlead.config.settings import Settings
from fairlead.core.event import StatusChanged
from fairlead.errors import SettingsError, StateError
from fairlead.operations.links import console_of, runbooks_of
from fairlead.testing.notifier import NOTICE


def test_a_home_is_made_where_there_is_none(tmp_path: Path) -> None:
    """It is usable at once, and empty."""
    context = open_context(tmp_path / "deep" / "home")
    assert context.home.is_dir()
    assert context.journal.verify() == 0
    assert context.board.current().generation == 0
    assert context.open_log().poll() == ([], [])


def test_a_home_is_one_place_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is that of when it was opened."""
    monkeypatch.chdir(tmp_path)
    context = open_context(Path("home"))
    monkeypatch.chdir("/")
    assert context.home == tmp_path / "home"
    context.journal.append([StatusChanged("m", 1, "staging")], actor="ana", at=1.0)
    assert open_context(tmp_path / "home").journal.verify() == 1


@pytest.mark.parametrize("place", ["file", "file/home"])
def test_a_home_that_cannot_be_is_told(tmp_path: Path, place: str) -> None:
    """A file in its place, or on the way to it."""
    (tmp_path / "file").write_text("dear")
    with pytest.raises(StateError, match="pass another with --home"):
        open_context(tmp_path / place)
    assert (tmp_path / "file").read_text() == "dear"


def test_the_settings_beside_one_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fairlead.yaml` where one stands, its overlay for an environment; a named file goes before it."""
    monkeypatch.chdir(tmp_path)
    assert open_context(tmp_path / "home").settings == Settings()
    (tmp_path / "fairlead.yaml").write_text("project: here\n")
    (tmp_path / "fairlead.night.yaml").write_text("project: tonight\n")
    (tmp_path / "other.yaml").write_text("project: there\n")
    assert open_context(tmp_path / "home").settings.project == "here"
    assert open_context(tmp_path / "home", environment="night").settings.project == "tonight"
    assert open_context(tmp_path / "home", Path("other.yaml")).settings.project == "there"


def test_settings_are_read_before_anything_is_made(tmp_path: Path) -> None:
    """A wrong file leaves no home behind."""
    (tmp_path / "f.yaml").write_text("projet: a\n")
    with pytest.raises(SettingsError, match="did you mean 'project'"):
        open_context(tmp_path / "home", tmp_path / "f.yaml")
    assert not (tmp_path / "home").exists()


def test_the_registry_is_opened_when_it_is_used(tmp_path: Path) -> None:
    """Opening a home loads no MLflow: verbs that do not need it stay quick."""
    program = (
        "import sys; from pathlib import Path; from fairlead.app.compose import open_context;"
        "open_context(Path(sys.argv[1])); sys.exit('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "home")], check=False, env=dict(os.environ))
    assert done.returncode == 0
    assert not (tmp_path / "home" / "registry").exists()


def test_channels_take_their_severities() -> None:
    """By name, each with those it was given."""
    alerting = Alerting(
        channels=(
            Channel("here", "console", severity=("high",)),
            Channel("pager", "webhook", Secret("https://hooks.invalid/x"), severity=("critical",)),
        )
    )
    opened = open_notifiers(alerting)
    assert {notifier.name: severities for notifier, severities in opened.items()} == {
        "here": ("high",),
        "pager": ("critical",),
    }


def test_a_webhook_needs_an_address() -> None:
    """The channel is named."""
    with pytest.raises(SettingsError, match="'pager' is a webhook without a url"):
        open_notifiers(Alerting(channels=(Channel("pager", "webhook"),)))


def test_a_trainer_needs_a_command(tmp_path: Path) -> None:
    """Without one nothing is trained; a wrong one is told when it is composed."""
    assert open_trainer(Settings(), tmp_path) is None
    whole = Settings(retraining=Retraining(command="python t.py --data {dataset} --out {output}"))
    assert isinstance(open_trainer(whole, tmp_path), CommandTrainer)
    with pytest.raises(SettingsError, match="lacks"):
        open_trainer(parse_settings("retraining: {command: python t.py}"), tmp_path)


def test_what_a_command_writes_lies_beside_the_workers_log(tmp_path: Path) -> None:
    """Under a number that no worker has, and the same reader finds it."""
    context = open_context(tmp_path / "home")
    from fairlead.core.record import OutcomeRecord

    writer = context.open_writer()
    writer.outcomes([OutcomeRecord("q1", 1, 1.0, 1.0)])
    writer.close()
    assert [record.request_id for record in context.open_log().poll()[1]] == ["q1"]


def test_each_type_of_channel_is_opened_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pager's key may come from the environment; what collects is the outbox."""
    text = """
alerting:
  channels:
    - {name: pager, type: pagerduty, url: "http://127.0.0.1:9/enqueue"}
    - {name: team, type: slack, webhook: "http://127.0.0.1:9/hook"}
    - {name: mail, type: email, recipients: [a@example.com]}
    - {name: "day/ly", type: email, recipients: [a@example.com], frequency: daily}
    - {name: manager, type: alertmanager, url: "http://127.0.0.1:9"}
    - {name: many, type: apprise, urls: ["json://127.0.0.1:9/x"]}
"""
    monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "hush")
    found = list(open_notifiers(parse_settings(text).alerting))
    assert [type(one).__name__ for one in found] == [
        "PagerDutyNotifier",
        "SlackNotifier",
        "MailNotifier",
        "MailNotifier",
        "AlertmanagerNotifier",
        "AppriseNotifier",
    ]
    with pytest.raises(StateError, match=r"127\.0\.0\.1 cannot be reached") as caught:
        found[0].send(NOTICE)
    assert "hush" not in str(caught.value)


def test_links_lead_to_the_console_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    """At the port that it has; runbooks are its pages."""
    context = open_context(tmp_path / "home")
    assert (console_of(context), runbooks_of(context)) == ("http://127.0.0.1:8081", "http://127.0.0.1:8081/runbooks")
    assert console_of(replaced(context, control_port=9000)) == "http://127.0.0.1:9000"
    text = "alerting: {dashboard: 'https://lead.example.com/', runbooks: docs/runbooks}"
    stated = replaced(context, settings=parse_settings(text))
    assert (console_of(stated), runbooks_of(stated)) == ("https://lead.example.com", "docs/runbooks")
    policy = alert_policy(context.settings.alerting, "ana", runbooks_of(context))
    assert policy.runbook("psi") == "http://127.0.0.1:8081/runbooks/psi.md"


def test_budget_and_triggers_reach_the_policies() -> None:
    """What is stated, and the defaults of what is not."""
    settings = parse_settings("alerting: {budget: {pages: 3, per: 7d}}\nretraining: {triggers: [{schedule: daily}]}")
    policy = alert_policy(settings.alerting, "ana")
    assert (policy.owner, policy.pages, policy.repeat_seconds) == ("ana", None, 7 * 86_400.0)
    plan = paging_plan(settings.alerting, [])
    assert (plan.pages, plan.pages_seconds, plan.each) == (3, 7 * 86_400.0, True)
    train = retrain_policy(settings.retraining)
    assert (train.at_most_every_seconds, train.schedule_every_seconds) == (30 * 86_400.0, None)
    assert [one.schedule is not None for one in train.triggers] == [True]
    stated = retrain_policy(Retraining(at_most_every=Span(60.0)))
    assert (stated.at_most_every_seconds, stated.schedule_every_seconds) == (60.0, 60.0)
