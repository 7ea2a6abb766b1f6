"""What wrong answers cost a day: from answers and outcomes, by the watch's own join, to a condition."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.flows.test_watch import START, World, outcomes, population, records

from fairlead.config.conditions import condition
from fairlead.core.condition import evaluate
from fairlead.core.cost import CostMatrix
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import Ledger, MetricsNow, Prices

COST = CostMatrix(5.0, 200.0)


def test_each_label_is_booked_once(tmp_path: Path) -> None:
    """When it became known, whichever comes first of answer and outcome, and however often an outcome is sent."""
    world = World(tmp_path)
    watch, rows = world.watch(), population(300, 1)
    answered = records(rows)
    truth = outcomes(answered, rows)
    metrics = MetricsNow("hotel", Live(300.0), Prices(COST, 1_000.0))
    watch.on_label = metrics.label
    watch.observe(answered[:200], truth)
    watch.judge(START + 6 * DAY)  # some outcomes are known before their answers are read
    watch.observe(answered, [replace(one, received_at=one.received_at + 1.0) for one in truth])
    watch.judge(START + 9 * DAY)
    end = START + 9 * DAY
    pairs = zip(truth, answered, strict=True)
    costs = [(one.observed_at, COST.of(float(one.outcome), float(record.prediction or 0))) for one, record in pairs]
    for day in range(9):
        now = end - day * DAY
        due = [cost for at, cost in costs if now - DAY < at < now - 60.0]
        (found,) = metrics.of(condition("daily_cost > budget"), now, champion=1)
        if found.value is None:
            assert due == []
        else:
            assert found.value == pytest.approx(sum(due), abs=205.0)  # the edges of a day are those of a minute
            assert abs(found.rows - len(due)) <= 1
    days = [metrics.of(condition("daily_cost > 1"), end - day * DAY, champion=1)[0] for day in range(9)]
    assert sum(day.value or 0.0 for day in days) == pytest.approx(sum(cost for _, cost in costs), abs=1e-9)
    assert sum(day.rows for day in days) == 300


def test_the_ledger_forgets() -> None:
    """It keeps days, not years."""
    ledger = Ledger()
    for minute in range(10 * 1440):
        ledger.add(minute * 60.0, 1.0)
    assert ledger.last_day(10 * DAY - 1.0) == (1440.0, 1440)
    assert len(ledger._slots) <= 4 * 1440 + 1
    assert ledger.last_day(100 * DAY) == (0.0, 0)


def test_a_dear_day_is_beyond_its_budget() -> None:
    """`daily_cost > budget * 1.5`: not at one and a half, above it."""
    dear = condition("daily_cost > budget * 1.5")
    metrics = MetricsNow("hotel", Live(300.0), Prices(COST, 1_000.0))
    outcome = []
    for _ in range(9):
        metrics.label(START, 1.0, 0.0)
        outcome.append(evaluate(dear, metrics.of(dear, START + 60.0, champion=1)).outcome)
    assert outcome == [Outcome.HOLDS] * 7 + [Outcome.BREACHED] * 2
