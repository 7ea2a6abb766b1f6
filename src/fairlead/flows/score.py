"""rows -> answers, many at a time: the predictor, the policies and the failures are those of `flows.serve`.

Columns go to the predictor as they are where it takes columns. Where it raises, or answers what is no answer, the same
rows go the way of a request, which tells the rows that fail from those that do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Task
from fairlead.core.decode import Row, labels
from fairlead.flows.serve import Failed, answer_rows
from fairlead.flows.warm import LiveVersion
from fairlead.ports.predictor import Cells, ColumnPredictor

BATCH = "batch"  # the arm of a row that nobody drew: the watch sees it, no rollout counts it


class Answered(NamedTuple):
    """Answers to n rows. `values` (n, k) are class probabilities or values, NaN in the rows of `failed`, which has
    the reason by place."""

    values: NDArray[np.float64]
    failed: dict[int, str]


def width(contract: Contract) -> int:
    """How many values a model answers for a row."""
    return 1 if contract.task is Task.REGRESSION else len(contract.classes)


def answer_columns(live: LiveVersion, columns: Sequence[Cells], rows: int) -> Answered:
    """Answers rows that are given as columns in the contract's order, `rows` long each."""
    if not rows:
        return Answered(np.empty((0, width(live.manifest.contract))), {})
    if isinstance(live.predictor, ColumnPredictor):
        try:
            values = live.predictor.predict_columns(columns)
        except Exception:  # noqa: BLE001 - whichever it was, row by row it shows in the rows that cause it
            return answer_many(live, rows_of(columns))
        if values.shape == (rows, width(live.manifest.contract)) and np.isfinite(values.sum(axis=1)).all():
            return Answered(values, {})
    return answer_many(live, rows_of(columns))


def rows_of(columns: Sequence[Cells]) -> list[Row]:
    """Columns as rows."""
    return list(zip(*(one.listed() for one in columns), strict=True))


def answer_many(live: LiveVersion, rows: Sequence[Row]) -> Answered:
    """Answers rows as a request is answered. A model that fails on some of them fails on no other."""
    values = np.full((len(rows), width(live.manifest.contract)), np.nan)
    failed: dict[int, str] = {}
    for place, answer in enumerate(answer_rows(live, rows) if rows else ()):
        if isinstance(answer, Failed):
            failed[place] = answer.error
        else:
            values[place] = answer.probabilities or (answer.score,)
    return Answered(values, failed)


def decided(live: LiveVersion, values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """What is predicted, (n,): labels, or values; and the score of each, as `core.record.Prediction` has it. Rows of
    NaN get anything."""
    contract = live.manifest.contract
    if contract.task is Task.REGRESSION:
        return values[:, 0], values[:, 0]
    named = labels(contract)
    known = np.array(named, np.int64 if isinstance(named[0], int) else np.object_)
    if contract.task is Task.BINARY:
        score = values[:, -1]
        return known[(score >= live.manifest.threshold).astype(np.intp)], score
    best = np.argmax(np.nan_to_num(values), axis=1) if len(values) else np.zeros(0, np.intp)
    return known[best], values[np.arange(len(values)), best]
