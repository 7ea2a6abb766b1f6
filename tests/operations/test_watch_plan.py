"""What is watched without a setting: from the bundle, the log and, where there are some, the settings."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.impact import Figure, ImpactReport, fact_of_impact
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.models import Registration, register
from fairlead.operations.watch_plan import watch_plan
from fairlead.testing.candidate import draw, formula_onnx
from fairlead.testing.registry import MemoryRegistry


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A registered model with held-out rows, and no settings."""
    folder = tmp_path_factory.mktemp("plan")
    registry = MemoryRegistry()
    opened = replace(open_context(folder / "home"), open_registry=lambda: registry)
    (folder / "model.onnx").write_bytes(formula_onnx())
    for name, count in (("rows", 600), ("heldout", 300)):
        rows, truth = draw(count, count)
        ages, nights, cities = zip(*rows, strict=True)
        table = {"age": ages, "nights": nights, "city": cities, "canceled": pa.array(truth, pa.int8())}
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    data, heldout = folder / "rows.parquet", folder / "heldout.parquet"
    register(opened, Registration("stay", str(folder / "model.onnx"), data, "canceled", heldout=heldout))
    return opened


def test_a_bundle_alone_is_watched_on_every_rung(home: Context) -> None:
    """Every feature with its critical distances, the metric before and after labels, the service, and where each comes
    from; the number of tests is what the features' kinds have."""
    plan = watch_plan(home, "stay")
    told = {one.what: one for one in plan.watched}
    assert {"age", "nights", "city", "the model's own score"} <= set(told)
    assert "psi 0.25" in told["age"].threshold
    assert "chi_squared 0.1" in told["city"].threshold
    assert told["age"].part == "profile.json"
    assert told["AUROC, realised"].part == "heldout.parquet"
    assert "5% down: warning, 10%: harmful" in told["AUROC, realised"].threshold
    assert told["p99 latency"].threshold == "up by 2×, critical 5×, and unusual"
    assert {one.layer for one in plan.watched} == {"data", "model", "product", "business", "conditions"}
    usual = told["error_rate > 5%"]
    assert (usual.threshold, usual.part) == ("high", "alerting.defaults")
    assert plan.tests == sum(4 if what == "city" else 5 for what in ("age", "nights", "city", "score"))
    assert "once in 30 d" in plan.budget


def test_settings_and_events_are_in_the_plan(home: Context) -> None:
    """A condition, a price, a budget and the events that came are watched too."""
    text = """
models: {stay: {cost: {false_positive: 5}, labels: {delay: 3d}}}
alerting: {budget: {pages: 2, per: 30d}, alerts: [{name: errors, condition: "error_rate > 2%", severity: high}]}
"""
    figure = Figure("refund", "business", 0.1, 10, Outcome.UNMEASURED, "new")
    home.journal.append(
        [fact_of_impact(ImpactReport("stay", "w", 0.0, 1.0, 1.0, 10, (figure,)))], actor="watch", at=1.0
    )
    plan = watch_plan(replace(home, settings=parse_settings(text)), "stay")
    told = {one.what: one for one in plan.watched}
    assert told["error_rate > 2%"].threshold == "high"
    assert told["refund"].threshold == "up by 5%, critical 10%, and unusual"
    assert "after 3 d" in told["AUROC, realised"].how
    assert "money" in told
    assert plan.budget.startswith("at most 2 pages per 30 d")


def test_an_unknown_model_is_not_found(home: Context) -> None:
    """It says which there are to look at."""
    with pytest.raises(NotFound, match="nobody"):
        watch_plan(home, "nobody")


def test_the_plan_is_a_table_or_json(home: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """`watch NAME --plan` leaves with 0 whatever the ladder says."""
    app = build(lambda *_: home, "0")
    assert run(app, ["--home", str(home.home), "watch", "stay", "--plan"]) == 0
    assert "tests a window" in capsys.readouterr().out
    assert run(app, ["--home", str(home.home), "watch", "stay", "--plan", "--json"]) == 0
    assert '"part":"profile.json"' in capsys.readouterr().out.replace('": "', '":"')
