"""Labels from files: every format, and every mistake."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.core.record import OutcomeRecord
from fairlead.errors import TableError
from fairlead.operations.outcomes import OutcomeColumns, batches, read_outcomes

NOON = 1_451_649_600.0  # 2016-01-01T12:00:00Z


def test_a_parquet_file_of_a_booking_system(tmp_path: Path) -> None:
    """Columns are named by the caller; integer ids become text; naive timestamps are UTC."""
    path = tmp_path / "bookings.parquet"
    table = pa.table({"booking_id": [7, 8], "is_canceled": [1, 0], "known_at": [datetime(2016, 1, 1, 12)] * 2})  # noqa: DTZ001 - a zone is what the file lacks
    pq.write_table(table, path)
    found = read_outcomes(path, 2e9, OutcomeColumns("booking_id", "is_canceled", "known_at"))
    assert found == (OutcomeRecord("7", 1, NOON, 2e9), OutcomeRecord("8", 0, NOON, 2e9))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "request_id,outcome,observed_at\na,1,2016-01-01T12:00:00Z\n"),
        ("labels.jsonl", '{"request_id":"a","outcome":1,"observed_at":"2016-01-01T13:00:00+01:00"}\n'),
        ("labels.json", '{"request_id":"a","outcome":1,"observed_at":1451649600}\n'),
    ],
)
def test_text_formats(tmp_path: Path, name: str, text: str) -> None:
    """CSV and JSON lines; instants as ISO text of any zone, or as seconds."""
    path = tmp_path / name
    path.write_text(text)
    assert read_outcomes(path, 2e9) == (OutcomeRecord("a", 1, NOON, 2e9),)


def test_without_instants_the_outcome_is_known_now(tmp_path: Path) -> None:
    """A file without `observed_at` is observed when it is read; text labels and dates are taken as they are."""
    path = tmp_path / "labels.csv"
    path.write_text("request_id,outcome\na,churned\n")
    assert read_outcomes(path, 5.0) == (OutcomeRecord("a", "churned", 5.0, 5.0),)
    dated = tmp_path / "dated.parquet"
    pq.write_table(pa.table({"request_id": ["a"], "outcome": [0.5], "observed_at": [date(2016, 1, 1)]}), dated)
    assert read_outcomes(dated, 5.0)[0].observed_at == NOON - 12 * 3600


@pytest.mark.parametrize("none", [None, float("nan")])
def test_rows_that_have_no_outcome_yet_are_left_out(tmp_path: Path, none: float | None) -> None:
    """A file of answers to be labelled is half filled in: what is there counts, the rest may come later."""
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"request_id": ["a", "b", None], "outcome": [none, 1.0, none]}), path)
    assert [(one.request_id, one.outcome) for one in read_outcomes(path, 5.0)] == [("b", 1.0)]
    text = tmp_path / "labels.csv"
    text.write_text("request_id,outcome\na,\nb,churned\n")
    assert [(one.request_id, one.outcome) for one in read_outcomes(text, 5.0)] == [("b", "churned")]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a"], "outcome": [1]}, "has no column 'request_id' \\(it has id, outcome\\)"),
        ({"request_id": ["a"]}, "has no column 'outcome'"),
        ({"request_id": ["a", None], "outcome": [1, 1]}, "row 2: there is no request id"),
        ({"request_id": ["a", "b"], "outcome": [1, float("inf")]}, "row 2: the outcome inf is no label"),
        ({"request_id": ["a"], "outcome": [float("nan")]}, "no row has an outcome: column 'outcome' is empty"),
        ({"request_id": ["a"], "outcome": [None]}, "no row has an outcome"),
        ({"request_id": ["a"], "outcome": [[1]]}, "is no label and no number"),
        (
            {"request_id": ["a"], "outcome": [1], "observed_at": ["soon"]},
            "row 1, observed_at: 'soon' is not an instant",
        ),
        ({"request_id": ["a"], "outcome": [1], "observed_at": [None]}, "None is not an instant"),
        ({"request_id": ["a"], "outcome": [1], "observed_at": [True]}, "True is not an instant"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, columns: dict[str, list[object]], says: str) -> None:
    """The error names the file and the column or the row, and the fix."""
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(TableError, match=says):
        read_outcomes(path, 0.0)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A path that leads nowhere is a table error."""
    with pytest.raises(TableError, match="does not exist"):
        read_outcomes(tmp_path / "labels.parquet", 0.0)


def test_batches_lose_nothing() -> None:
    """Bodies of at most the given size, in order, in the shape of the data plane."""
    outcomes = [OutcomeRecord(str(number), number, 1.0, 2.0) for number in range(5)]
    bodies = list(batches(outcomes, 2))
    assert [len(body) for body in bodies] == [2, 2, 1]
    assert bodies[0][0] == {"request_id": "0", "outcome": 0, "observed_at": 1.0}
