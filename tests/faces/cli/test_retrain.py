"""retrain check and retrain run, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Raw

from fairlead.app.compose import open_context
from fairlead.core.event import AnyFact, RetrainDecided, RetrainFinished
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context

Typed = Callable[..., int]


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home where one run has found a better version, and one has not."""
    made = open_context(tmp_path / "home")
    facts: list[AnyFact] = [
        RetrainDecided("hotel", "run-1", False, "calm [0, 1]", "w0"),
        RetrainDecided("hotel", "run-2", True, "auroc fell", "w1"),
        RetrainFinished("hotel", "run-2", 2, True, "version 2 passed its gate", Raw(b"{}")),
        RetrainFinished("hotel", "run-3", 3, False, "version 3 did not pass", Raw(b"{}")),
    ]
    made.journal.append(facts, actor="respond", at=1.0)
    return made


@pytest.fixture
def typed(context: Context) -> Typed:
    """Runs a command over that home; returns its exit code."""
    app = build(lambda *_: context, "0")
    return lambda *arguments: run(app, ["--home", str(context.home), *arguments])


def test_each_decision_is_shown_with_its_reason(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and as JSON, and so is what came of the runs."""
    assert typed("retrain", "check", "hotel") == 0
    said = capsys.readouterr().out
    assert "version 3 did not pass" in said
    assert "triggered" in said
    assert "calm [0, 1]" in said
    assert "no window with answers has been judged yet" in " ".join(said.split())
    assert "nothing trains" in said
    assert typed("retrain", "check", "hotel", "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in seen["decisions"]] == ["run-1", "run-2"]
    assert [(one["run"], one["version"]) for one in seen["finished"]] == [("run-2", 2), ("run-3", 3)]


@pytest.mark.parametrize(("key", "code", "said"), [("run-2", 0, "passed its gate"), ("run-3", 1, "did not pass")])
def test_a_finished_run_is_told_and_not_done_again(
    context: Context, typed: Typed, capsys: pytest.CaptureFixture[str], key: str, code: int, said: str
) -> None:
    """0 for a challenger that beats the champion, 1 for one that does not; nothing is written."""
    before = context.journal.verify()
    assert typed("retrain", "run", "hotel", "--run", key) == code
    assert said in capsys.readouterr().out
    assert typed("retrain", "run", "hotel", "--run", key, "--json") == code
    assert json.loads(capsys.readouterr().out)["run"] == key
    assert context.journal.verify() == before


def test_a_run_without_a_command_is_one_line_and_exit_2(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the setting."""
    assert typed("retrain", "run", "hotel", "--run", "run-9") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "retraining.command" in captured.err
