"""The log as training data: what was asked, joined with what really happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from fairlead.core.contract import Contract, Kind, Task
from fairlead.core.inference import label_text
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports import LogReader


class Labelled(NamedTuple):
    """An answered request whose outcome was known. `at` is its event time."""

    at: float
    request_id: str
    features: msgspec.Raw
    outcome: float | int | str


def labelled(
    reader: LogReader, model: str, limit: int, without: Sequence[tuple[float, float]] = ()
) -> tuple[Labelled, ...]:
    """The latest `limit` answered requests of a model whose outcome is known by now, in order of event time; those of
    the spans `without` (event time, the end excluded) are passed over.

    Now is the latest event time in the log: nothing that became known after it is used. Of an outcome that was told
    again the latest word counts. Shadows are left out: they are the same rows once more.
    """
    asked: dict[str, Prediction] = {}
    known: dict[str, OutcomeRecord] = {}
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            break
        for prediction in predictions:
            if prediction.model_name == model and prediction.shadow_of is None and prediction.status == 200:
                asked[prediction.request_id] = prediction
        for outcome in outcomes:
            before = known.get(outcome.request_id)
            if before is None or outcome.received_at >= before.received_at:
                known[outcome.request_id] = outcome
    now = max((prediction.timestamp for prediction in asked.values()), default=0.0)
    rows = [
        Labelled(prediction.timestamp, request_id, prediction.features, known[request_id].outcome)
        for request_id, prediction in asked.items()
        if request_id in known and known[request_id].observed_at <= now
        if not any(start <= prediction.timestamp < end for start, end in without)
    ]
    rows.sort(key=lambda row: (row.at, row.request_id))
    return tuple(rows[max(0, len(rows) - limit) :])


def asked_a_day(reader: LogReader, model: str, most_days: float = 30.0) -> float:
    """How many requests of a model were answered a day, in the log's last `most_days` of event time; shadows and
    failures left out. 0 where there are fewer than two."""
    times: list[float] = []
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            break
        times += [
            one.timestamp
            for one in predictions
            if one.model_name == model and one.shadow_of is None and one.status == 200
        ]
    since = max(times, default=0.0) - most_days * 86_400.0
    times = [at for at in times if at >= since]
    if len(times) < 2:
        return 0.0
    return len(times) / max((max(times) - min(times)) / 86_400.0, 1.0 / 24.0)


def as_columns(rows: Sequence[Labelled], contract: Contract) -> dict[str, list[Any]]:
    """The rows as columns: the contract's features in its order, then the target.

    A label is told as 0, 1.0 or "1" as the caller likes: here each class has one spelling, and a row whose outcome is
    no class (or, in a regression, no number) is left out.
    """
    truths = [_truth(row.outcome, contract) for row in rows]
    rows = [row for row, truth in zip(rows, truths, strict=True) if truth is not None]
    decoded = [msgspec.json.decode(row.features) for row in rows]
    columns: dict[str, list[Any]] = {
        feature.name: [_typed(row.get(feature.name), feature.kind) for row in decoded] for feature in contract.features
    }
    columns[contract.target] = [truth for truth in truths if truth is not None]
    return columns


def _truth(outcome: float | int | str, contract: Contract) -> float | int | str | None:
    if contract.task is Task.REGRESSION:
        return None if isinstance(outcome, str) else float(outcome)
    text = label_text(outcome)
    if text not in contract.classes:
        return None
    return int(text) if all(name.lstrip("-").isdigit() for name in contract.classes) else text


def _typed(value: Any, kind: Kind) -> Any:
    """JSON writes 3.0 as 3 or 3.0 as the caller likes: a number is a float in every row."""
    return float(value) if kind is Kind.NUMBER and value is not None else value
