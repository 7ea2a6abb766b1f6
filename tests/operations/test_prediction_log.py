"""The prediction log as an operator meets it."""

from __future__ import annotations

import doctest
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from fairlead.adapters.delta_rows import schema
from fairlead.adapters.file_lock import held
from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import RolloutDecided, RolloutStarted, SubjectErased, canonical
from fairlead.core.record import OutcomeRecord
from fairlead.core.rollout import Baseline, Call, Decision, Guardrail, Phase, Plan, Step, start
from fairlead.errors import MissingExtra, Refused, StateError, UsageError
from fairlead.flows.evidence import Collector
from fairlead.operations import prediction_log
from fairlead.operations.context import Context
from fairlead.ports.log import LogReader
from fairlead.testing.log import make_prediction

BASELINE = Baseline(10.0, (0.5,), (0.5, 0.5), (0.25, 0.75), (0.25, 0.5, 0.25))
PLAN = Plan("canary", (Step(0.25), Step(1.0)), (Guardrail("p99_latency <= 9ms", "p99_latency", 9.0, relative=False),))
DAY = 86_400.0
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "log.md"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home."""
    return open_context(tmp_path / "home")


def configured(context: Context, text: str) -> Context:
    """The same home under other settings."""
    return replace(context, settings=parse_settings(text))


def write(context: Context, *requests: str, worker: int = 0, segment_bytes: int = 1_000, **changes: Any) -> None:
    """Predictions from one start of a worker."""
    log = SegmentLog(context.home / "log", worker, segment_bytes=segment_bytes)
    for request in requests:
        log.predictions([make_prediction(request, **changes)])
    log.close()


def ids(reader: LogReader) -> list[str]:
    """What a reader has left, sorted."""
    return sorted(record.request_id for record in reader.poll()[0])


def segments(context: Context) -> list[Path]:
    """The files of predictions."""
    return sorted((context.home / "log" / PREDICTIONS).iterdir())


def age(context: Context, seconds: float) -> None:
    """Makes every segment look as old."""
    at = time.time() - seconds
    for path in segments(context):
        os.utime(path, (at, at))


def test_a_round_moves_and_the_next_removes_what_is_old(context: Context) -> None:
    """What the segments held is in the table; a week later they are gone, and the log is the same."""
    requests = [f"r{number}" for number in range(9)]
    write(context, *requests)
    assert prediction_log.compact(context).predictions == 9
    assert prediction_log.compact(context).pruned.files == 0
    age(context, 8 * DAY)
    files = len(segments(context))
    done = prediction_log.compact(context)
    assert (done.predictions, done.pruned.files, len(segments(context))) == (0, files - 1, 1)
    assert ids(context.open_log()) == sorted(requests)
    assert len(ids(SegmentReader(context.home / "log"))) < 9
    status = prediction_log.status(context)
    assert (status.rows, status.waiting_bytes, status.trouble) == ({"predictions": 9}, 0, "")


def test_the_segments_of_a_running_rollout_stay(context: Context) -> None:
    """However old, until it is over: then they go."""
    write(context, *(f"r{number}" for number in range(9)))
    began = time.time() - 20 * DAY
    fact = RolloutStarted("hotel", "r1", 2, "b", 1, PLAN, Raw(canonical(BASELINE)))
    context.journal.append([fact], actor="controller", at=began)
    prediction_log.compact(context)
    age(context, 19 * DAY)
    assert prediction_log.compact(context).pruned.files == 0
    assert prediction_log.keeping_of(context).thin_after > 30 * DAY - 1
    over = Decision("r1", 1.0, Call.SAFE, Phase.CANARY, Phase.PROMOTED, 0, 1.0, (), None, "", "")
    context.journal.append([RolloutDecided("hotel", "r1", Raw(canonical(over)))], actor="controller", at=time.time())
    assert prediction_log.compact(context).pruned.files > 0


def test_evidence_is_the_same_from_the_table(context: Context) -> None:
    """A controller that starts again counts from table and segments what it counted from segments alone."""
    rollout = start("r1", "hotel", 2, 1, PLAN, BASELINE, 100.0)
    for version, arm, share in ((1, "champion", 0.75), (2, "canary", 0.25)):
        requests = [f"{arm}{number}" for number in range(20)]
        fields: dict[str, Any] = {"model_version": version, "arm": arm, "propensity": share, "rollout": "r1"}
        write(context, *requests, worker=version, received_at=time.time() + 0.1234567, **fields)
        write(context, *(f"{each}-failed" for each in requests[:3]), worker=version, status=500, score=None, **fields)
    before = Collector(rollout)
    before.add(SegmentReader(context.home / "log").poll()[0])
    prediction_log.compact(context)
    age(context, 8 * DAY)
    assert prediction_log.compact(context).pruned.files > 0
    after = Collector(rollout)
    after.add(context.open_log().poll()[0])
    assert after.total() == before.total()
    assert before.total().requests == {"champion": 23, "canary": 23}


def test_trouble_is_told_and_over_once_its_cause_is(context: Context) -> None:
    """A table that cannot be written: one line in the status, nothing lost, and no hand needed afterwards."""
    write(context, "a", "b")
    blocked = context.home / "log" / "table"
    blocked.write_text("in the way")
    with pytest.raises(StateError, match="cannot be"):
        prediction_log.compact(context)
    status = prediction_log.status(context)
    assert "cannot be" in status.trouble
    assert status.last is not None
    assert status.waiting_bytes > 0
    blocked.unlink()
    assert prediction_log.compact(context).predictions == 2
    assert prediction_log.status(context).trouble == ""


def test_without_deltalake_the_segments_are_the_log(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says what to install; a subject can be erased all the same."""
    write(context, "a", unit_id="anna")
    write(context, "b", unit_id="ben")
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert "pip install 'fairlead[delta]'" in prediction_log.status(context).trouble
    with pytest.raises(MissingExtra, match="deltalake"):
        prediction_log.compact(context)
    assert prediction_log.erase(context, "anna").predictions == 1
    assert ids(context.open_log()) == ["b"]


def test_a_table_that_deltalake_cannot_read_is_not_left_out(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a table and no deltalake, reading the log is refused: a part of it would be missing."""
    write(context, "a")
    prediction_log.compact(context)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingExtra, match="deltalake"):
        context.open_log()
    with pytest.raises(MissingExtra, match="deltalake"):
        prediction_log.erase(context, "anna")


def test_a_subject_is_erased_everywhere_while_workers_write_on(context: Context) -> None:
    """From the table, from files that are still written to and from what comes before the next round; the journal has
    the actor, the reason and the counts, and no file of the home has the subject."""
    log = SegmentLog(context.home / "log", 0)
    log.predictions([make_prediction(f"q-{number}", unit_id="subject-77") for number in range(3)])
    log.predictions([make_prediction("other", unit_id="ben")])
    log.outcomes([OutcomeRecord("q-1", 1, 2.0, 3.0), OutcomeRecord("other", 1, 2.0, 3.0)])
    prediction_log.compact(context)
    log.predictions([make_prediction("q-3", unit_id="subject-77")])
    log.outcomes([OutcomeRecord("q-3", "marked-outcome", 2.0, 3.0)])
    reader = context.open_log()
    erased = prediction_log.erase(replace(context, actor="ana"), "subject-77", "asked by letter")
    assert (erased.predictions, erased.outcomes) == (4, 2)
    log.predictions([make_prediction("later", unit_id="ben")])
    log.close()
    prediction_log.compact(context)
    assert ids(context.open_log()) == ["later", "other"]
    assert ids(reader) == ["later", "other"]
    (entry,) = context.journal.read(kinds=["subject_erased"])
    assert (entry.actor, entry.fact) == ("ana", SubjectErased("", 4, 2, "asked by letter"))
    held = [path for path in context.home.rglob("*") if path.is_file()]
    assert [path for path in held if b"subject-77" in path.read_bytes() or b"marked-out" in path.read_bytes()] == []
    assert (prediction_log.erase(context, "subject-77"), ids(context.open_log())) == (
        type(erased)(0, 0),
        ["later", "other"],
    )


def test_a_subject_without_a_name_is_refused(context: Context) -> None:
    """An empty id is nobody's."""
    with pytest.raises(UsageError, match="empty id"):
        prediction_log.erase(context, "")


def test_two_rounds_at_once_are_refused(context: Context) -> None:
    """Another process holds the log: one line, and nothing is touched."""
    write(context, "a")
    with held(context.home / "log" / prediction_log.LOCK, "x"), pytest.raises(Refused, match="another process"):
        prediction_log.compact(context)
    assert prediction_log.compact(context).predictions == 1


@pytest.mark.parametrize("form", ["relative", "url"])
def test_the_table_lies_where_the_settings_say(context: Context, tmp_path: Path, form: str) -> None:
    """A relative folder is the home's; a URL goes to the object store that it names, with its options."""
    where = "tables" if form == "relative" else (tmp_path / "bucket").as_uri()
    there = configured(context, f"log: {{table: '{where}', storage: {{allow_unsafe_rename: 'true'}}}}")
    write(context, "a")
    prediction_log.compact(there)
    assert ((context.home / "tables") if form == "relative" else tmp_path / "bucket").is_dir()
    assert prediction_log.status(there).rows == {"predictions": 1}
    assert ids(prediction_log.history(there)) == ["a"]


def test_what_the_settings_keep_is_kept(context: Context) -> None:
    """Retention and sampling act once a day, without being asked."""
    now = time.time()
    for days in (100, 40, 0):
        at = now - days * DAY
        write(context, *(f"d{days}-{n}" for n in range(40)), worker=days, received_at=at, timestamp=at)
    there = configured(context, "log: {retention: 90d, sampling: {rest: 50%, after: 30d}}")
    prediction_log.compact(there)
    left = [request.split("-")[0] for request in ids(prediction_log.history(there))]
    assert (left.count("d100"), left.count("d0")) == (0, 40)
    assert 0 < left.count("d40") < 40
    assert not any(b"d100-" in path.read_bytes() for path in context.home.rglob("*") if path.is_file())
    last = prediction_log.status(there).last
    assert last is not None
    assert last.tended_at > 0


def test_predictions_come_with_their_outcomes(context: Context) -> None:
    """By id, from table and segments; a window that ends before it begins is refused."""
    write(context, "a", "b", timestamp=1000.0)
    prediction_log.compact(context)
    log = context.open_writer()
    log.outcomes([OutcomeRecord("b", "yes", 2.0, 3.0)])
    log.close()
    rows = prediction_log.predictions_with_outcomes(context, "hotel", 0.0, 2000.0)
    assert dict(zip(rows["request_id"].to_pylist(), rows["outcome"].to_pylist(), strict=True)) == {
        "a": None,
        "b": "yes",
    }
    for since, until in ((5.0, 5.0), (-1.0, 5.0), (0.0, 1e300), (float("nan"), 5.0)):
        with pytest.raises(UsageError, match="holds nothing"):
            prediction_log.predictions_with_outcomes(context, "hotel", since, until)


def test_a_status_that_was_cut_is_no_trouble(context: Context) -> None:
    """A half-written note of the last round is passed over, and written anew."""
    write(context, "a")
    (context.home / "log" / prediction_log.STATE).write_bytes(b'{"at": 1')
    assert prediction_log.status(context).last is None
    prediction_log.compact(context)
    assert prediction_log.status(context).last is not None
    assert msgspec.json.encode(prediction_log.status(context))


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_says_what_is_true() -> None:
    """Its examples run, its settings are read as they stand, its columns are the table's, and its tests exist."""
    text = PAGE.read_text()
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert (found.attempted > 5, found.failed) == (True, 0)
    (example,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert parse_settings(example).log.retention == 90 * DAY
    columns = {
        name for row in re.findall(r"^\| (`[^|]*`) \| [a-z]", text, re.MULTILINE) for name in row.split("`")[1::2]
    }
    assert columns >= {*schema(PREDICTIONS).names, *schema(OUTCOMES).names} - {"day"}
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", text)
    assert len(named) > 10
    assert [name for name in named if f"def {name}(" not in tests] == []
