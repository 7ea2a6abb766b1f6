"""Nothing is learned from broken data."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from fairlead.core.broken import Broken, broken_by, broken_spans
from fairlead.core.event import AnyFact, Entry, VersionRegistered
from fairlead.core.report import SCORE, FeatureShift, Stage, WindowReport, fact_of
from fairlead.core.retrain import NO_TRIGGER, RetrainPolicy, decide, decide_by_schedule, labels_known
from fairlead.core.retrain_now import triggers_now
from fairlead.core.schedule import schedule
from fairlead.core.triggers import Trigger
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report, window_report

POLICY = RetrainPolicy(at_least_labels=1)
FAULT = "adr is null in 40.0% of the rows, 12 times the reference's rate"
# One window after the other: h harmful, b harmful and broken, c calm, x calm and broken.
KINDS = {"h": (harmful_report, ""), "b": (harmful_report, FAULT), "c": (window_report, ""), "x": (window_report, FAULT)}


def window(kind: str, number: int = 0, **changes: object) -> WindowReport:
    """A window of a kind; three columns and the model's own score."""
    made, broken = KINDS[kind]
    shifts = (
        FeatureShift("adr", "critical" if broken else "none", "null_rate", 0.4, 0.1, psi=0.9, broken=broken),
        FeatureShift("lead_time", "none"),
        FeatureShift("market_segment", "none"),
        FeatureShift(SCORE, "none"),
    )
    return made(number, drift=shifts, **changes)


def journal(*written: AnyFact) -> list[Entry]:
    """A journal's entries."""
    return list(MemoryJournal().append([VersionRegistered("hotel", 1, "b", "july"), *written], actor="x", at=0.0))


def history(kinds: str) -> tuple[list[WindowReport], list[Entry]]:
    """Windows of these kinds, and their facts."""
    made = [window(kind, number) for number, kind in enumerate(kinds)]
    return made, journal(*(fact_of(one) for one in made))


@pytest.mark.parametrize(
    ("kinds", "triggered", "said"),
    [
        ("h", True, "window w0 is harmful"),
        ("b", False, "1 of 3 columns is broken since window w0: retraining would learn the fault (adr)"),
        ("cbb", False, "1 of 3 columns is broken since window w1"),
        ("xcbb", False, "1 of 3 columns is broken since window w2"),
        ("bb c", False, NO_TRIGGER),  # the columns hold, and so does the performance: there is nothing to train for
        ("bbh", True, "window w2 is harmful"),  # the columns hold and the harm is there: the trigger counts anew
        ("hx", False, NO_TRIGGER),
    ],
)
def test_the_table(kinds: str, triggered: bool, said: str) -> None:
    """A harmful window trains unless its columns, or those of the newest window, are broken; then the reason names how
    many, since when, and why."""
    made, facts = history(kinds.replace(" ", ""))
    found = decide(POLICY, facts, made[-1], made[-1].judged_at)
    assert (found.triggered, said in found.reason) == (triggered, True), found.reason


def test_late_labels_of_a_broken_window_train_nothing() -> None:
    """Its columns were broken, though those of the newest window hold: the harm is the fault's."""
    late, newest = window("b", 0), window("c", 1, stage=Stage.CLOSED)
    found = decide(POLICY, journal(fact_of(newest), fact_of(late)), late, late.judged_at)
    assert not found.triggered
    assert "1 of 3 columns was broken in window w0: retraining would learn the fault (adr)" in found.reason


def test_late_labels_of_a_sound_window_train_nothing_while_the_data_are_broken() -> None:
    """What would be trained on now holds rows of the fault."""
    late, newest = window("h", 0), window("x", 1, stage=Stage.CLOSED)
    found = decide(POLICY, journal(fact_of(newest), fact_of(late)), late, late.judged_at)
    assert not found.triggered
    assert "is broken since window w1" in found.reason


def test_a_window_that_was_judged_again_counts_by_its_last_word() -> None:
    """Broken when it closed, mended data when its labels came: it trains."""
    first, again = window("x", 0, stage=Stage.CLOSED), window("h", 0)
    facts = journal(fact_of(first), fact_of(again))
    assert broken_spans(facts[:2], "hotel") == ((first.starts_at, first.ends_at),)
    assert broken_spans(facts, "hotel") == ()
    assert decide(POLICY, facts, again, again.judged_at).triggered


def test_other_models_and_windows_without_answers_say_nothing() -> None:
    """Nothing came, or another model's data are broken."""
    empty = window("x", 2, rows=0)
    other = replace(window("b", 1), model="taxi")
    facts = journal(fact_of(window("c", 0)), fact_of(other), fact_of(empty))
    assert broken_by(facts, "hotel") is None
    assert broken_by([], "hotel") is None
    assert broken_by(facts, "taxi") == Broken(("adr",), 3, "w1")


def test_their_labels_are_not_counted() -> None:
    """Neither as enough to train on, nor as growth: the rows are left out."""
    made, facts = history("cxb")
    assert labels_known(facts, made[-1]) == 2310
    assert labels_known(facts, window("c", 3)) == 2 * 2310


def test_a_schedule_waits_until_the_columns_hold() -> None:
    """Due, and held back; once a window holds the same instant trains."""
    policy = RetrainPolicy(at_least_labels=1, triggers=(Trigger(schedule=schedule("daily")),))
    made, facts = history("cx")
    now = 86_400.0 * 3 + 60.0
    held = decide_by_schedule(policy, facts, "hotel", now)
    assert held is not None
    assert "1 of 3 columns is broken since window w1" in held.reason
    assert not held.triggered
    mended = journal(*(fact_of(one) for one in (*made, window("c", 2))), held)
    again = decide_by_schedule(policy, mended, "hotel", now)
    assert again is not None
    assert (again.triggered, again.run) == (True, held.run)


def test_check_tells_it_of_every_trigger() -> None:
    """As one more thing that speaks against a run, first."""
    _, facts = history("cb")
    triggers = (Trigger(schedule=schedule("daily")), Trigger(volume=0.2))
    for policy in (POLICY, RetrainPolicy(at_least_labels=1, triggers=triggers)):
        for one in triggers_now(policy, facts, "hotel", 86_400.0 * 3, 10_000):
            assert one.against[0].startswith("1 of 3 columns is broken since window w1"), one


def test_many_columns_are_counted_and_some_named() -> None:
    """Three names, and a sign that there are more."""
    names: Sequence[str] = [f"c{number}" for number in range(5)]
    said = Broken(tuple(names), 9, "w3").sentence
    assert said == "5 of 9 columns are broken since window w3: retraining would learn the fault (c0, c1, c2, …)"
    assert "were broken in window w3" in Broken(tuple(names), 9, "w3", now=False).sentence
