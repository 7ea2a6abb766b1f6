"""alerts, alerts test and settings schema, as typed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from fairlead.app.compose import open_context, open_notifiers
from fairlead.config.load import parse_settings
from fairlead.config.schema import text
from fairlead.core.event import AlertQuieted, AlertRaised, canonical
from fairlead.core.facts_act import NoticeMade
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.app import build, run
from fairlead.operations.alerts import FOLDER, NAME, ConditionState
from fairlead.operations.context import Context
from fairlead.ports import Notice
from fairlead.testing.receivers import http_receiver

Typed = Callable[..., int]
SETTINGS = """
models: {{shop: {{task: binary}}}}
alerting:
  budget: {{pages: 2, per: 30d}}
  channels: [{{name: here, type: console}}, {{name: team, type: slack, webhook: "{url}"}}]
  alerts: [{{name: errors, condition: "error_rate > 5%"}}]
"""


BODY = canonical(Notice("shop", "errors", "high", "It fails", "12%", "serving", "r.md", 5.0))


def raised(alert: str, severity: str, *, paged: bool = True) -> AlertRaised:
    """A notice that went out."""
    return AlertRaised("shop", alert, severity, "It fails", "error_rate is 12%", "serving", "r.md", 5.0, paged)


def opened(tmp_path: Path, url: str = "http://127.0.0.1:9/s3cret") -> Context:
    """A home with three notices of late, one that is over, and one of long ago."""
    made = open_context(tmp_path / "home")
    settings = parse_settings(SETTINGS.format(url=url))
    now = time.time()
    made.journal.append([raised("old", "high"), AlertQuieted("shop", "old", "over", 6.0, True)], actor="x", at=1.0)
    made.journal.append(
        [
            raised("errors", "high"),
            raised("drift", "high", paged=False),
            raised("calm", "low"),
            AlertQuieted("shop", "calm", "it is over", 7.0, recovered=True),
            NoticeMade("shop", "n1", "model=shop", "high", ("shop/errors",), 1, (), Raw(BODY), pages=True),
            NoticeMade("shop", "n2", "model=shop", "medium", ("shop/drift",), 1, (), Raw(BODY)),
        ],
        actor="respond",
        at=now - 60.0,
    )
    return replace(made, settings=settings, open_notifiers=lambda: open_notifiers(settings.alerting))


def note(context: Context, at: float) -> None:
    """What the controller saw."""
    seen = [ConditionState("shop", "errors", "error_rate > 5%", Outcome.BREACHED, "error_rate is 12%", at, 1)]
    (context.home / FOLDER).mkdir(exist_ok=True)
    path = context.home / FOLDER / f"{NAME}.json"
    path.write_bytes(msgspec.json.encode(seen))
    os.utime(path, (at, at))


def typed(context: Context) -> Typed:
    """Runs a command over a home; returns its exit code."""
    app = build(lambda *_: context, "0")
    return lambda *arguments: run(app, ["--home", str(context.home), *arguments])


def test_what_stands_and_what_is_spent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is over does not stand; notices that paged are spent, and no alert is."""
    context = opened(tmp_path)
    note(context, time.time())
    assert typed(context)("alerts") == 0
    said = capsys.readouterr().out
    assert "errors" in said
    assert "calm" not in said
    assert "shop: 1 page in the last 30 days, 2 allowed" in said
    assert typed(context)("alerts", "--json") == 0
    view = json.loads(capsys.readouterr().out)
    assert [(one["alert"], one["severity"]) for one in view["standing"]] == [("drift", "high"), ("errors", "high")]
    (budget,) = view["budgets"]
    assert (budget["model"], budget["spent"], budget["allowed"], budget["per_seconds"]) == ("shop", 1, 2, 2592000.0)
    assert (budget["false_pages"], "drift 0.00" in budget["dealt"]) == (0.0, True)
    assert typed(context)("alerts", "budget") == 0
    assert "0.00 of 2 false pages spent" in " ".join(capsys.readouterr().out.split())
    assert [(one["name"], one["outcome"]) for one in view["conditions"]] == [("errors", "breached")]
    assert not view["stale"]


def test_a_controller_that_no_longer_looks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last note is old; a broken one is none."""
    context = opened(tmp_path)
    note(context, time.time() - 600.0)
    assert typed(context)("alerts") == 0
    assert "the controller has not looked for some minutes" in capsys.readouterr().out
    (context.home / FOLDER / f"{NAME}.json").write_text("{")
    assert typed(context)("alerts", "--json") == 0
    assert json.loads(capsys.readouterr().out)["conditions"] == []


def test_a_test_notice_goes_out_by_every_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says that nothing is wrong; a channel that keeps things open until it hears that they are over hears it."""
    with http_receiver() as slack:
        assert typed(opened(tmp_path, slack.url))("alerts", "test") == 0
        document, over = slack.documents
    assert "nothing is wrong" in document["text"]
    assert "RESOLVED" in over["text"]
    captured = capsys.readouterr()
    assert "channel here: delivered" in captured.out
    assert "Test of the channel" in captured.err


def test_a_channel_that_fails_is_exit_code_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with what went wrong and without its address; one that there is not is wrong usage."""
    with http_receiver() as slack:
        slack.statuses = [404]
        context = opened(tmp_path, slack.url)
        assert typed(context)("alerts", "test", "team", "--json") == 1
    (delivery,) = json.loads(capsys.readouterr().out)
    assert delivery["failure"] == "channel team: 127.0.0.1 answered 404; the notice was not delivered"
    assert typed(context)("alerts", "test", "pager") == 2
    assert "there is no channel 'pager' in the settings: there is here, team" in capsys.readouterr().err


def test_the_schema_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it ships."""
    assert typed(opened(tmp_path))("settings", "schema") == 0
    assert capsys.readouterr().out == text()


def test_silences_and_acknowledgements_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Set, listed in `alerts` and by themselves, and ended; what is typed wrongly is one line and exit code 2."""
    context = opened(tmp_path)

    def run(*arguments: str) -> int:
        return typed(context)("alerts", *arguments)

    assert run("silences") == 0
    assert "nothing is silenced" in capsys.readouterr().out
    assert run("silence", "dri*", "--for", "2h", "--reason", "moving house", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["alerts"] == ["dri*"]
    assert run("acknowledge", "shop", "errors", "--note", "on it", "--for", "4h") == 0
    assert "errors of shop is acknowledged until" in capsys.readouterr().out
    assert run() == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "works on it: on it" in shown
    assert made["id"] in shown
    assert run("silences") == 0
    assert made["id"] in capsys.readouterr().out
    assert run("unsilence", made["id"]) == 0
    assert run("unsilence", made["id"]) == 2
    assert run("silence", "x", "--for", "soon", "--reason", "why") == 2
    assert run("acknowledge", "shop", "nothing") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "--for: 'soon' is not a duration" in lines[1]
