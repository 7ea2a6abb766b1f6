"""The stage in this process keeps what every stage keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.ports.stage import Stage
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import CONTRACT, StayPredictor, write_candidate
from fairlead.testing.stage import LocalStage, check_stage

ROW = {"age": 44.0, "nights": 3, "city": "berlin"}


@pytest.fixture
def table(bundles: ScriptedBundles, tmp_path: Path) -> RouteTable:
    """A candidate with all traffic."""
    draft = tmp_path / "draft"
    draft.mkdir()
    digest = bundles.put(draft, write_candidate(draft))
    return RouteTable(1, {"stay": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})})


@pytest.fixture
def bundles(tmp_path: Path) -> ScriptedBundles:
    """Answers by the formula."""
    return ScriptedBundles(tmp_path / "bundles", StayPredictor())


def test_the_local_stage_keeps_the_contract(bundles: ScriptedBundles, table: RouteTable) -> None:
    """It answers, logs, swaps and stops."""
    check_stage(lambda first: LocalStage(bundles, first), table, "stay", CONTRACT, ROW)


def test_the_check_finds_a_stage_that_does_not_log(bundles: ScriptedBundles, table: RouteTable) -> None:
    """A broken stage fails the check."""

    def forgetful(first: RouteTable) -> Stage:
        stage = LocalStage(bundles, first)
        stage.forgets = True
        return stage

    with pytest.raises(AssertionError, match="the answer is logged"):
        check_stage(forgetful, table, "stay", CONTRACT, ROW, patience_seconds=0.1)
