"""What is stated once becomes the thresholds of every monitor of a model, and an account of their looks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import VersionRegistered
from fairlead.core.facts_act import BudgetCompiled
from fairlead.core.report import Stage, fact_of
from fairlead.operations.context import Context
from fairlead.operations.page_budget import balance, dealt, grants
from fairlead.testing.bundles import example
from fairlead.testing.clock import ManualClock
from fairlead.testing.reports import window_report

TEXT = """
models: {hotel: {segments: [market]}}
monitoring: {window: 1d}
alerting:
  budget: {pages: 2, per: 30d%s}
  alerts: [{name: errors, condition: "error_rate > 5%%", severity: high}, {name: calm, condition: "error_rate > 9%%"}]
"""


def home(tmp_path: Path, more: str = "") -> Context:
    """A home with one version of one model."""
    context = open_context(tmp_path / "home")
    digest = context.bundles.put(tmp_path / "draft", example(tmp_path / "draft"))
    now = time.time()
    context.journal.append([VersionRegistered("hotel", 1, digest, "july")], actor="ana", at=now - 10 * 86_400.0)
    return replace(context, settings=parse_settings(TEXT % more), clock=ManualClock(now))


def test_the_budget_is_dealt_over_features_segments_and_conditions(tmp_path: Path) -> None:
    """Two pages a month in four parts and a tenth of one: by windows, features and segments of the bundle and the
    settings, and paging conditions alone; it is journalled once, until it changes."""
    context = home(tmp_path)
    ledger = dealt(context, "hotel")
    assert ledger is not None
    features = len(context.bundles.manifest(_digest(context)).contract.features)
    drift, metric, loss, harm, conditions = ledger.grants
    part = 2 / 4.1
    assert drift.alpha == pytest.approx(part / 30)
    assert drift.alpha_per_test == pytest.approx(part / 30 / (2 * features))
    assert metric.alpha_per_test == pytest.approx(part / 2 / 30)
    assert (loss.alpha, harm.alpha) == pytest.approx((part / 30, part / 10))
    assert conditions.alpha_per_test == pytest.approx(part / 8_640 / 3), "what is stated, refusals, slowness"
    first = grants(context, "hotel")
    assert grants(context, "hotel") == first
    assert (first.drift, first.conditions) == pytest.approx((0.01, part / 8_640 / 3))
    stricter = replace(context, settings=parse_settings(TEXT.replace("pages: 2", "pages: 1") % ""))
    assert grants(stricter, "hotel").conditions == pytest.approx(first.conditions / 2)
    told = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, BudgetCompiled)]
    assert [fact.pages for fact in told] == [2.0, 1.0]


def test_models_share_a_budget_of_all(tmp_path: Path) -> None:
    """A second model halves the first one's part; without a budget nothing is dealt, and the usual levels hold."""
    context = home(tmp_path, ", across: all")
    alone = grants(context, "hotel").conditions
    context.journal.append([VersionRegistered("taxi", 1, "b" * 64, "july")], actor="ana", at=context.clock.now())
    assert grants(context, "hotel").conditions == pytest.approx(alone / 2)
    assert dealt(context, "taxi") is not None, "also where its bundle is gone"
    none = replace(context, settings=parse_settings("project: x"))
    assert (dealt(none, "hotel"), balance(none, "hotel")) == (None, None)
    assert grants(none, "hotel").metric == 0.025


def test_what_was_looked_at_is_spent(tmp_path: Path) -> None:
    """Windows of the last period at their close and with their labels, and the time that conditions were watched."""
    context = home(tmp_path)
    closed = window_report(model="hotel", stage=Stage.CLOSED)
    matured = window_report(model="hotel", stage=Stage.MATURED)
    context.journal.append([fact_of(closed)], actor="watch", at=context.clock.now() - 40 * 86_400.0)
    context.journal.append([fact_of(closed), fact_of(closed), fact_of(matured)], actor="watch", at=context.clock.now())
    ledger = balance(context, "hotel")
    assert ledger is not None
    found = {name: round(value, 3) for name, value in ledger.spent.items()}
    assert found == {"drift": 0.033, "metric": 0.016, "loss": 0.016, "harm": 0.049, "conditions": 0.163}
    assert ledger.said().startswith("0.28 of 2 false pages spent: drift 0.03")


def _digest(context: Context) -> str:
    (entry,) = context.journal.read(kinds=("version_registered",))
    assert isinstance(entry.fact, VersionRegistered)
    return entry.fact.bundle
