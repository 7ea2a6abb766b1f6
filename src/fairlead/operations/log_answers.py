"""What versions answered in a span of the log, as the watch counts it."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Raw

from fairlead.flows.backfill import Answers
from fairlead.flows.watch import UNWATCHED
from fairlead.operations.context import Context
from fairlead.operations.prediction_log import predictions_alone

if TYPE_CHECKING:
    import pyarrow as pa


def answers_of(context: Context, model: str, since: float, until: float) -> dict[int, Answers]:
    """By version, each request once, the first answer that was received: no shadows, no failures, no answers that were
    given in a version's place. Raises `StateError`."""
    table = predictions_alone(context, model, max(0.0, since), until)
    kept = _watched(table)
    versions = np.array(table["model_version"].to_pylist(), np.int64)[kept]
    found: dict[int, Answers] = {}
    for version in np.unique(versions).tolist():
        rows = [kept[place] for place in np.flatnonzero(versions == version).tolist()]
        found[version] = _answers(table.take(rows))
    return found


def _watched(table: pa.Table) -> list[int]:
    """The places of the rows that the watch counts."""
    columns = (table[name].to_pylist() for name in ("request_id", "arm", "status", "shadow_of"))
    seen: set[str] = set()
    kept = []
    for place, (request, arm, status, shadow_of) in enumerate(zip(*columns, strict=True)):
        if shadow_of is None and arm not in UNWATCHED and status == 200 and request not in seen:
            seen.add(request)
            kept.append(place)
    return kept


def _answers(table: pa.Table) -> Answers:
    import pyarrow as pa

    at = np.asarray(table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(), np.float64) / 1e6
    score = np.array([nan if one is None else one for one in table["score"].to_pylist()], np.float64)
    features: Sequence[Raw] = [Raw(text.encode()) for text in table["features"].to_pylist()]
    return Answers(at, score, features)
