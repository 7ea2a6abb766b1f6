"""A model's log as live code takes it: its records, in order of receipt, and its business events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Raw

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.core.page_budget import thresholds
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.window import WindowPlan
from fairlead.flows.backtest_answers import Answers
from fairlead.operations.backtest_values import Budget
from fairlead.operations.context import Context
from fairlead.operations.page_budget import dealt
from fairlead.stats.performance import Floats

if TYPE_CHECKING:
    import pyarrow as pa

_NOTHING = Raw(b"{}")
_COLUMNS = (
    "request_id", "model_version", "arm", "unit_id", "prediction", "score", "latency_ms", "status", "shadow_of",
)  # fmt: skip


def answers_of(
    context: Context, model: str, records: pa.Table, plan: WindowPlan, budget: Budget | None = None
) -> Answers:
    """All that the log holds of a model in the time of its `records`, as the settings have it judged (or another
    `budget` of pages would)."""
    settings = context.settings
    alpha = float(settings.monitoring.alpha)
    stated = None if budget is None else (budget.pages, budget.per_seconds)
    found = records_of(records, model)
    return Answers(
        found,
        _events(context, model, found),
        plan,
        float(settings.alerting.window),
        thresholds(dealt(context, model, stated, plan.seconds), alpha).conditions,
        alpha,
    )


def records_of(answers: pa.Table, model: str, *, features: bool = False) -> list[Prediction]:
    """The records of a table, in order of receipt; without the values of their features, unless these are asked for."""
    at, received = (instants_of(answers[name]) for name in ("timestamp", "received_at"))
    held = [answers[name].to_pylist() for name in _COLUMNS]
    texts = [Raw((text or "{}").encode()) for text in answers["features"].to_pylist()] if features else []
    found = []
    for place in np.argsort(received, kind="stable").tolist():
        request, version, arm, unit, said, score, latency, status, shadow = (column[place] for column in held)
        found.append(
            Prediction(
                request, model, version, arm, unit, 1.0, float(at[place]), float(received[place]),
                texts[place] if features else _NOTHING, said, score, latency, status=status, shadow_of=shadow,
            )
        )  # fmt: skip
    return found


def instants_of(values: pa.ChunkedArray) -> Floats:
    """Instants of the log, in seconds since 1970."""
    import pyarrow as pa

    return np.asarray(values.cast(pa.int64()).to_numpy(), np.float64) / 1e6


def _events(context: Context, model: str, records: list[Prediction]) -> list[EventRecord]:
    """The business events of a model from its first record on."""
    first = min((one.timestamp for one in records), default=0.0)
    events = SegmentFactReader(context.home / "log").events()
    return [one for one in events if one.model_name == model and one.at >= first]
