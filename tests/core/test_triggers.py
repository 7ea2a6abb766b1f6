"""The stated reasons to train: each trains when it is met, does not when it is not, and says why not."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace
from tests.flows.page_desk import page_settings

from fairlead.config.load import parse_settings
from fairlead.core.event import (
    AnyFact,
    Entry,
    RetrainDecided,
    RetrainFinished,
    RolloutStarted,
    VersionRegistered,
)
from fairlead.core.report import FeatureShift, Performance, WindowReport, fact_of
from fairlead.core.retrain import DAY, RetrainPolicy, decide, decide_by_schedule, labels_since
from fairlead.core.rollout import Plan
from fairlead.core.triggers import Trigger
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import benign_report, harmful_report, window_report

WEEKLY, DRIFT, PERFORMANCE, VOLUME = [one.trigger for one in page_settings().retraining.triggers]
MONDAY = datetime(2024, 5, 13, tzinfo=UTC).timestamp()
FINISHED = RetrainFinished("hotel", "retrain-hotel-20240506T0000", 2, True, "better", msgspec.Raw(b"{}"))


def policy(*triggers: Trigger, **changes: object) -> RetrainPolicy:
    """A policy with these triggers."""
    return replace(RetrainPolicy(at_least_labels=1_000, triggers=triggers), **changes)


def facts(*written: AnyFact, at: float = 0.0) -> list[Entry]:
    """A journal's entries."""
    return list(MemoryJournal().append([VersionRegistered("hotel", 1, "b", "july"), *written], actor="x", at=at))


def asked(report: WindowReport, *triggers: Trigger, trained: int | None = 10_000) -> RetrainDecided:
    """The decision on a window whose fact is in the journal."""
    return decide(policy(*triggers), facts(fact_of(report)), report, report.judged_at, trained)


def test_drift_of_two_features_trains() -> None:
    """`psi > 0.25, features: 2`: both beyond it, and beyond chance; one is not enough."""
    found = asked(harmful_report(), DRIFT)
    assert found.triggered
    assert found.run == "retrain-hotel-w0"
    assert "psi of market_segment is 0.62" in found.reason
    one = harmful_report(drift=harmful_report().drift[:1])
    assert not asked(one, DRIFT).triggered
    chance = harmful_report(drift=tuple(FeatureShift(name, "none", psi=0.4) for name in ("a", "b", "c")))
    assert not asked(chance, DRIFT).triggered
    assert asked(chance, DRIFT).reason == "no trigger: no stated trigger is met"


def test_a_fall_against_the_champion_trains() -> None:
    """`auroc < champion - 5%`: by the validation of the version that serves."""
    found = asked(harmful_report(), PERFORMANCE)
    assert found.triggered
    assert found.reason.startswith("auroc is 0.67 (0.64 to 0.7, of 2,310), where 0.77 (champion 0.82) is the bound")
    assert not asked(benign_report(), PERFORMANCE).triggered
    assert not asked(window_report(performance=None), PERFORMANCE).triggered


def test_a_fifth_more_labelled_rows_train() -> None:
    """`volume: 20%` of what the version was trained on; where that is not known, nothing is trained."""
    report = window_report()
    assert asked(report, VOLUME).triggered
    assert "2,310 labelled rows are new, 23% of the 10,000" in asked(report, VOLUME).reason
    assert not asked(report, VOLUME, trained=12_000).triggered
    assert not asked(report, VOLUME, trained=None).triggered


def test_labels_that_a_run_knew_are_not_new() -> None:
    """They are counted from the last run; a window that matures later brings only what it adds."""
    early = window_report(performance=Performance("auroc", labels=300, realised=0.8))
    run = RetrainDecided("hotel", "retrain-hotel-w0", True, "x", "w0")
    known = facts(fact_of(early), run, fact_of(window_report()))
    assert labels_since(known, window_report(1)) == 2_310 - 300 + 2_310


def test_stated_triggers_stand_in_for_the_usual_ones() -> None:
    """A harmful window trains nobody who asked for a schedule only."""
    assert not asked(harmful_report(), WEEKLY).triggered


def test_what_speaks_against_it_is_told() -> None:
    """The reasons that hold back any run."""
    few = decide(policy(DRIFT, at_least_labels=5_000), facts(), harmful_report(), 0.0)
    assert not few.triggered
    assert "but not enough matured labels (2,310 of 5,000)" in few.reason


# -- the schedule ------------------------------------------------------------------------------------------------------

LABELS = fact_of(window_report())


def due(now: float, *written: AnyFact, **changes: object) -> RetrainDecided | None:
    """What the weekly schedule says, to a model that was registered ten days before the Monday."""
    entries = facts(LABELS, *written, at=MONDAY - 10 * DAY)
    return decide_by_schedule(policy(WEEKLY, **changes), entries, "hotel", now)


def test_a_week_later_it_is_due_once() -> None:
    """Under the instant's key, at any look after it; and not again once it was asked for."""
    first = due(MONDAY + 60.0)
    assert first is not None
    assert (first.run, first.triggered, first.reason) == (
        "retrain-hotel-20240513T0000",
        True,
        "the schedule weekly is due",
    )
    later = due(MONDAY + 5 * DAY)
    assert later == first
    assert due(MONDAY + 60.0, first, replace(FINISHED, run=first.run)) is None
    following = due(MONDAY + 8 * DAY, first, replace(FINISHED, run=first.run))
    assert following is not None
    assert following.run == "retrain-hotel-20240520T0000"


def test_it_is_not_due_before_the_model_was_there() -> None:
    """Nor where nothing is registered."""
    entries = facts(LABELS, at=MONDAY + DAY)
    assert decide_by_schedule(policy(WEEKLY), entries, "hotel", MONDAY + 2 * DAY) is None
    assert decide_by_schedule(policy(WEEKLY), [], "hotel", MONDAY) is None
    assert decide_by_schedule(policy(DRIFT), entries, "hotel", MONDAY + 9 * DAY) is None


def test_what_holds_it_back_is_journalled_once_and_it_stays_due() -> None:
    """A rollout in progress: said once; over, it trains under the same key."""
    started = RolloutStarted("hotel", "ro-1", 2, "b", 1, Plan("canary", (), ()), msgspec.Raw(b"{}"))
    held = due(MONDAY + 60.0, started)
    assert held is not None
    assert (held.triggered, held.reason) == (False, "the schedule weekly is due; but rollout ro-1 is in progress")
    assert due(MONDAY + 120.0, started, held) is None
    over = due(MONDAY + 180.0, held)
    assert over is not None
    assert (over.triggered, over.run) == (True, held.run)


def test_too_few_labels_and_a_recent_run_hold_it_back() -> None:
    """The pause between runs holds for schedules only where it is stated."""
    few = due(MONDAY + 60.0, at_least_labels=5_000)
    assert few is not None
    assert "not enough matured labels (2,310 of 5,000)" in few.reason
    ran = RetrainDecided("hotel", "retrain-hotel-20240506T0000", True, "the schedule weekly is due")
    usual = due(MONDAY + 60.0, ran, FINISHED)
    assert usual is not None
    assert usual.triggered
    stated = due(MONDAY + 60.0, ran, FINISHED, schedule_every_seconds=30 * DAY)
    assert stated is not None
    assert "retrained less than 30 days ago" in stated.reason


@pytest.mark.parametrize("text", ["{schedule: weekly}", '{schedule: "0 0 * * 1"}'])
def test_a_word_and_its_fields_are_one_schedule(text: str) -> None:
    """Both give the same instants."""
    found = parse_settings(f"retraining: {{triggers: [{text}]}}").retraining.triggers[0].trigger.schedule
    assert found is not None
    assert found.last(MONDAY + DAY) == MONDAY
