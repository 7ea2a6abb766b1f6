"""label_queue: log -> a model's recent answers with the labels that are known, ready to be drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.core import fallback
from fairlead.core.contract import Contract, Task
from fairlead.core.inference import label_text
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports import LogReader
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import NumericColumn
from fairlead.stats.performance import Floats

UNASKED = ("shadow", fallback.ARM)
MOST = 200_000  # answers that are looked at, the latest


class Asked(Struct, frozen=True, eq=False):
    """One answer, and the last word on what happened, if any is known."""

    record: Prediction
    outcome: OutcomeRecord | None = None


def recent(open_log: Callable[[], LogReader], model: str, seconds: float) -> list[Asked]:
    """The answers of the log's last `seconds` of event time, at most the latest 200,000, oldest first; each with its
    label. The log is read twice."""
    answers: dict[str, Prediction] = {}
    latest = 0.0
    for predictions, _ in _read(open_log()):
        for one in predictions:
            if one.model_name == model and one.shadow_of is None and one.arm not in UNASKED and one.status == 200:
                answers.setdefault(one.request_id, one)
                latest = max(latest, one.timestamp)
        if len(answers) > 2 * MOST:
            answers = _latest(answers, latest - seconds)
    answers = _latest(answers, latest - seconds)
    labels: dict[str, OutcomeRecord] = {}
    for _, outcomes in _read(open_log()):
        for outcome in outcomes:
            before = labels.get(outcome.request_id)
            if outcome.request_id in answers and (before is None or _order(before) <= _order(outcome)):
                labels[outcome.request_id] = outcome
    return [Asked(one, labels.get(identity)) for identity, one in answers.items()]


def wrongness(rows: Sequence[Asked], contract: Contract) -> Floats:
    """A guess at each row's loss (n,), made without its label: the probability that its class is wrong, by its score; 0
    for values, of which a log holds no doubt."""
    if contract.task is Task.REGRESSION:
        return np.zeros(len(rows))
    return np.array([_doubt(one.record, contract) for one in rows], np.float64)


def losses(rows: Sequence[Asked], contract: Contract) -> Floats:
    """Each labelled row's loss (n,): 1 for a wrong class, or the absolute error; nan where there is no usable label."""
    return np.array([_loss(one, contract) for one in rows], np.float64)


def strangeness(rows: Sequence[Asked], contract: Contract, heldout: Dataset) -> Floats:
    """How far each row lies off the held-out rows (n,): the share of its features beyond their middle 95 %, or in
    categories that one row in a hundred has, or none."""
    found = np.zeros(len(rows))
    values = [msgspec.json.decode(one.record.features) for one in rows]
    for feature in contract.features:
        (column,) = heldout.columns([feature.name])
        given = [row.get(feature.name) if isinstance(row, dict) else None for row in values]
        found += _odd(column, given)
    return found / max(len(contract.features), 1)


def _odd(column: Any, given: list[Any]) -> Floats:
    if isinstance(column, NumericColumn):
        usual = np.asarray(column.values, np.float64)
        usual = usual[~np.isnan(usual)]
        if not usual.size:
            return np.zeros(len(given))
        low, high = np.quantile(usual, [0.025, 0.975])
        told = np.array([one if isinstance(one, int | float) else np.nan for one in given], np.float64)
        return np.asarray(~((told >= low) & (told <= high)), np.float64)
    codes = np.asarray(column.codes)
    counts = np.bincount(codes[codes >= 0], minlength=len(column.categories))
    usual_ones = {name for name, count in zip(column.categories, counts, strict=True) if count >= 0.01 * codes.size}
    return np.array([0.0 if one is not None and label_text(one) in usual_ones else 1.0 for one in given])


def _doubt(record: Prediction, contract: Contract) -> float:
    score = record.score
    if score is None or record.prediction is None:
        return 0.5
    if contract.task is Task.MULTICLASS:
        return 1.0 - score
    decided_last = label_text(record.prediction) == contract.classes[-1]
    return 1.0 - score if decided_last else score


def _loss(one: Asked, contract: Contract) -> float:
    if one.outcome is None or one.record.prediction is None:
        return float("nan")
    said, true = one.record.prediction, one.outcome.outcome
    if contract.task is Task.REGRESSION:
        return float("nan") if isinstance(true, str) or isinstance(said, str) else abs(float(said) - float(true))
    text = label_text(true)
    return float(text != label_text(said)) if text in contract.classes else float("nan")


def _latest(answers: dict[str, Prediction], since: float) -> dict[str, Prediction]:
    found = sorted((one for one in answers.values() if one.timestamp >= since), key=lambda one: one.timestamp)
    return {one.request_id: one for one in found[-MOST:]}


def _order(outcome: OutcomeRecord) -> tuple[float, float]:
    return outcome.observed_at, outcome.received_at


def _read(reader: LogReader) -> Iterator[tuple[Sequence[Prediction], Sequence[OutcomeRecord]]]:
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return
        yield predictions, outcomes
