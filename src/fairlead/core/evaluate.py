"""A model's answers against what really happened."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Task
from fairlead.core.inference import label_text
from fairlead.errors import UsageError
from fairlead.stats.performance import multiclass_log_loss
from fairlead.stats.scorecard import BINARY, MULTICLASS, REGRESSION, binary_card, multiclass_card, regression_card

Floats = NDArray[np.float64]

_PRIMARY = {Task.BINARY: BINARY, Task.MULTICLASS: MULTICLASS, Task.REGRESSION: REGRESSION}
_FEWEST = 30  # rows of a subgroup below which a metric says little


def truth_of(contract: Contract, labels: Sequence[Any]) -> Floats:
    """Outcomes as numbers: the class's place in the contract, or the value itself; shape (n,).

    Raises `UsageError` for a label that is none of the model's classes, or no finite number.
    """
    if contract.task is Task.REGRESSION:
        try:
            values = np.asarray(labels, np.float64)
        except (TypeError, ValueError):
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            raise UsageError(f"the target {contract.target!r} of a regression holds something else than finite numbers")
        return values
    places = {label: float(place) for place, label in enumerate(contract.classes)}
    texts = [label_text(label) for label in labels]
    unknown = sorted(set(texts) - set(places))
    if unknown:
        raise UsageError(
            f"the target {contract.target!r} holds {unknown[0]!r}, but the model's classes are "
            f"{', '.join(contract.classes)}: give the data that it was trained on"
        )
    return np.array([places[text] for text in texts], np.float64)


def scores(task: Task, answers: Floats) -> Floats:
    """One score per row, as a prediction record holds it: the last class's probability (binary), the predicted
    class's (multiclass), or the value; (n, k) in, (n,) out."""
    if task is Task.MULTICLASS:
        return np.asarray(answers.max(axis=1))
    return np.asarray(answers[:, -1])


def metrics_of(task: Task, truth: Floats, answers: Floats, threshold: float) -> dict[str, float]:
    """The task's metrics on (n,) truths and (n, k) answers; one that the rows do not define is left out."""
    if task is Task.BINARY:
        score = answers[:, -1]
        card = binary_card(truth, score, (score >= threshold).astype(np.float64))
    elif task is Task.MULTICLASS:
        card = multiclass_card(truth, answers.argmax(axis=1))
        card["log_loss"] = multiclass_log_loss(truth, answers)
    else:
        card = regression_card(truth, answers[:, 0])
    return {name: measure.value for name, measure in card.items() if isfinite(measure.value)}


def by_subgroup(
    task: Task, truth: Floats, answers: Floats, groups: Sequence[Any], threshold: float
) -> dict[str, tuple[int, float]]:
    """Rows and the primary metric of each value of `groups`, where at least 30 rows define it; by name."""
    found: dict[str, tuple[int, float]] = {}
    texts = np.array(["missing" if group is None else label_text(group) for group in groups], np.object_)
    for name in sorted(set(texts.tolist())):
        mine = texts == name
        value = metrics_of(task, truth[mine], answers[mine], threshold).get(_PRIMARY[task])
        if value is not None and mine.sum() >= _FEWEST:
            found[name] = (int(mine.sum()), value)
    return found


def primary_metric(task: Task) -> str:
    """The name of the metric that a task is first judged by."""
    return _PRIMARY[task]
