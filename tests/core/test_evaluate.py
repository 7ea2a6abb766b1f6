"""Answers against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead.core.contract import Contract, Task
from fairlead.core.evaluate import by_subgroup, metrics_of, primary_metric, scores, truth_of
from fairlead.errors import UsageError

BINARY = Contract((), Task.BINARY, "y", ("0", "1"))
VALUE = Contract((), Task.REGRESSION, "y")


@pytest.mark.parametrize("labels", [[0, 1, 1], [0.0, 1.0, 1.0], ["0", "1", "1"]])
def test_labels_of_any_type_are_class_numbers(labels: list[Any]) -> None:
    """However the file carries a label, it is the same class."""
    assert truth_of(BINARY, labels).tolist() == [0.0, 1.0, 1.0]


def test_a_foreign_label_is_refused() -> None:
    """A label that the model cannot answer, or no number where one is due, is named with the target."""
    with pytest.raises(UsageError, match=r"'y' holds '2', but the model's classes are 0, 1"):
        truth_of(BINARY, [0, 2])
    for labels in (["a"], [float("inf")], [None]):
        with pytest.raises(UsageError, match="'y' of a regression"):
            truth_of(VALUE, labels)


def test_the_score_is_what_the_log_holds() -> None:
    """The last class's probability, the predicted class's, or the value."""
    answers = np.array([[0.7, 0.1, 0.2]])
    assert scores(Task.MULTICLASS, answers).tolist() == [0.7]
    assert scores(Task.BINARY, np.array([[0.4, 0.6]])).tolist() == [0.6]
    assert scores(Task.REGRESSION, np.array([[3.0]])).tolist() == [3.0]


def test_metrics_of_each_task() -> None:
    """Known answers have known metrics."""
    probability = np.array([0.1, 0.4, 0.35, 0.8])
    answers = np.column_stack([1 - probability, probability])
    binary = metrics_of(Task.BINARY, np.array([0.0, 0, 1, 1]), answers, 0.5)
    assert binary["auroc"] == 0.75
    assert binary["accuracy"] == 0.75
    assert binary["brier"] == pytest.approx(np.mean((probability - [0, 0, 1, 1]) ** 2))
    three = metrics_of(Task.MULTICLASS, np.array([0.0, 2]), np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]), 0.5)
    assert three == {"accuracy": 0.5, "log_loss": pytest.approx((np.log(2) + np.log(4)) / 2)}
    value = metrics_of(Task.REGRESSION, np.array([1.0, 3.0]), np.array([[2.0], [3.0]]), 0.5)
    assert [value["mae"], value["rmse"], value["r2"]] == pytest.approx([0.5, 0.5**0.5, 0.5])


def test_an_undefined_metric_is_left_out() -> None:
    """One class alone has no area under the curve; a NaN would not survive JSON."""
    metrics = metrics_of(Task.BINARY, np.array([1.0]), np.array([[0.5, 0.5]]), 0.5)
    assert "auroc" not in metrics
    assert metrics["accuracy"] == 1.0


def test_subgroups_with_enough_rows() -> None:
    """Each value of a segment has its own metric; a few rows say nothing."""
    truth = np.array([0.0, 1.0] * 25 + [1.0])
    answers = np.column_stack([1 - truth, truth])
    answers[:40] = answers[:40, ::-1]
    groups = ["city"] * 40 + ["resort"] * 10 + [None]
    assert by_subgroup(Task.BINARY, truth, answers, groups, 0.5) == {"city": (40, 0.0)}
    assert primary_metric(Task.BINARY) == "auroc"
