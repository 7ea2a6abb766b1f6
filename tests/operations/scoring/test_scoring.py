"""Batch inference as a whole: what goes in, what comes out, what is logged, and what is refused."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import csv

from fairlead.adapters.sources import rows as source_rows
from fairlead.core.contract import Contract, Task
from fairlead.core.decode import Answer
from fairlead.core.rollout import Baseline, Guardrail, Phase, Plan, Rollout, ShadowPlan, Step
from fairlead.errors import FairleadError, StateError
from fairlead.flows.evidence import Collector
from fairlead.flows.serve import answer_rows
from fairlead.flows.warm import LiveVersion
from fairlead.operations.context import Context
from fairlead.operations.scoring import score
from fairlead.operations.scoring_answers import schema_of
from fairlead.operations.scoring_values import Scored, Scoring
from fairlead.testing.engine import SerialEngine

Make = Callable[..., pa.Table]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short parts and chunks, so that a small table has many."""
    monkeypatch.setattr(source_rows, "PART", 256)
    monkeypatch.setattr(source_rows, "STREAMED", 192)
    monkeypatch.setattr(source_rows, "CHUNK", 64)


def run(context: Context, source: Path | str, output: Path | str, **more: Any) -> Scored:
    """Scores with hotel@1, by booking."""
    asked = Scoring(**{"version": "hotel@1", "id": "booking", **more, "source": str(source), "output": str(output)})
    return score(context, asked)


def read(output: Path) -> pa.Table:
    """Whatever was written, in its order."""
    if output.suffix == ".csv":
        options = csv.ConvertOptions(column_types={"error": pa.string()}, strings_can_be_null=True)
        return csv.read_csv(output, convert_options=options)
    if (output / "_delta_log").is_dir():
        return pa.table(DeltaTable(str(output)).to_pyarrow_table()).sort_by("request_id")
    if output.is_dir():
        return pa.concat_tables([pq.read_table(part) for part in sorted(output.iterdir())])
    return pq.read_table(output)


def written(folder: Path) -> set[str]:
    """What lies in a folder, hidden files included."""
    return {one.name for one in folder.iterdir()}


@pytest.mark.parametrize("engine", ["local", "serial"])
def test_every_row_has_its_answer_in_its_place(
    context: Context, live: LiveVersion, table: Make, tmp_path: Path, engine: str
) -> None:
    """The answers of the row path, in the input's order, through short and long row groups, by any engine."""
    data = table(1_000)
    pq.write_table(data, tmp_path / "in.parquet", row_group_size=390)
    asked = Scoring("hotel@1", str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), id="booking")
    found = score(context, asked, engine=SerialEngine() if engine == "serial" else None)
    assert (found.rows, found.refused, found.failed, found.resumed) == (1_000, 0, 0, 0)
    out = read(tmp_path / "out.parquet")
    assert out.column_names == ["request_id", "prediction", "probability_0", "probability_1", "status", "error",
                                "model_version", "arm", "fallback"]  # fmt: skip
    assert out.column("request_id").to_pylist() == data.column("booking").to_pylist()
    names = live.manifest.contract.names
    checked = [live.rows.check(row)[0] for row in data.select(list(names)).to_pylist()]
    answers = [answer for answer in answer_rows(live, checked) if isinstance(answer, Answer)]
    assert out.column("prediction").to_pylist() == [one.prediction for one in answers]
    assert out.column("probability_1").to_pylist() == [one.score for one in answers]
    assert set(out.column("status").to_pylist()) == {200}
    assert out.column("error").null_count == 1_000
    assert written(tmp_path) == {"home", "in.parquet", "out.parquet"}


def test_all_inputs_and_outputs_say_the_same(context: Context, table: Make, tmp_path: Path) -> None:
    """Parquet, a folder, CSV, JSON lines and Delta in; Parquet, a folder, CSV and Delta out."""
    data = table(600)
    pq.write_table(data, tmp_path / "a.parquet")
    (tmp_path / "many").mkdir()
    for place in range(3):
        pq.write_table(data.slice(place * 200, 200), tmp_path / "many" / f"{place}.parquet", row_group_size=70)
    csv.write_csv(data, tmp_path / "a.csv")
    (tmp_path / "a.jsonl").write_bytes(
        b"\n".join(msgspec.json.encode({k: str(v) if k == "arrived" else v for k, v in row.items()})
                   for row in data.to_pylist())
    )  # fmt: skip
    write_deltalake(str(tmp_path / "d"), data)
    known = None
    for number, source in enumerate(["a.parquet", "many", "a.csv", "a.jsonl", "d"]):
        for suffix in [".parquet", "", ".csv", ".delta"] if source == "a.parquet" else [".parquet"]:
            output = tmp_path / f"out{number}{suffix}"
            assert run(context, tmp_path / source, output, log=False).rows == 600
            found = read(output)
            if known is None:
                known = found
            rows = known.sort_by("request_id") if suffix == ".delta" else known
            assert found.to_pylist() == rows.to_pylist(), (source, suffix)
    assert sorted(written(tmp_path / "out0")) == ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]


def test_the_location_delta_names_a_table(context: Context, table: Make, tmp_path: Path) -> None:
    """`delta:PATH` is a Delta table whatever its name; overwriting one adds a version."""
    pq.write_table(table(100), tmp_path / "a.parquet")
    run(context, tmp_path / "a.parquet", f"delta:{tmp_path}/answers", log=False)
    assert DeltaTable(str(tmp_path / "answers")).version() == 0
    run(context, tmp_path / "a.parquet", tmp_path / "answers", log=False, overwrite=True)
    answers = DeltaTable(str(tmp_path / "answers"))
    assert (answers.version(), answers.to_pyarrow_table().num_rows) == (1, 100)


def test_rows_that_break_the_contract_are_answers_too(context: Context, table: Make, tmp_path: Path) -> None:
    """Status 422 with the field and what came, no prediction, in their places; the share decides the verdict."""
    data = table(300).to_pylist()
    data[5]["nights"], data[299]["lead_time"] = 99, None
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "a.parquet")
    found = run(context, tmp_path / "a.parquet", tmp_path / "b.parquet", max_errors=0.005)
    assert (found.refused, found.failed, found.bad) == (2, 0, True)
    assert not msgspec.structs.replace(found, max_errors=0.01).bad
    out = read(tmp_path / "b.parquet").to_pylist()
    assert [place for place, row in enumerate(out) if row["status"] != 200] == [5, 299]
    assert (out[5]["status"], out[5]["prediction"], out[5]["probability_1"]) == (422, None, None)
    assert out[5]["error"] == "features.nights: expected an integer from 0 to 60, came 99"
    assert out[299]["error"] == "features.lead_time: expected a number, came null"


def test_rows_on_which_the_model_fails_are_answers_too(context: Context, table: Make, tmp_path: Path) -> None:
    """Status 500, those rows only, and they are in the log."""
    data = table(300).to_pylist()
    data[100]["lead_time"] = 650.0
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "a.parquet")
    found = run(context, tmp_path / "a.parquet", tmp_path / "b.parquet", version="hotel@2")
    assert (found.refused, found.failed) == (0, 1)
    out = read(tmp_path / "b.parquet").to_pylist()
    assert (out[100]["status"], out[100]["prediction"]) == (500, None)
    assert out[100]["error"].startswith("BundleError: the model answered")
    records = context.open_log().poll()[0]
    assert [record.request_id for record in records if record.status == 500] == ["b100"]
    assert len(records) == 300


def test_strict_ends_at_the_first_row_without_an_answer(context: Context, table: Make, tmp_path: Path) -> None:
    """It names file, row and field, and leaves nothing behind."""
    data = table(900).to_pylist()
    data[700]["nights"], data[300]["nights"] = 99, 61
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "a.parquet")
    with pytest.raises(FairleadError, match=r"a\.parquet, row 301: features\.nights: .* came 61"):
        run(context, tmp_path / "a.parquet", tmp_path / "b.parquet", strict=True)
    assert written(tmp_path) == {"home", "a.parquet"}


def test_the_log_has_each_answer_as_arm_batch(context: Context, table: Make, tmp_path: Path) -> None:
    """With version, batch id, unit, event time and what was given; refused rows are in no log."""
    data = table(400).to_pylist()
    data[3]["nights"], data[4]["nights"], data[6]["arrived"] = 99, None, None
    pq.write_table(pa.Table.from_pylist(data), tmp_path / "a.parquet")
    found = run(context, tmp_path / "a.parquet", tmp_path / "b.parquet", unit="segment", timestamp="arrived")
    records = context.open_log().poll()[0]
    out = {row["request_id"]: row for row in read(tmp_path / "b.parquet").to_pylist()}
    assert sorted(record.request_id for record in records) == sorted(out.keys() - {"b3"})
    for record in records:
        row = data[int(record.request_id[1:])]
        assert (record.arm, record.model_version, record.trace_id) == ("batch", 1, found.batch)
        assert (record.rollout, record.propensity, record.status) == ("", 1.0, 200)
        assert (record.unit_id, record.score) == (row["segment"], out[record.request_id]["probability_1"])
        given = msgspec.json.decode(record.features)
        assert given == {name: row[name] for name in ("lead_time", "adr", "nights", "repeated", "segment")}
    at = {record.request_id: record.timestamp for record in records}
    assert at["b5"] == 1_700_000_000 + 5 * 3600
    assert at["b6"] == next(record.received_at for record in records)


def test_without_a_log_nothing_is_logged(context: Context, table: Make, tmp_path: Path) -> None:
    """And the summary says so; request ids of its own are the batch's and the row's number."""
    pq.write_table(table(300), tmp_path / "a.parquet")
    found = run(context, tmp_path / "a.parquet", tmp_path / "b.parquet", log=False, id=None)
    assert not found.logged
    assert context.open_log().poll()[0] == []
    assert read(tmp_path / "b.parquet").column("request_id").to_pylist() == [
        f"{found.batch}-{place:09d}" for place in range(300)
    ]


def test_no_rollout_counts_a_batch(context: Context, table: Make, tmp_path: Path) -> None:
    """What a batch logs is no evidence for a rollout of the very version."""
    pq.write_table(table(200), tmp_path / "a.parquet")
    run(context, tmp_path / "a.parquet", tmp_path / "b.parquet")
    rule = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)
    plan = Plan("canary", (Step(1.0),), (rule,), ShadowPlan(0, 0), 0.01)
    for champion in (None, 1, 2):
        collector = Collector(
            Rollout("", "hotel", 1, champion, plan, Baseline(None, (), ()), Phase.CANARY, 0, 0.0, 0.0)
        )
        records = context.open_log().poll()[0]
        assert len(records) == 200
        collector.add(records)
        assert sum(collector.total().requests.values()) == 0


def test_kept_columns_pass_through(context: Context, table: Make, tmp_path: Path) -> None:
    """With their types from Parquet; as text from CSV and JSON lines."""
    data = table(300)
    pq.write_table(data, tmp_path / "a.parquet")
    csv.write_csv(data, tmp_path / "a.csv")
    run(context, tmp_path / "a.parquet", tmp_path / "p.parquet", keep=("nights", "arrived"), log=False)
    out = read(tmp_path / "p.parquet")
    assert out.column("arrived").to_pylist() == data.column("arrived").to_pylist()
    assert out.column("nights").equals(data.column("nights"))
    run(context, tmp_path / "a.csv", tmp_path / "c.parquet", keep=("nights",), log=False)
    assert read(tmp_path / "c.parquet").column("nights").to_pylist() == list(map(str, data["nights"].to_pylist()))


def test_folders_that_are_columns_count(context: Context, table: Make, tmp_path: Path) -> None:
    """A hive-partitioned feature and id reach the model and the output."""
    data = table(300)
    ds.write_dataset(data, tmp_path / "parts", format="parquet", partitioning=["segment"], partitioning_flavor="hive")
    pq.write_table(data, tmp_path / "a.parquet")
    run(context, tmp_path / "parts", tmp_path / "p.parquet", log=False, keep=("segment",))
    run(context, tmp_path / "a.parquet", tmp_path / "q.parquet", log=False, keep=("segment",))
    one, two = (read(tmp_path / name).sort_by("request_id").to_pylist() for name in ("p.parquet", "q.parquet"))
    assert one == two


def test_progress_counts_the_rows(context: Context, table: Make, tmp_path: Path) -> None:
    """Up to the end, of as many as there are; of a CSV file nobody knows before."""
    data = table(600)
    pq.write_table(data, tmp_path / "a.parquet")
    csv.write_csv(data, tmp_path / "a.csv")
    for source, total in (("a.parquet", 600), ("a.csv", 0)):
        told: list[tuple[int, int]] = []
        asked = Scoring("hotel@1", str(tmp_path / source), str(tmp_path / f"{source}.parquet"), log=False)
        score(context, asked, progress=lambda done, of: told.append((done, of)))  # noqa: B023 - called at once
        assert told[-1] == (600, total)
        assert [done for done, _ in told] == sorted(done for done, _ in told)


def wrongs(tmp_path: Path, data: pa.Table) -> dict[str, tuple[dict[str, Any], str]]:
    """What a person may get wrong, and a part of what is said."""
    pq.write_table(data, tmp_path / "good.parquet")
    pq.write_table(data.slice(0, 0), tmp_path / "none.parquet")
    pq.write_table(data.rename_columns([f"{n}s" if n == "lead_time" else n for n in data.column_names]),
                   tmp_path / "near.parquet")  # fmt: skip
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "head.csv").write_text("lead_time,adr\n")
    (tmp_path / "twice.csv").write_text("lead_time,lead_time\n1,2\n")
    ragged = "lead_time,adr,nights,repeated,segment\n"
    (tmp_path / "ragged.csv").write_text(ragged + "1,2,3,true,Direct\n" * 3 + "1,2\n")
    (tmp_path / "words.jsonl").write_text("hello\nworld\n")
    (tmp_path / "blank.jsonl").write_text("\n\n")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    for name in ("folder", "mine"):
        (tmp_path / name).mkdir()
    pq.write_table(data, tmp_path / "folder" / "0.parquet")
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "there.csv").write_text("x\n")
    return {
        "no version": ({"version": "hotel"}, "names no version: write NAME@3"),
        "unknown model": ({"version": "motel@1"}, "there is no model motel"),
        "unknown version": ({"version": "hotel@9"}, "hotel has no version 9: there are 1, 2"),
        "no input": ({"source": "nope.parquet"}, "nope.parquet does not exist"),
        "no pattern": ({"source": "*.nope"}, "no file matches"),
        "no rows": ({"source": "none.parquet"}, "has no rows: there is nothing to score"),
        "empty file": ({"source": "empty.csv"}, "is empty: there is nothing to score"),
        "head only": ({"source": "head.csv"}, "has no rows: there is nothing to score"),
        "twice": ({"source": "twice.csv"}, "are called 'lead_time': rename one"),
        "ragged": ({"source": "ragged.csv", "id": None}, "ragged.csv cannot be read as csv"),
        "broken": ({"source": "bad.parquet"}, "cannot be read as Parquet"),
        "no json": ({"source": "words.jsonl"}, "cannot be read as JSON lines"),
        "blank": ({"source": "blank.jsonl"}, "has no rows: there is nothing to score"),
        "spreadsheet": ({"source": "sheet.xlsx"}, "has no known suffix: use .parquet"),
        "column": ({"source": "near.parquet"}, "no column 'lead_time', which hotel needs (did you mean lead_times?)"),
        "id": ({"id": "bookin"}, "no column 'bookin' for --id (did you mean booking?)"),
        "keep": ({"keep": ("nope",)}, "no column 'nope' for --keep: it has booking, lead_time"),
        "keep twice": ({"keep": ("nights", "nights")}, "the output has a column 'nights' already"),
        "exists": ({"output": "there.csv"}, "exists: name another output, or replace it with --overwrite"),
        "input itself": ({"output": "good.parquet"}, "is the input itself"),
        "in the input": ({"source": "folder", "output": "folder/out.parquet"}, "lies inside the input folder"),
        "around the input": ({"source": "folder/0.parquet", "output": "folder"}, "lies inside the output"),
        "no folder": ({"output": "nope/out.parquet"}, "nope of the output does not exist: make it first"),
        "output's suffix": ({"output": "out.xlsx"}, "is no output that can be written: end it with .parquet"),
        "far away": ({"output": "s3://bucket/x.parquet"}, "is no path on this machine"),
        "no name": ({"output": ""}, "the output has no name"),
        "somebody's": ({"output": "mine", "overwrite": True}, "letter.txt, which scoring did not write"),
        "no table": ({"output": "delta:mine", "overwrite": True}, "is a folder and no Delta table"),
        "no file": ({"output": "folder.csv", "overwrite": True}, "is a folder: name a file"),
        "engine": ({"engine": "spark"}, "there is no engine 'spark': there are local and ray"),
        "workers": ({"workers": 0}, "at least one has to do the work"),
        "share": ({"max_errors": 2.0}, "a share lies between 0 and 1"),
    }


@pytest.mark.parametrize("wrong", [
    "no version", "unknown model", "unknown version", "no input", "no pattern", "no rows", "empty file", "head only",
    "twice", "ragged", "broken", "no json", "blank", "spreadsheet", "column", "id", "keep", "keep twice", "exists",
    "input itself", "in the input", "around the input", "no folder", "output's suffix", "far away", "no name",
    "somebody's", "no table", "no file", "engine", "workers", "share"])  # fmt: skip
def test_what_is_asked_wrongly_is_one_line_and_leaves_nothing(
    context: Context, table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """What happened, to what, and the fix; no file has come or gone, and none has changed."""
    monkeypatch.chdir(tmp_path)
    known = wrongs(tmp_path, table(50))
    (tmp_path / "folder.csv").mkdir()
    changes, said = known[wrong]
    before = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if "home" not in one.parts}
    with pytest.raises(FairleadError) as caught:
        run(context, **{"source": "good.parquet", "output": "out.parquet", **changes})
    assert said in caught.value.line
    assert "\n" not in caught.value.line
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if "home" not in one.parts} == before
    assert context.open_log().poll()[0] == []


def test_every_wrong_usage_is_tried(table: Make, tmp_path: Path) -> None:
    """The list of names is the table's."""
    marks = test_what_is_asked_wrongly_is_one_line_and_leaves_nothing.pytestmark
    assert set(marks[0].args[1]) == set(wrongs(tmp_path, table(5)))


@pytest.mark.parametrize("output", ["out.parquet", "out.csv", "out", "out.delta"])
def test_an_output_is_replaced_only_when_asked(context: Context, table: Make, tmp_path: Path, output: str) -> None:
    """And then all at once: the new answers, and none of the old."""
    for rows in (300, 100):
        pq.write_table(table(rows), tmp_path / f"{rows}.parquet")
    run(context, tmp_path / "300.parquet", tmp_path / output, log=False)
    with pytest.raises(FairleadError, match="exists: name another output"):
        run(context, tmp_path / "100.parquet", tmp_path / output, log=False)
    assert read(tmp_path / output).num_rows == 300
    run(context, tmp_path / "100.parquet", tmp_path / output, log=False, overwrite=True)
    assert read(tmp_path / output).num_rows == 100
    assert written(tmp_path) == {"home", "300.parquet", "100.parquet", output}


def test_a_changed_bundle_answers_nothing(context: Context, table: Make, tmp_path: Path) -> None:
    """Its digest is checked first."""
    pq.write_table(table(50), tmp_path / "a.parquet")
    folder = context.bundles.path(context.registry.versions("hotel")[0].bundle)
    (folder / "golden.json").chmod(0o644)
    (folder / "golden.json").write_text("{}")
    with pytest.raises(FairleadError, match=r"golden\.json of the bundle .* is not what was registered"):
        run(context, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert written(tmp_path) == {"home", "a.parquet"}


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(context: Context, table: Make, tmp_path: Path) -> None:
    """The kernel refuses a file that grows too long; with room the same command goes on."""
    pq.write_table(table(600), tmp_path / "a.parquet")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, before[1]))
        with pytest.raises(StateError, match=f"cannot be written.*{os.strerror(errno.EFBIG)}.*run the same again"):
            run(context, tmp_path / "a.parquet", tmp_path / "b.csv", log=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "b.csv").exists()
    assert run(context, tmp_path / "a.parquet", tmp_path / "b.csv", log=False).rows == 600


def peak(home: Path, info: bytes, source: Path) -> float:
    """The most memory, in MiB, that a process of its own has held while it scored a file."""
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path; import msgspec; "
        "from fairlead.app.compose import open_context; from fairlead.operations.scoring import score; "
        "from fairlead.operations.scoring_values import Scoring; from fairlead.ports import VersionInfo; "
        "info = msgspec.json.decode(sys.argv[2], type=VersionInfo); "
        "registry = type('One', (), {'versions': lambda self, name: (info,)})(); "
        "context = replace(open_context(Path(sys.argv[1])), open_registry=lambda: registry); "
        "score(context, Scoring('hotel@1', sys.argv[3], sys.argv[3] + '.out.parquet', workers=2, log=False)); "
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", code, str(home), info.decode(), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(context: Context, table: Make, tmp_path: Path) -> None:
    """Three million rows more are over 150 MB of input: they cost less than a fifth of that, and all stays small."""
    data = table(100_000)
    info = msgspec.json.encode(context.registry.versions("hotel")[0])
    sizes = {}
    for times in (10, 40):
        path = tmp_path / f"{times}.parquet"
        with pq.ParquetWriter(path, data.schema) as writer:
            for _ in range(times // 10):
                writer.write_table(pa.concat_tables([data] * 10))
        sizes[times] = peak(context.home, info, path)
    assert sizes[40] - sizes[10] < 30
    assert sizes[40] < 512


def test_a_multiclass_and_a_regression_model_have_their_columns() -> None:
    """A probability for each class, text labels as text; a value and nothing more."""
    many = schema_of(Contract((), Task.MULTICLASS, "y", ("a", "b", "c")), {})
    said = ["status", "error", "model_version", "arm", "fallback"]
    assert many.names == ["request_id", "prediction", "probability_a", "probability_b", "probability_c", *said]
    assert many.field("prediction").type == pa.string()
    value = schema_of(Contract((), Task.REGRESSION, "y"), {"x": pa.int8()})
    assert value.names == ["request_id", "prediction", *said, "x"]
    assert np.dtype(value.field("prediction").type.to_pandas_dtype()) == np.float64
