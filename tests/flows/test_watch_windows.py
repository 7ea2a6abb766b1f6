"""Windows of the watch by local clocks, sliding, and late: what is counted where, and that it is counted once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.flows.test_watch import World, outcomes, population, records

from fairlead.config.load import parse_settings
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage
from fairlead.core.window import HOUR, WindowPlan
from fairlead.flows.watch import Watch
from fairlead.testing.dataset import MemoryDataset


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One registered version."""
    return World(tmp_path)


def watch_of(world: World, plan: WindowPlan) -> Watch:
    """A new watch over the world with windows of its own, as after a restart."""
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})
    return Watch("hotel", world.journal, world.bundles, lambda _: held, world.clock, plan, world.policy)


def spread(
    since: float, until: float, n: int, seed: int, shift: float = 0.0
) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """Answers spread evenly from an instant until another, and what became of them an hour later."""
    rows, step = population(n, seed, shift), (until - since) / n
    answered = [
        replace(one, request_id=f"{seed}-{place}", timestamp=since + place * step, received_at=since + place * step)
        for place, one in enumerate(records(rows))
    ]
    return answered, outcomes(answered, rows, delay=HOUR)


def test_days_are_those_of_the_zone(world: World) -> None:
    """A day on which clocks go back is one window of 25 hours, with the answers of all of them."""
    plan = parse_settings("monitoring: {window: 1d, zone: Europe/Lisbon}").monitoring.judged_plan
    since = datetime(2026, 10, 24, 23, tzinfo=UTC).timestamp()  # midnight in Lisbon
    answered, truths = spread(since, since + 50 * HOUR, 500, 1)
    watch = watch_of(world, plan)
    watch.observe(answered, truths)
    found = watch.judge(since + 60 * HOUR)
    assert [(one.window, (one.ends_at - one.starts_at) / HOUR, one.rows, one.stage) for one in found] == [
        ("2026-10-25", 25.0, 250, Stage.MATURED),
        ("2026-10-26", 24.0, 240, Stage.MATURED),
    ]
