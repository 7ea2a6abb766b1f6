"""The log as Delta tables."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.adapters.delta_log import DeltaLog, is_sampled
from fairlead.adapters.delta_rows import schema, to_outcomes, to_predictions, to_rows
from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import Batch, Keeping
from fairlead.testing.log import check_table, make_prediction

DAY = 86_400.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def batch(*records: Prediction, at: int = 1, source: str = "w000-1-1") -> Batch:
    """Predictions as they come from a segment."""
    places = tuple(range(len(records)))
    return Batch(PREDICTIONS, ("s.seg",) * len(records), places, records, {source: at})


def truths(*records: OutcomeRecord, at: int = 1) -> Batch:
    """Outcomes as they come from a segment."""
    return Batch(OUTCOMES, ("s.seg",) * len(records), tuple(range(len(records))), records, {"w000-1-1": at})


def received(request: str, days_ago: float, **changes: Any) -> Prediction:
    """A prediction of some days ago."""
    at = NOW - days_ago * DAY
    return make_prediction(request, received_at=at, timestamp=at, **changes)


def ids(log: DeltaLog, kind: str = PREDICTIONS) -> list[str]:
    """All request ids in a table, sorted."""
    return sorted(value for rows in log.batches(kind) for value in rows.column("request_id").to_pylist())


def files(folder: Path) -> Iterator[bytes]:
    """Every byte under a folder."""
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


# -- rows ------------------------------------------------------------------------------------------------------------

instants = st.integers(0, 2 * 10**15).map(lambda micros: micros / 1e6)
labels = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), numbers, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(), inner, max_size=2)),
    max_leaves=4,
)
predictions = st.builds(
    Prediction,
    request_id=st.text(),
    model_name=st.text(min_size=1),
    model_version=st.integers(1, 2**62),
    arm=st.text(),
    unit_id=st.text(),
    propensity=numbers,
    timestamp=instants,
    received_at=instants,
    features=st.dictionaries(st.text(), values, max_size=3).map(lambda each: Raw(msgspec.json.encode(each))),
    prediction=st.none() | labels,
    score=st.none() | numbers,
    latency_ms=numbers,
    probabilities=st.none() | st.lists(numbers).map(tuple),
    status=st.integers(200, 599),
    error=st.none() | st.text(),
    shadow_of=st.none() | st.integers(1, 99),
    trace_id=st.none() | st.text(),
    rollout=st.text(),
)


def plain(record: Prediction) -> tuple[object, ...]:
    """A record's fields; instants to a microsecond, because a float near 2030 is no finer than a quarter of one."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    fields |= {"features": bytes(record.features), "timestamp": round(record.timestamp, 5)}
    fields |= {"received_at": round(record.received_at, 5)}
    return tuple(repr(value) for value in fields.values())


@settings(max_examples=50, deadline=None)
@given(st.lists(predictions, min_size=1, max_size=5))
def test_a_prediction_survives_as_a_row(records: list[Prediction]) -> None:
    """Every field comes back with its type, whatever a caller or a model put there."""
    rows = to_rows(batch(*records))
    assert rows.schema == schema(PREDICTIONS)
    back = [record for part in rows.to_batches() for record in to_predictions(part)]
    for was, now in zip(records, back, strict=True):
        assert abs(was.timestamp - now.timestamp) <= 2e-6
        assert abs(was.received_at - now.received_at) <= 2e-6
        same = msgspec.structs.replace(now, timestamp=was.timestamp, received_at=was.received_at)
        assert plain(same) == plain(was)


@settings(max_examples=50, deadline=None)
@given(st.builds(OutcomeRecord, st.text(), labels, instants, instants))
def test_an_outcome_survives_as_a_row(record: OutcomeRecord) -> None:
    """The same for outcomes: 1, 1.0 and "1" stay apart."""
    (part,) = to_rows(truths(record)).to_batches()
    (back,) = to_outcomes(part)
    assert repr((back.request_id, back.outcome)) == repr((record.request_id, record.outcome))


@pytest.mark.parametrize("at", [-1.0, 2.6e11, 1e300])
def test_what_is_no_event_time_belongs_to_no_window(at: float) -> None:
    """It is null in the table, and comes back as an instant that the watch passes over."""
    rows = to_rows(batch(make_prediction("a", timestamp=at)))
    assert rows["timestamp"].to_pylist() == [None]
    (part,) = rows.to_batches()
    assert [record.timestamp for record in to_predictions(part)] == [-1.0]


def test_features_are_typed_by_what_they_are() -> None:
    """Numbers in one map; text, booleans and nested values in another; null in neither; the JSON as it came."""
    sent = b'{"n": 1, "x":2.5, "t":"a", "b":true, "none":null, "deep":{"k":[1]}}'
    rows = to_rows(batch(make_prediction("a", features=Raw(sent))))
    assert rows["features"].to_pylist() == [sent.decode()]
    assert rows["feature_numbers"].to_pylist() == [[("n", 1.0), ("x", 2.5)]]
    assert rows["feature_texts"].to_pylist() == [[("t", "a"), ("b", "true"), ("deep", '{"k":[1]}')]]


def test_a_record_that_fits_no_table_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    """A version beyond 64 bits among others: it is left out and named, and the others are there in order."""
    records = [make_prediction(f"r{number}") for number in range(9)]
    records[4] = make_prediction("r4", model_version=2**64)
    rows = to_rows(batch(*records))
    assert rows["request_id"].to_pylist() == [f"r{number}" for number in range(9) if number != 4]
    assert "byte 4 of s.seg" in caplog.text


# -- commits ---------------------------------------------------------------------------------------------------------


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a table of the log, for each who opens it."""
    check_table(lambda: DeltaLog(str(tmp_path)))


@pytest.mark.parametrize("url", [False, True])
def test_rows_and_reach_are_one_commit(tmp_path: Path, url: bool) -> None:
    """A folder and its URL work alike; each source's reach is kept, an unknown one stands at 0."""
    log = DeltaLog(tmp_path.as_uri() if url else str(tmp_path))
    assert log.reached(PREDICTIONS)("w000-1-1") == 0
    log.append(batch(make_prediction("a"), at=7))
    log.append(batch(make_prediction("b", model_name="it's / 100 %"), at=9, source="w001-1-1"))
    log.append(batch(at=8))
    reached = DeltaLog(str(tmp_path)).reached(PREDICTIONS)
    assert (reached("w000-1-1"), reached("w001-1-1"), reached("w002-1-1")) == (8, 9, 0)
    assert ids(log) == ["a", "b"]


def test_other_engines_read_the_table_as_it_is(tmp_path: Path) -> None:
    """polars by its own Delta reader, and its Parquet files alone with the partitions of their paths."""
    log = DeltaLog(str(tmp_path))
    log.append(batch(received("a", 2.0), received("b", 1.0, model_name="other"), received("c", 1.0)))
    frame = pl.read_delta(log.location(PREDICTIONS)).sort("request_id")
    assert frame["request_id"].to_list() == ["a", "b", "c"]
    assert frame["day"].to_list() == [datetime.fromtimestamp(NOW - days * DAY, UTC).date() for days in (2, 1, 1)]
    assert frame["feature_numbers"].to_list()[0] == {"lead_time": 7.0}
    assert frame["timestamp"].dtype == pl.Datetime("us", "UTC")
    held = pl.read_parquet(log.open(PREDICTIONS).file_uris(), hive_partitioning=True)
    assert sorted(held["model_name"].to_list()) == ["hotel", "hotel", "other"]


def test_duckdb_reads_the_table_as_it_is(tmp_path: Path) -> None:
    """The Parquet files that the table names, with their partitions; or the Arrow data set, with no files named. A
    feature is one look into a map, and predictions meet their outcomes by id."""
    log = DeltaLog(str(tmp_path))
    features = Raw(b'{"lead_time": 7, "country": "PRT"}')
    log.append(batch(received("a", 1.0, features=features), received("b", 1.0, model_name="it's / 100 %")))
    log.append(truths(OutcomeRecord("a", "yes", NOW, NOW)))
    tables = {kind: log.open(kind).to_pyarrow_dataset() for kind in (PREDICTIONS, OUTCOMES)}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        files = {"files": log.open(PREDICTIONS).file_uris()}
        query = """SELECT model_name, feature_numbers['lead_time'], feature_texts['country'], CAST(timestamp AS VARCHAR)
                   FROM read_parquet($files, hive_partitioning = true) ORDER BY request_id"""
        at = "2026-02-28 12:00:00+00"
        found = database.execute(query, files).fetchall()
        assert found == [("hotel", 7.0, "PRT", at), ("it's / 100 %", 7.0, None, at)]
        for kind, table in tables.items():
            database.register(kind, table)
        joined = "SELECT p.request_id, o.outcome FROM predictions p LEFT JOIN outcomes o USING (request_id) ORDER BY 1"
        assert database.execute(joined).fetchall() == [("a", "yes"), ("b", None)]


@pytest.mark.parametrize("rest", [b"", b'{"add": {"path"', b'{"add":{"path":"gone.parquet","size":3}}\n'])
def test_a_commit_that_a_power_cut_left_half_written_is_moved_aside(tmp_path: Path, rest: bytes) -> None:
    """What was acknowledged stands; the rows of the half-written commit are read from their segments again."""
    log = DeltaLog(str(tmp_path))
    log.append(batch(make_prediction("a"), at=1))
    log.append(batch(make_prediction("b"), at=2))
    (tmp_path / PREDICTIONS / "_delta_log" / f"{1:020d}.json").write_bytes(rest)
    assert log.reached(PREDICTIONS)("w000-1-1") == 1
    assert ids(log) == ["a"]
    log.append(batch(make_prediction("b"), at=2))
    assert ids(log) == ["a", "b"]


def test_a_first_commit_that_was_cut_is_begun_again(tmp_path: Path) -> None:
    """A table that never held anything is no table."""
    log = DeltaLog(str(tmp_path))
    log.append(batch(make_prediction("a"), at=1))
    (tmp_path / PREDICTIONS / "_delta_log" / f"{0:020d}.json").write_bytes(b"")
    assert log.reached(PREDICTIONS)("w000-1-1") == 0
    log.append(batch(make_prediction("a"), at=1))
    assert ids(log) == ["a"]


def test_a_table_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    """A file in the folder's place."""
    (tmp_path / "table").write_text("in the way")
    with pytest.raises(StateError, match="it is tried again"):
        DeltaLog(str(tmp_path / "table")).append(batch(make_prediction("a")))


FULL = """
import resource, signal, sys
from fairlead.adapters.delta_log import DeltaLog
from fairlead.errors import StateError
from tests.adapters.test_delta_log import batch, make_prediction
log = DeltaLog(sys.argv[1])
log.append(batch(make_prediction("before"), at=1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
was = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, was[1]))
many = [make_prediction(f"r{number}") for number in range(2000)]
try:
    log.append(batch(*many, at=2))
except StateError as error:
    print(error.line)
resource.setrlimit(resource.RLIMIT_FSIZE, was)
assert log.reached("predictions")("w000-1-1") == 1
log.append(batch(*many, at=2))
"""


def test_a_disk_that_takes_no_more_loses_nothing(tmp_path: Path) -> None:
    """The kernel refuses to write on: one line says so, the table stands as before, the same batch goes in later."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout
    assert len(ids(DeltaLog(str(tmp_path)))) == 2001
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2048


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_old_days_are_dropped_with_their_bytes(tmp_path: Path) -> None:
    """Whole days beyond the retention leave both tables and the disk; younger ones stay."""
    log = DeltaLog(str(tmp_path))
    log.append(batch(received("old", 91.0, unit_id="aged-subject"), received("young", 89.0)))
    at = NOW - 100 * DAY
    log.append(truths(OutcomeRecord("aged-request", 1, at, at), OutcomeRecord("young", 1, NOW, NOW)))
    assert log.tend(Keeping(), NOW).dropped_days == 0
    tended = log.tend(Keeping(retention=90 * DAY), NOW)
    assert tended.dropped_days == 2
    assert (ids(log), ids(log, OUTCOMES)) == (["young"], ["young"])
    assert not any(b"aged-" in content for content in files(tmp_path))


def test_sampling_keeps_failures_outcomes_and_a_fixed_share(tmp_path: Path) -> None:
    """A day is thinned once: a second look changes nothing, and each kept row knows the share that it stands for."""
    log = DeltaLog(str(tmp_path))
    old = [received(f"r{number}", 40.0) for number in range(400)]
    old += [received(f"e{number}", 40.0, status=500, error="x") for number in range(20)]
    log.append(batch(*old, *(received(f"y{number}", 10.0) for number in range(50)), at=1))
    log.append(truths(*(OutcomeRecord(f"r{number}", 1, NOW, NOW) for number in range(100)), at=1))
    keeping = Keeping(rest=0.25, thin_after=30 * DAY)
    tended = log.tend(keeping, NOW)
    chosen = {f"r{number}" for number in range(100, 400) if is_sampled(f"r{number}", 0.25)}
    certain = {f"r{number}" for number in range(100)} | {f"e{number}" for number in range(20)}
    young = {f"y{number}" for number in range(50)}
    assert set(ids(log)) == chosen | certain | young
    assert tended.thinned_rows == 300 - len(chosen)
    assert log.tend(keeping, NOW).thinned_rows == 0
    frame = pl.read_delta(log.location(PREDICTIONS))
    weights = dict(zip(frame["request_id"], frame["sampled"], strict=True))
    assert {weights[each] for each in chosen} == {0.25}
    assert {weights[each] for each in certain | young} == {1.0}


def test_small_files_of_days_that_are_over_are_merged(tmp_path: Path) -> None:
    """Today's stay, as more come; rows and reach do not change."""
    log = DeltaLog(str(tmp_path))
    for number in range(6):
        log.append(batch(received(f"a{number}", 1.0), received(f"b{number}", 0.0), at=number + 1))
    assert log.tend(Keeping(), NOW).merged_files == 6
    assert len(log.open(PREDICTIONS).file_uris()) == 7
    assert (len(ids(log)), log.reached(PREDICTIONS)("w000-1-1")) == (12, 6)


HOSTILE = ["anna", "o'brien", "'; DROP TABLE x --", "ü\x00ü", "%_*", "", "a\\'b"]


@settings(
    max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(unit=st.sampled_from(HOSTILE))
def test_a_subject_leaves_no_byte(tmp_path_factory: pytest.TempPathFactory, unit: str) -> None:
    """Erased by unit id: predictions, outcomes, old files and the table's own log hold nothing; others stay."""
    folder = tmp_path_factory.mktemp("erase")
    log = DeltaLog(str(folder))
    mark = "MARKED-SUBJECT"
    doomed = [received(f"{mark}{number}", number, unit_id=unit, trace_id=mark) for number in range(3)]
    log.append(batch(*doomed, *(received(f"b{number}", number, unit_id="ben") for number in range(5)), at=5))
    outcomes = [OutcomeRecord(f"{mark}1", 1, NOW, NOW), OutcomeRecord("b1", 1, NOW, NOW)]
    log.append(truths(*outcomes, at=5))
    requests = log.requests_of(unit)
    assert requests == {f"{mark}{number}" for number in range(3)}
    assert log.erase(unit, requests) == (3, 1)
    assert (ids(log), ids(log, OUTCOMES)) == ([f"b{number}" for number in range(5)], ["b1"])
    assert not any(mark.encode() in content for content in files(folder))
    assert log.reached(PREDICTIONS)("w000-1-1") == 5
    assert log.erase(unit, requests) == (0, 0)
