"""How rows were parted: each check with figures that pass it and figures that do not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_split import judge_leakage, judge_locked, judge_split, judge_times, judge_twins
from fairlead.core.training import Split, Spread, Times, Twins
from fairlead.core.verdict import Outcome

POLICY = GatePolicy()
CONTRACT = Contract((Feature("age", Kind.NUMBER), Feature("kept", Kind.BOOLEAN)), Task.BINARY, "canceled", ("0", "1"))


def says(check: Check, outcome: Outcome, *words: str) -> None:
    """The outcome, with these words in its sentence."""
    assert check.outcome is outcome, check.reason
    assert all(word in check.reason for word in words), check.reason


def test_features_that_give_the_target_away_are_told() -> None:
    """A copy, one that tells it by itself, and one that is known too late."""
    scores = {"age": 0.7, "kept": 0.995}
    says(judge_leakage(scores, (), CONTRACT, POLICY), Outcome.BREACHED, "kept alone tells the target: 0.995 AUROC")
    says(judge_leakage(scores, ("kept",), CONTRACT, POLICY), Outcome.BREACHED, "kept is a copy of the target")
    late = judge_leakage({"age": 0.7}, (), CONTRACT, GatePolicy(known_late=("kept",)))
    says(late, Outcome.BREACHED, "kept is known only after")
    says(judge_leakage({"age": 0.7}, (), CONTRACT, POLICY), Outcome.HOLDS, "strongest alone is age with 0.700")
    value = msgspec.structs.replace(CONTRACT, task=Task.REGRESSION, classes=())
    says(judge_leakage({"age": 0.99}, (), value, POLICY), Outcome.BREACHED, "R2")


EVERY = Spread(0.84, 0.82, 0.86, 2000)


def test_held_out_rows_that_were_trained_on_are_told() -> None:
    """All of them, more than equal rows explain, or as many as oversampling makes and the quality rests on them."""
    subset = Twins(5000, 0, 1000, 1000, EVERY)
    says(judge_twins(subset, POLICY), Outcome.BREACHED, "100.0%", "the parts were not kept apart")
    some = Twins(5000, 100, 1000, 120, EVERY, Spread(0.83, 0.8, 0.86, 880))
    says(judge_twins(some, POLICY), Outcome.BREACHED, "12.0% of 1,000 held-out rows", "only 2.0%")
    sampled = Twins(5000, 4500, 1000, 900, Spread(0.97, 0.96, 0.98, 1000), Spread(0.7, 0.6, 0.8, 100))
    says(judge_twins(sampled, POLICY), Outcome.BREACHED, "falls from 0.97 to 0.7", "100 held-out rows")


def test_rows_that_are_equal_by_nature_hold() -> None:
    """As often across as within, and the quality hardly owes them anything."""
    found = Twins(5000, 550, 2000, 210, EVERY, Spread(0.83, 0.8, 0.85, 1790))
    says(judge_twins(found, POLICY), Outcome.HOLDS, "10.5%", "11.0%", "-1.2%")


@pytest.mark.slow
def test_a_fair_split_is_seldom_told() -> None:
    """Of 2,000 random splits of rows that repeat by nature at most 1 % are called a leak."""
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(2000):
        rows = rng.integers(0, 20_000, 3000)
        own, held = rows[:2400], rows[2400:]
        counts = np.bincount(own, minlength=20_000)
        found = Twins(2400, int((counts[own] > 1).sum()), 600, int((counts[held] > 0).sum()))
        wrong += judge_twins(found, POLICY).outcome is not Outcome.HOLDS
    assert wrong <= 20


def test_training_ends_before_the_held_out_rows_begin() -> None:
    """In order, out of order, not to be told, and without any times."""
    good = Times("at", (), "2020-01-01", "2020-06-30", "2020-07-01", "2020-08-01")
    says(judge_times(good), Outcome.HOLDS, "training to 2020-06-30, held out from 2020-07-01 by at")
    says(judge_times(msgspec.structs.replace(good, early=7)), Outcome.BREACHED, "7 held-out rows are earlier")
    says(judge_times(Times("at", problem="the held-out rows have no column at")), Outcome.UNDECIDED, "no column at")
    says(judge_times(Times(unnamed=("arrival",))), Outcome.UNDECIDED, "arrival holds times that nobody named")
    says(judge_times(Times()), Outcome.HOLDS, "Does not apply: no column of the reference holds a time")


def test_rows_that_the_champion_learned_from_are_told() -> None:
    """Most of them, or the very file; few by nature hold, and so does what cannot be told."""
    says(judge_locked((200, 190), 0.1, same_file=False, policy=POLICY), Outcome.BREACHED, "95% of 200 held-out rows")
    says(judge_locked(None, 0.1, same_file=True, policy=POLICY), Outcome.BREACHED, "is what the champion was trained")
    says(judge_locked((200, 25), 0.1, same_file=False, policy=POLICY), Outcome.HOLDS, "25 of 200 rows")
    says(judge_locked(None, 0.1, same_file=False, policy=POLICY), Outcome.HOLDS, "Does not apply: there is no champion")


def test_a_tables_end_must_be_like_the_rest() -> None:
    """A table in order of its target is told; a file of its own is the user's word."""
    ordered = Split("last", 800, 200, 0.4, 0.03)
    says(judge_split(ordered, POLICY), Outcome.BREACHED, "differs by 0.40", "--time-column")
    says(judge_split(Split("last", 800, 200, 0.02, 0.03), POLICY), Outcome.HOLDS, "the last of the table")
    says(judge_split(Split("file", 800, 200, 0.4, 0.03), POLICY), Outcome.HOLDS, "200 of 1,000 rows (20%)")
    says(judge_split(Split("time", 800, 200, 0.4, 0.03), POLICY), Outcome.HOLDS, "the latest by time")
