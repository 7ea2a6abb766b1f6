"""What a version is compared to: its own held-out answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.flows.watching.reference import Reference, answers, build_reference, error_curves
from fairlead.stats.estimate import estimate_by_prediction
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile
from fairlead.testing.predictor import FixedPredictor

EMPTY = TableProfile(0, ())
Row = tuple[Any, ...]


def manifest(task: Task, classes: tuple[str, ...] = ("no", "yes")) -> Manifest:
    """A bundle of two features."""
    contract = Contract((Feature("a", Kind.NUMBER), Feature("b", Kind.NUMBER)), task, "y", classes)
    return Manifest("m", contract, "skops", "m", "m", {}, Lineage("d", "d", 1), threshold=0.3)


class First:
    """Answers with the first feature: as the probability of the last class, or as the value."""

    def __init__(self, width: int) -> None:
        self._width = width

    def predict(self, rows: Sequence[Row]) -> Floats:
        p = np.array([row[0] for row in rows], np.float64)[:, None]
        rest = np.repeat((1 - p) / max(self._width - 1, 1), max(self._width - 1, 0), axis=1)
        return np.hstack([rest, p])


def sample(n: int = 400) -> tuple[list[Row], list[str]]:
    """Rows whose first feature is the chance of a yes."""
    rng = np.random.default_rng(0)
    rows = [(float(a), float(b)) for a, b in rng.random((n, 2))]
    return rows, ["yes" if rng.random() < row[0] else "no" for row in rows]


def test_binary() -> None:
    """Metrics, calibration, the loss bound above the held-out loss, and importances that know what matters."""
    found = build_reference(3, manifest(Task.BINARY), EMPTY, sample(), First(2), HarmPolicy())
    assert (found.version, found.metric, found.known is not None) == (3, "auroc", True)
    assert 0.75 < found.measures["auroc"].value < 0.9
    assert found.loss_bound is not None
    loss = 1 - found.measures["accuracy"].value
    assert loss + 0.01 < found.loss_bound < loss + 0.1
    assert found.importances["a"] > 0.2
    assert found.importances["b"] == 0.0


def test_multiclass() -> None:
    """Three classes: the score is the predicted class's probability, the decision its number."""
    rows, _ = sample()
    truth = ["c" if row[0] > 1 / 3 else "a" for row in rows]
    found = build_reference(1, manifest(Task.MULTICLASS, ("a", "b", "c")), EMPTY, (rows, truth), First(3), HarmPolicy())
    assert found.metric == "accuracy"
    assert found.measures["accuracy"].value == 1.0
    assert found.known is None
    assert found.sure is not None
    assert found.sure.curve([0.9]) > 0.99
    score, decided = answers(found, First(3), [(0.9, 0.0), (0.1, 0.0)])
    assert (score.tolist(), decided.tolist()) == (pytest.approx([0.9, 0.45]), [2.0, 0.0])


def test_regression() -> None:
    """Values: losses are absolute errors on the scale of the held-out ones, cut at 1."""
    rows, _ = sample()
    truth = [row[0] + 0.1 * row[1] for row in rows]
    found = build_reference(1, manifest(Task.REGRESSION, ()), EMPTY, (rows, truth), First(1), HarmPolicy())
    assert found.metric == "mae"
    assert found.loss_scale == pytest.approx(0.2, abs=0.01)
    assert found.losses(np.array([0.0, 0.0]), np.array([found.loss_scale / 2, 9.0])).tolist() == [0.5, 1.0]
    assert found.importances["a"] > found.importances["b"] == 0.0
    assert set(found.errors) == {"mae", "mse", "mape"}
    assert estimate_by_prediction([row[0] for row in rows], found.errors["mae"]).value == pytest.approx(0.05, abs=0.005)
    assert set(error_curves(np.array([0.0, 1.0]), np.array([0.5, 1.0]))) == {"mae", "mse"}


def test_a_model_that_knows_nothing() -> None:
    """Constant scores, or a single class, have a reference without importances, not an error."""
    rows, truth = sample(50)
    flat = build_reference(1, manifest(Task.BINARY), EMPTY, (rows, truth), FixedPredictor(0.5, 0.5), HarmPolicy())
    assert set(flat.importances.values()) == {0.0}
    single = build_reference(1, manifest(Task.BINARY), EMPTY, (rows, ["no"] * 50), First(2), HarmPolicy())
    assert not single.measures["auroc"].defined
    assert set(single.importances.values()) == {0.0}


def test_rows_without_a_usable_outcome_are_left_out() -> None:
    """Null and unknown outcomes are not guessed; with none left there is no performance to compare to."""
    rows, truth = sample(60)
    mixed: list[Any] = [*truth[:40], *[None, "maybe"] * 10]
    found = build_reference(1, manifest(Task.BINARY), EMPTY, (rows, mixed), First(2), HarmPolicy())
    assert found.known is not None
    assert found.known.rows.sum() == 40
    bare = build_reference(1, manifest(Task.BINARY), EMPTY, (rows[:2], [None, "maybe"]), First(2), HarmPolicy())
    assert (bare.measures, bare.loss_bound) == ({}, None)


@pytest.mark.parametrize(
    ("task", "classes", "outcome", "expected"),
    [
        (Task.BINARY, ("0", "1"), 1, 1.0),
        (Task.BINARY, ("0", "1"), 1.0, 1.0),
        (Task.BINARY, ("0", "1"), "1", 1.0),
        (Task.BINARY, ("false", "true"), True, 1.0),
        (Task.BINARY, ("0", "1"), 2, None),
        (Task.MULTICLASS, ("a", "b"), "b", 1.0),
        (Task.REGRESSION, (), 2, 2.0),
        (Task.REGRESSION, (), "2", None),
        (Task.REGRESSION, (), float("nan"), None),
        (Task.BINARY, ("0", "1"), None, None),
    ],
)
def test_outcomes_by_task(task: Task, classes: tuple[str, ...], outcome: Any, expected: float | None) -> None:
    """An outcome is its class's number, or its value; what the model cannot mean is None."""
    bare = Reference(1, manifest(task, classes).contract, 0.5, EMPTY, {}, {})
    assert bare.truth_of(outcome) == expected
