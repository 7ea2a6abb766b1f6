"""Two versions on the same labelled rows: every task, and rows that say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.cost import CostMatrix
from fairlead.flows.challenge import Answered, both, compared

FEATURE = (Feature("x", Kind.NUMBER),)
RNG = np.random.default_rng(3)


def answered(task: Task, rows: int, worse: float, better: float) -> Answered:
    """Rows whose champion answers with noise `worse`, and whose challenger with noise `better`."""
    if task is Task.REGRESSION:
        truth = RNG.normal(size=rows)
        sides = [(truth + RNG.normal(scale=noise, size=rows))[:, None] for noise in (worse, better)]
        return Answered(Contract(FEATURE, task, "y", ()), truth, sides[0], sides[1], (0.5, 0.5), (0.0, 1.0))
    classes = ("0", "1") if task is Task.BINARY else ("a", "b", "c")
    truth = RNG.integers(0, len(classes), rows).astype(float)
    sides = []
    for noise in (worse, better):
        raw = np.exp(2.0 * np.eye(len(classes))[truth.astype(int)] + RNG.normal(scale=noise, size=(rows, len(classes))))
        sides.append(raw / raw.sum(axis=1, keepdims=True))
    return Answered(Contract(FEATURE, task, "y", classes), truth, sides[0], sides[1], (0.5, 0.5), (0.0, 1.0))


@pytest.mark.parametrize("task", list(Task))
def test_the_better_one_gains(task: Task) -> None:
    """In its task's metric, beyond chance; the other way round it loses as much."""
    rows = answered(task, 800, 3.0, 1.0)
    found = compared(rows, None)
    turned = compared(
        Answered(rows.contract, rows.truth, rows.challenger, rows.champion, rows.thresholds, rows.span), None
    )
    assert found.gain is not None
    assert turned.gain is not None
    assert found.gain.low > 0.0 > turned.gain.high
    assert found.gain.value == pytest.approx(-turned.gain.value)
    assert (found.rows, found.starts_at, found.ends_at, found.saved) == (800, 0.0, 1.0, None)
    assert (found.flips is None) == (task is Task.REGRESSION)


def test_what_a_decision_saves_is_priced_by_both_errors() -> None:
    """By hand: two false positives at 5 and a false negative at 20 are put right over four rows."""
    contract = Contract(FEATURE, Task.BINARY, "y", ("0", "1"))
    champion, challenger = np.array([0.9, 0.9, 0.1, 0.9]), np.array([0.1, 0.1, 0.9, 0.9])
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    sides = [np.stack([1 - one, one], axis=1) for one in (champion, challenger)]
    found = compared(Answered(contract, truth, sides[0], sides[1], (0.5, 0.5), None), CostMatrix(5.0, 20.0))
    assert found.saved is not None
    assert found.saved.value == pytest.approx(30.0 / 4)
    assert found.flips == pytest.approx(0.75)
    assert found.gain is None  # four rows define no AUROC


def test_each_side_decides_by_its_own_threshold() -> None:
    """The same scores, other thresholds: the decisions differ."""
    rows = answered(Task.BINARY, 300, 1.0, 1.0)
    same = Answered(rows.contract, rows.truth, rows.champion, rows.champion, (0.5, 0.5), None)
    moved = Answered(rows.contract, rows.truth, rows.champion, rows.champion, (0.5, 0.9), None)
    assert compared(same, None).flips == 0.0
    assert (compared(moved, None).flips or 0.0) > 0.05


def test_no_rows_say_nothing() -> None:
    """Neither an error nor a figure; together with others they change nothing."""
    rows = answered(Task.BINARY, 200, 2.0, 1.0)
    none = Answered(rows.contract, np.empty(0), np.empty((0, 1)), np.empty((0, 1)), (0.5, 0.5), None)
    found = compared(none, CostMatrix(1.0, 1.0))
    assert (found.rows, found.gain, found.flips, found.saved) == (0, None, None, None)
    assert both(rows, None) is rows
    assert both(rows, none) is rows
    assert both(rows, rows).truth.size == 400
