"""status tells what each model's looks may have cost in false pages, against what is allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.faces.cli.test_alerts import opened, typed

from fairlead.core.event import VersionRegistered


def test_status_tells_each_models_budget_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pages made and false pages by chance, spent against allowed, for people and programs."""
    context = opened(tmp_path)
    context.journal.append([VersionRegistered("shop", 1, "b", "july")], actor="ana", at=1.0)
    assert typed(context)("status") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shop: ")]
    assert len(said) == 1
    assert said[0].startswith("shop: 1 page in the last 30 days, 2 allowed; ")
    assert " of 2 false pages spent: drift 0.00" in said[0]
    assert typed(context)("status", "--json") == 0
    view = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in view["models"]] == ["shop"]
    (budget,) = view["budgets"]
    assert (budget["model"], budget["spent"], budget["allowed"]) == ("shop", 1, 2)
