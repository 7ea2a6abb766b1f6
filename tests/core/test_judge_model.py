"""The model's checks: each with figures that pass it and figures that do not."""

from __future__ import annotations

from math import nan

import msgspec
import pytest

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_model import (
    Disturbed,
    judge_calibration,
    judge_fairness,
    judge_overfitting,
    judge_robust,
    judge_simple,
    judge_slices,
    judge_useful,
    protected_of,
)
from fairlead.core.training import Simple, Slice, Spread
from fairlead.core.verdict import Outcome
from fairlead.stats.fairness import Counts
from fairlead.stats.performance import UNDEFINED, Measure

POLICY = GatePolicy(protected=("hotel",))
CONTRACT = Contract((Feature("hotel", Kind.CATEGORY), Feature("age", Kind.NUMBER)), Task.BINARY, "canceled", ("0", "1"))


def says(check: Check, outcome: Outcome, *words: str) -> None:
    """The outcome, with these words in its sentence."""
    assert check.outcome is outcome, check.reason
    assert all(word in check.reason for word in words), check.reason


def test_a_simpler_model_must_not_be_better() -> None:
    """Better, worse, as good, or too few rows to tell; losses are asked relative to their size."""
    lost = Simple("logistic regression", "AUROC", 0.7, 0.8, Spread(-0.1, -0.14, -0.06, 900))
    says(judge_simple(lost, POLICY), Outcome.BREACHED, "0.7 against 0.8", "the simpler is better")
    won = Simple("logistic regression", "AUROC", 0.8, 0.7, Spread(0.1, 0.06, 0.14, 900))
    says(judge_simple(won, POLICY), Outcome.HOLDS, "gain of +0.1000")
    few = Simple("logistic regression", "AUROC", 0.76, 0.8, Spread(-0.04, -0.2, 0.12, 40))
    says(judge_simple(few, POLICY), Outcome.UNDECIDED, "too few rows")
    near = Simple("ridge regression", "squared error", 1005.0, 1000.0, Spread(-5.0, -6.0, -4.0, 900))
    says(judge_simple(near, POLICY), Outcome.HOLDS)


def test_a_model_that_knows_its_rows_by_heart_is_told() -> None:
    """A wide gap, a narrow one, and a wide one of few rows."""
    held = Spread(0.7, 0.66, 0.74, 900)
    says(judge_overfitting(Spread(0.99, 0.98, 1.0, 900), held, Task.BINARY, POLICY), Outcome.BREACHED, "gap of 0.2900")
    says(judge_overfitting(Spread(0.78, 0.76, 0.8, 900), held, Task.BINARY, POLICY), Outcome.HOLDS, "+0.0800")
    thin = Spread(0.7, 0.4, 0.99, 20)
    says(judge_overfitting(Spread(0.9, 0.8, 1.0, 20), thin, Task.BINARY, POLICY), Outcome.UNDECIDED, "too few rows")


def test_a_group_that_is_served_much_worse_is_told() -> None:
    """By name, with its rows; alike groups hold, and data without groups say so."""
    others = Spread(0.85, 0.83, 0.87, 3000)
    bad = Slice("city", "cairo", Spread(0.55, 0.48, 0.62, 300), others)
    good = Slice("city", "berlin", Spread(0.84, 0.8, 0.88, 900), others)
    says(
        judge_slices([good, bad], Task.BINARY, POLICY), Outcome.BREACHED, "accuracy 0.550 where city = cairo (300 rows)"
    )
    says(judge_slices([good], Task.BINARY, POLICY), Outcome.HOLDS, "1 group", "0.840 where city = berlin")
    says(judge_slices([], Task.BINARY, POLICY), Outcome.HOLDS, "Does not apply: no column parts")


FAIR = Counts(240, 60, 60, 240)  # half selected, of 600 rows


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Counts(120, 30, 180, 270), "disparate impact 50%"),
        (Counts(150, 150, 150, 150), "true positive rates 0.300"),
    ],
)
def test_groups_that_are_treated_otherwise_are_told(other: Counts, words: str) -> None:
    """By selection, and by error rates at equal selection."""
    groups = {"hotel": {"1": {"city": FAIR, "resort": other}}}
    says(judge_fairness(groups, CONTRACT, POLICY), Outcome.BREACHED, words)


def test_groups_that_are_treated_alike_hold() -> None:
    """With the figures, and the groups that were too small to be asked."""
    groups = {"hotel": {"1": {"city": FAIR, "resort": FAIR, "boat": Counts(1, 0, 0, 1)}}}
    says(judge_fairness(groups, CONTRACT, POLICY), Outcome.HOLDS, "disparate impact 100%", "hotel = boat")


def test_fairness_that_cannot_be_told_does_not_pass() -> None:
    """A gap that few rows do not confirm, groups that are all too small, and a column that the data do not have."""
    few = {"hotel": {"1": {"city": Counts(12, 3, 8, 17), "resort": Counts(8, 2, 12, 18)}}}
    says(judge_fairness(few, CONTRACT, POLICY), Outcome.UNDECIDED, "too few rows to tell")
    tiny = {"hotel": {"1": {"city": Counts(1, 0, 0, 1), "resort": Counts(1, 0, 0, 1)}}}
    says(judge_fairness(tiny, CONTRACT, POLICY), Outcome.UNDECIDED, "too few rows")
    says(judge_fairness({}, CONTRACT, POLICY), Outcome.UNMEASURED, "no groups of hotel")


def test_a_protected_group_is_known_by_its_name() -> None:
    """What is named like one is measured though nobody asked; without any the check says that it does not apply."""
    assert protected_of(["guest_gender", "sextant", "age"], GatePolicy()) == ("guest_gender",)
    groups = {"gender": {"1": {"f": Counts(120, 30, 180, 270), "m": FAIR}}}
    says(judge_fairness(groups, CONTRACT, GatePolicy()), Outcome.BREACHED, "gender", "50%")
    says(
        judge_fairness({}, CONTRACT, GatePolicy()),
        Outcome.HOLDS,
        "Does not apply: gates.bounds.protected names no column",
    )
    value = msgspec.structs.replace(CONTRACT, task=Task.REGRESSION, classes=())
    says(judge_fairness({}, value, POLICY), Outcome.HOLDS, "Does not apply to values", "hotel")


def test_probabilities_that_mean_something_else_are_told() -> None:
    """An error surely above the bound; one that is not; few rows; and values, which are no probabilities."""
    says(judge_calibration(Measure(0.12, 0.1, 0.14), 900, Task.BINARY, POLICY), Outcome.BREACHED, "12.0%")
    other = judge_calibration(Measure(0.12, 0.1, 0.14), 900, Task.BINARY, POLICY, Measure(0.2, 0.15, 0.25))
    says(other, Outcome.HOLDS, "the champion's is 20.0% on the same rows")
    says(judge_calibration(Measure(0.06, 0.03, 0.09), 900, Task.MULTICLASS, POLICY), Outcome.HOLDS, "6.0%")
    says(judge_calibration(Measure(0.01, 0.0, 0.3), 50, Task.BINARY, POLICY), Outcome.UNDECIDED, "50 labelled")
    says(judge_calibration(UNDEFINED, 900, Task.REGRESSION, POLICY), Outcome.HOLDS, "Does not apply")


def test_features_without_effect_are_told() -> None:
    """All, most, or a few."""
    none = judge_useful({"a": 0.0, "b": -0.01}, Task.BINARY, POLICY)
    says(none, Outcome.BREACHED, "no feature matters")
    most = judge_useful({"a": 0.2, "b": 0.0, "c": 0.0}, Task.BINARY, POLICY)
    says(most, Outcome.BREACHED, "2 of 3 features are without effect: b, c")
    few = judge_useful({"a": 0.2, "b": 0.0, "c": 0.1}, Task.BINARY, POLICY)
    says(few, Outcome.HOLDS, "most in a 0.200, c 0.100", "without effect: b")
    assert few.measured["of_a"] == 0.2


def test_a_model_that_breaks_on_strange_rows_is_told() -> None:
    """Answers that are none, and a quality that collapses; what holds tells how many rows were refused."""
    broken = Disturbed(900, 10, 3, "age missing: answered [nan]", 0.8, 0.8)
    says(judge_robust(broken, POLICY), Outcome.BREACHED, "3 of 900 disturbed rows", "age missing: answered [nan]")
    says(judge_robust(Disturbed(900, 10, 0, "", 0.8, 0.5), POLICY), Outcome.BREACHED, "from 0.8 to 0.5 (-37.5%)")
    says(judge_robust(Disturbed(900, 10, 0, "", 0.8, 0.78), POLICY), Outcome.HOLDS, "10 of them refused")
    says(judge_robust(Disturbed(900, 900, 0, "", nan, nan), POLICY), Outcome.HOLDS, "too few for a quality")
    says(judge_robust(Disturbed(0, 0, 0, "", nan, nan), POLICY), Outcome.UNDECIDED, "no held-out rows")
