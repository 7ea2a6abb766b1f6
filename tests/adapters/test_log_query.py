"""Predictions with what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.log_query import predictions_with_outcomes
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_store import SegmentStore
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.flows.compact import Compactor
from fairlead.testing.log import make_prediction

requests = st.sampled_from("abcd")
predictions = st.builds(
    make_prediction,
    requests,
    model_name=st.sampled_from(["hotel", "other"]),
    model_version=st.integers(1, 2),
    unit_id=st.sampled_from("uv"),
    timestamp=st.integers(0, 5).map(float),
    received_at=st.integers(0, 5).map(float),
    status=st.sampled_from([200, 500]),
)
outcomes = st.builds(
    OutcomeRecord, requests, st.sampled_from([0, 1, "x"]), st.integers(0, 3).map(float), st.integers(0, 3).map(float)
)
records = st.lists(st.one_of(predictions, outcomes), max_size=12)


def expected(written: list[Prediction | OutcomeRecord]) -> list[tuple[Any, ...]]:
    """The join by its definition, over what was written."""
    latest: dict[str, OutcomeRecord] = {}
    for record in written:
        if isinstance(record, OutcomeRecord):
            best = latest.get(record.request_id)
            if best is None or word(best) <= word(record):
                latest[record.request_id] = record
    first: dict[object, Prediction] = {}
    for place, record in enumerate(written):
        if isinstance(record, Prediction):
            key = (record.request_id, record.model_name, record.model_version, record.arm, record.unit_id)
            attempt: object = key if record.status < 500 else (key, place)
            known = first.get(attempt)
            if record.model_name == "hotel" and 1.0 <= record.timestamp < 5.0:
                first[attempt] = record if known is None or record.received_at < known.received_at else known
    return sorted(
        (each.request_id, each.model_version, each.unit_id, each.timestamp, each.received_at, each.status, said(truth))
        for each in first.values()
        for truth in [latest.get(each.request_id)]
    )


def word(outcome: OutcomeRecord) -> tuple[float, float, str]:
    """What decides which of two outcomes is the latest."""
    return outcome.observed_at, outcome.received_at, said(outcome)


def said(outcome: OutcomeRecord | None) -> str:
    """An outcome as the table tells it; nothing for none."""
    return "" if outcome is None else str(outcome.outcome)


def found(folder: Path) -> list[tuple[Any, ...]]:
    """The query's answer, in the same words."""
    table = DeltaLog(str(folder / "table"))
    rows = predictions_with_outcomes(SegmentStore(folder), table, "hotel", 1.0, 5.0).to_pylist()
    return sorted(
        (
            *(row["request_id"], row["model_version"], row["unit_id"]),
            *(row["timestamp"].timestamp(), row["received_at"].timestamp(), row["status"], row["outcome"] or ""),
        )
        for row in rows
    )


@settings(max_examples=20, deadline=None)
@given(written=records, moved_after=st.integers(0, 12))
def test_whichever_comes_first_each_prediction_has_its_outcome(
    tmp_path_factory: pytest.TempPathFactory, written: list[Prediction | OutcomeRecord], moved_after: int
) -> None:
    """In any order, told twice, asked twice, a part in the table and the rest in segments: the join is the same."""
    folder = tmp_path_factory.mktemp("query")
    log = SegmentLog(folder, 0)
    compactor = Compactor(SegmentStore(folder), DeltaLog(str(folder / "table")), SystemClock())
    for number, record in enumerate(written):
        if number == moved_after:
            compactor.move()
        if isinstance(record, Prediction):
            log.predictions([record])
        else:
            log.outcomes([record])
    log.close()
    assert found(folder) == expected(written)


def test_what_has_no_outcome_yet_is_there(tmp_path: Path) -> None:
    """Without a table and without outcomes, the columns are the same and empty."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction("a", timestamp=2.0)])
    log.close()
    rows = predictions_with_outcomes(SegmentStore(tmp_path), None, "hotel", 0.0, 3.0)
    assert rows.column_names[-3:] == ["outcome", "outcome_number", "observed_at"]
    assert rows.to_pylist()[0]["outcome"] is None
