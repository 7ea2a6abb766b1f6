"""Aims as people see them: whose alerts they are, in pages and budgets, and who is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.faces.cli.test_alerts import typed

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import VersionRegistered
from fairlead.operations.aims import aims
from fairlead.operations.context import Context
from fairlead.operations.page_budget import dealt
from fairlead.operations.runbooks import runbook_text

TEXT = """
models: {stay: {}, taxi-1: {}}
alerting:
  budget: 2/30d
  alerts:
    - {name: error_rate, severity: high, models: [stay]}
    - {name: slow, condition: "p99_latency > 2s", severity: high, models: [taxi-*, say, moon-*]}
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Two registered models, one of them aimed at by its name and one by a pattern."""
    made = replace(open_context(tmp_path / "home"), settings=parse_settings(TEXT))
    facts = [VersionRegistered(name, 1, "b" * 64, "july") for name in ("stay", "taxi-1")]
    made.journal.append(facts, actor="ana", at=1.0)
    return made


def test_names_that_no_registered_model_has_are_told(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever alerts are listed: with the nearest name; until somebody registers the model."""
    said = "slow is aimed at taxi-*, say, moon-*: say is not registered (did you mean stay?); moon-* is not registered"
    assert [(one.alert, one.missing) for one in aims(context)] == [("error_rate", ()), ("slow", ("say", "moon-*"))]
    assert typed(context)("alerts") == 0
    shown = capsys.readouterr().out
    assert "error_rate is aimed at stay\n" in shown
    assert said in shown
    assert typed(context)("status") == 0
    shown = capsys.readouterr().out
    assert said in shown
    assert "error_rate is aimed" not in shown
    assert typed(context)("status", "--json") == 0
    assert [one["said"] for one in json.loads(capsys.readouterr().out)["aims"]] == ["error_rate is aimed at stay", said]
    facts = [VersionRegistered(name, 1, "b" * 64, "july") for name in ("say", "moon-1")]
    context.journal.append(facts, actor="ana", at=2.0)
    assert [one.missing for one in aims(context)] == [(), ()]


def test_a_budget_is_dealt_over_the_conditions_of_the_model(context: Context) -> None:
    """Each model's part is divided by what may page of it: two levels of its own, the usual refusals and the usual
    slowness; one of its own, the usual errors and refusals; and where nothing is aimed at it, the three usual ones."""
    part = 2 / 4.1 / 8_640
    for name, conditions in (("stay", 4), ("taxi-1", 3), ("shop", 3)):
        ledger = dealt(context, name)
        assert ledger is not None
        assert ledger.grants[-1].alpha_per_test == pytest.approx(part / conditions), name


def test_a_runbook_names_whom_it_is_of(context: Context) -> None:
    """With the model's name in its commands, where it is one; what stands in for the others is on the same page."""
    page = runbook_text(context, "error_rate")
    assert "`error_rate > 1%` of stay; of all others `error_rate > 1%`: medium; `error_rate > 5%`: high" in page
    assert "fairlead why stay" in page
    assert "`refused_share > 1%`: medium; `refused_share > 5%`: high" in runbook_text(context, "refused_share")
    assert "`p99_latency > 2s` of taxi-*, say, moon-*." in runbook_text(context, "slow")
