"""What each trigger says now, and what speaks against a run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from fairlead.config.conditions import condition
from fairlead.core.event import AnyFact, Entry, RetrainDecided, VersionRegistered
from fairlead.core.report import Performance, Stage, fact_of
from fairlead.core.retrain import RetrainPolicy
from fairlead.core.retrain_now import TriggerNow, name_of, triggers_now
from fairlead.core.schedule import schedule
from fairlead.core.triggers import Trigger
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report, window_report

MONDAY = datetime(2024, 5, 13, tzinfo=UTC).timestamp()
DAILY = Trigger(schedule=schedule("daily"))
DRIFT = Trigger(drift=condition("psi > 0.25"), features=2)
FALL = Trigger(performance=condition("auroc < 0.8"))
GROWTH = Trigger(volume=0.2)


def facts(*written: AnyFact, at: float = 0.0) -> list[Entry]:
    """A journal's entries."""
    return list(MemoryJournal().append([VersionRegistered("hotel", 1, "b", "july"), *written], actor="x", at=at))


def now(known: list[Entry], *triggers: Trigger, at: float = MONDAY + 60.0, labels: int = 1) -> tuple[TriggerNow, ...]:
    """Every trigger."""
    return triggers_now(RetrainPolicy(at_least_labels=labels, triggers=triggers), known, "hotel", at, 10_000)


def test_every_trigger_has_a_name_a_figure_and_what_speaks_against_it() -> None:
    """Met or not; with the window or the instant that it was judged by."""
    known = facts(fact_of(harmful_report()))
    found = now(known, DAILY, DRIFT, FALL, GROWTH, labels=10**9)
    assert [one.trigger for one in found] == ["schedule daily", "psi > 0.25 on 2 or more", "auroc < 0.8", "volume 20%"]
    assert [one.met for one in found[:2]] == [True, True]
    assert [one.by for one in found] == ["2024-05-13 00:00 UTC", "w0", "w0", "w0"]
    assert all(one.reason for one in found)
    assert all("not enough matured labels" in "; ".join(one.against) for one in found)
    assert "labelled rows are new" in found[3].reason


def test_nothing_is_judged_before_the_first_window() -> None:
    """Neither met nor not."""
    found = now(facts(), DRIFT, FALL, GROWTH)
    assert {(one.met, one.reason) for one in found} == {(None, "no window with answers has been judged yet")}
    (usual,) = now(facts())
    assert (usual.met, usual.trigger) == (None, "harm, or drift that foretells it")


def test_without_stated_triggers_the_usual_one_is_told() -> None:
    """By the last window."""
    (calm,) = now(facts(fact_of(harmful_report()), fact_of(window_report(1))))
    assert (calm.met, calm.by) == (False, "w1")
    (harm,) = now(facts(fact_of(window_report()), fact_of(harmful_report(1))))
    assert harm.met
    assert "window w1 is harmful" in harm.reason


def test_performance_is_judged_by_the_last_window_with_labels() -> None:
    """A window that has just closed has none."""
    matured = window_report(0, performance=Performance("auroc", realised=0.7, low=0.69, high=0.71, labels=500))
    known = facts(fact_of(matured), fact_of(window_report(1, stage=Stage.CLOSED, performance=None)))
    (fall,) = now(known, FALL)
    assert (fall.met, fall.by) == (True, "w0")


@pytest.mark.parametrize(
    ("seconds", "asked", "met", "said"),
    [
        (60.0, False, True, "it is due"),
        (60.0, True, False, "retrain-hotel-20240513T0000 was asked for"),
        (-60.0, False, False, "it was last due before the first version"),
    ],
)
def test_a_schedule_is_due_until_it_was_asked_for(seconds: float, asked: bool, met: bool, said: str) -> None:
    """And not before there was anything to train."""
    run = "retrain-hotel-20240513T0000"
    written: list[AnyFact] = [RetrainDecided("hotel", run, True, "due")] if asked else []
    known = facts(*written, at=MONDAY - 3_600.0)
    (found,) = now(known, DAILY, at=MONDAY + seconds)
    assert (found.met, found.reason) == (met, said)


def test_asking_decides_nothing() -> None:
    """The same journal gives the same answer, and another model's windows none."""
    known = facts(fact_of(harmful_report()))
    assert now(known, DRIFT) == now(known, DRIFT)
    other = [replace(entry, fact=fact_of(replace(harmful_report(), model="motel"))) for entry in known[1:]]
    (found,) = now([known[0], *other], DRIFT)
    assert found.met is None
    assert name_of(DRIFT) == found.trigger
