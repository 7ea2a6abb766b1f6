"""A run that is cut off goes on where it was: killed at any moment, the output is whole and each row is in it once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyarrow import csv

from fairlead.adapters.batch_log import BatchLog
from fairlead.adapters.segment_frame import HEAD, MAGIC
from fairlead.adapters.sources import rows as source_rows
from fairlead.core.record import Prediction
from fairlead.errors import FairleadError, Refused
from fairlead.operations import scoring_part
from fairlead.operations.context import Context
from fairlead.operations.scoring import score
from fairlead.operations.scoring_state import Workplace
from fairlead.operations.scoring_values import Scored, Scoring
from fairlead.testing.engine import SerialEngine

Make = Callable[..., pa.Table]
ROWS, PART = 4_000, 256
FORMS = ("out.parquet", "out.csv", "out", "out.delta")

# Loads everything once, and then does each run in a fork of its own: a run begins within milliseconds.
NURSERY = """
import os, sys
from dataclasses import replace
from pathlib import Path
import deltalake, msgspec, onnxruntime, pyarrow.csv, pyarrow.dataset, pyarrow.parquet
from fairlead.adapters.sources import rows
from fairlead.app.compose import open_context
from fairlead.operations.scoring import score
from fairlead.operations.scoring_values import Scoring
from fairlead.ports import VersionInfo
rows.PART, rows.STREAMED, rows.CHUNK = 256, 256, 64
info = msgspec.json.decode(sys.argv[2], type=VersionInfo)
registry = type("One", (), {"versions": lambda self, name: (info,)})()
print("ready", flush=True)
while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        code = 9
        try:
            context = replace(open_context(Path(sys.argv[1])), open_registry=lambda: registry)
            score(context, msgspec.json.decode(line, type=Scoring))
            code = 0
        except Exception as error:
            sys.stderr.write(repr(error))
        finally:
            os._exit(code)
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Runs batches in processes that can be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, asked: Scoring, seconds: float | None) -> int:
        """One run's exit code: -9 where it was killed after so many seconds."""
        self._tell(msgspec.json.encode(asked).decode())
        child = int(self._line())
        if seconds is not None:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)  # where it has ended, its number is still its own: nobody has waited for it
        self._tell("how did it end?")
        return int(self._line())

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture
def nursery(context: Context) -> Iterator[Nursery]:
    """For hotel@1 of the home."""
    info = msgspec.json.encode(context.registry.versions("hotel")[0]).decode()
    command = [sys.executable, "-c", NURSERY, str(context.home), info]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short parts and chunks, so that a small table has many."""
    for name, rows in (("PART", PART), ("STREAMED", PART), ("CHUNK", 64)):
        monkeypatch.setattr(source_rows, name, rows)


def answers(output: Path) -> list[dict[str, Any]]:
    """What was written; sorted, where an output has no order."""
    if output.suffix == ".csv":
        return list(csv.read_csv(output, convert_options=csv.ConvertOptions(strings_can_be_null=True)).to_pylist())
    if output.suffix == ".delta":
        rows = DeltaTable(str(output)).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: int(row["request_id"][1:]))
    if output.is_dir():
        return [row for part in sorted(output.iterdir()) for row in pq.read_table(part).to_pylist()]
    return list(pq.read_table(output).to_pylist())


def killed_until_whole(nursery: Nursery, asked: Scoring, longest: float, dice: random.Random) -> int:
    """Kills run after run, at a random moment of each, until one is done; returns how many were killed."""
    killed = 0
    while True:
        code = nursery.run(asked, dice.uniform(0.0, longest))
        if code == 0:
            return killed
        if code == 9:  # killed when all was done, but for the end of the process
            assert Path(asked.output).exists()
            return killed
        assert code == -signal.SIGKILL
        killed += 1
        longest *= 1.1  # or it would never get anywhere where a run takes long


@pytest.mark.parametrize("source", ["a.parquet", pytest.param("a.csv", marks=pytest.mark.slow)])
def test_killed_at_any_moment_the_output_is_whole(
    context: Context, table: Make, nursery: Nursery, tmp_path: Path, source: str
) -> None:
    """At least ten kills for each kind of input, over all kinds of outputs: the rows of a run that nobody disturbed,
    in their order, and each of them in the log once."""
    data = table(ROWS)
    pq.write_table(data, tmp_path / "a.parquet", row_group_size=700)
    csv.write_csv(data, tmp_path / "a.csv")
    asked = Scoring("hotel@1", str(tmp_path / source), str(tmp_path / "calm.parquet"), id="booking", log=False)
    assert nursery.run(asked, None) == 0
    calm = answers(tmp_path / "calm.parquet")
    dice, killed, batches = random.Random(source), 0, 0
    while killed < 10 or batches < len(FORMS):
        output = tmp_path / f"{batches}{FORMS[batches % len(FORMS)]}"
        one = msgspec.structs.replace(asked, output=str(output), log=True)
        killed += killed_until_whole(nursery, one, 0.5, dice)
        batches += 1
        assert answers(output) == calm
        assert not output.with_name(f".{output.name}.scoring").exists()
    whole = sorted(f"b{place}" for place in range(ROWS))
    assert [sorted(ids) for ids in logged(context).values()] == [whole] * batches


def logged(context: Context) -> dict[str, list[str]]:
    """The request ids of each batch, as often as they stand in the segments."""
    found: dict[str, list[str]] = {}
    for segment in (context.home / "log" / "predictions").iterdir():
        data, at = segment.read_bytes(), len(MAGIC)
        while at + HEAD.size <= len(data):
            length, check = HEAD.unpack_from(data, at)
            payload = data[at + HEAD.size : at + HEAD.size + length]
            if len(payload) < length or crc32(payload) != check:
                break
            record = msgspec.json.decode(payload, type=Prediction)
            found.setdefault(str(record.trace_id), []).append(record.request_id)
            at += HEAD.size + length
    return found


class Stops(SerialEngine):
    """Gives up after some jobs, as a process that is interrupted does."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def map(self, work: Any, jobs: Any) -> Iterator[Any]:
        """As the engine it is, until it stops."""
        for result in super().map(work, jobs):
            yield result
            if self.done == self._after:
                raise KeyboardInterrupt


@pytest.fixture
def begun(context: Context, table: Make, tmp_path: Path, small: None) -> Callable[..., Scored]:
    """A batch of which three parts are done: what it returns runs it again, with changes."""
    pq.write_table(table(1_500), tmp_path / "a.parquet")
    asked = Scoring("hotel@1", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), id="booking")
    with pytest.raises(KeyboardInterrupt):
        score(context, asked, engine=Stops(3))
    assert not (tmp_path / "b.parquet").exists()

    def again(**changes: Any) -> Scored:
        return score(context, msgspec.structs.replace(asked, **changes), engine=SerialEngine())

    return again


def test_what_is_done_is_not_done_again(
    begun: Callable[..., Scored], monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    """The summary tells both runs' rows apart."""
    places: list[int] = []

    class Noted(BatchLog):
        def __init__(self, folder: Path, number: int) -> None:
            places.append(number)
            super().__init__(folder, number)

    monkeypatch.setattr(scoring_part, "BatchLog", Noted)
    found = begun()
    assert (found.rows, found.resumed) == (1_500, 3 * PART)
    assert [place - places[0] for place in places] == [0, 1, 2]
    assert len({record.request_id for record in context.open_log().poll()[0]}) == 1_500


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "hotel@2"}, "was begun with version 1, and this is 2"),
        ({"id": None}, 'was begun with the options {"id":"booking","log":true}, and this is {"log":true}'),
        ({"keep": ("nights",)}, "was begun with the options"),
        ({"log": False}, "was begun with the options"),
        ({"source": "other"}, "a.parquet, and this is"),
    ],
    ids=["version", "id", "keep", "log", "input"],
)
def test_another_batch_is_not_mixed_with_the_one_that_was_begun(
    begun: Callable[..., Scored], tmp_path: Path, table: Make, changes: dict[str, Any], said: str
) -> None:
    """It is refused with what differs, nothing is lost, and --restart begins again."""
    if "source" in changes:
        pq.write_table(table(10), tmp_path / "other.parquet")
        changes = {"source": str(tmp_path / "other.parquet")}
    with pytest.raises(Refused, match="begin again with --restart") as caught:
        begun(**changes)
    assert said in caught.value.line
    assert begun(**changes, restart=True).resumed == 0


def test_a_changed_input_is_not_gone_on_with(begun: Callable[..., Scored], tmp_path: Path, table: Make) -> None:
    """Of the same name, with other rows."""
    pq.write_table(table(1_500, seed=2), tmp_path / "a.parquet")
    with pytest.raises(Refused, match="an input that has changed since"):
        begun()
    assert begun(restart=True).rows == 1_500


def test_how_it_is_done_may_change(begun: Callable[..., Scored]) -> None:
    """Another engine, another number of workers, another bound on errors."""
    assert begun(workers=1, max_errors=0.5, engine="ray").resumed == 3 * PART


def test_two_processes_do_not_write_one_output(begun: Callable[..., Scored], context: Context, tmp_path: Path) -> None:
    """The second is refused while the first is at work."""
    from fairlead.adapters.file_lock import held

    (lock,) = (context.home / "scoring").iterdir()
    with held(lock, ""), pytest.raises(Refused, match="another process is writing"):
        begun()
    assert begun().rows == 1_500


@pytest.mark.parametrize("output", FORMS)
@pytest.mark.parametrize("cut", ["commit_delta", "join", "put", "remove"])
def test_cut_off_at_the_very_end_it_ends(
    context: Context, table: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, cut: str
) -> None:
    """Before and after each of the last steps; an output that it replaces is there until the new one is."""
    from fairlead.operations import scoring_state

    monkeypatch.setattr(source_rows, "PART", PART)
    pq.write_table(table(800), tmp_path / "a.parquet")
    asked = Scoring("hotel@1", str(tmp_path / "a.parquet"), str(tmp_path / output), id="booking", log=False)
    assert score(context, asked).rows == 800
    calm = answers(tmp_path / output)
    holder: Any = Workplace if cut == "remove" else scoring_state
    real = getattr(holder, cut)
    for late in (False, True):

        def stops(*arguments: Any, late: bool = late) -> None:
            if late:
                real(*arguments)
            raise KeyboardInterrupt

        again = msgspec.structs.replace(asked, overwrite=True)
        with monkeypatch.context() as patched:
            patched.setattr(holder, cut, stops)
            try:
                score(context, again)
            except KeyboardInterrupt:
                assert score is not None
        assert (tmp_path / output).exists()
        assert score(context, again).rows == 800
        assert answers(tmp_path / output) == calm
        assert {one.name for one in tmp_path.iterdir()} == {"home", "a.parquet", output}


def test_what_lies_in_the_work_folder_by_chance_is_no_batch(
    context: Context, table: Make, tmp_path: Path, small: None
) -> None:
    """A folder without its first file, or with a broken one, is rubbish of a run that had just begun or ended."""
    pq.write_table(table(300), tmp_path / "a.parquet")
    for content in (None, b"{"):
        folder = tmp_path / ".b.parquet.scoring"
        (folder / "parts").mkdir(parents=True)
        (folder / "parts" / "part-000000.parquet").write_bytes(b"old")
        if content is not None:
            (folder / "batch.json").write_bytes(content)
        asked = Scoring("hotel@1", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), overwrite=True)
        assert score(context, asked).rows == 300
        assert not folder.exists()


def test_an_output_that_came_in_the_meantime_is_not_replaced(begun: Callable[..., Scored], tmp_path: Path) -> None:
    """What somebody else wrote there stays; what was done is kept."""
    (tmp_path / "b.parquet").write_text("mine")
    with pytest.raises(FairleadError, match="exists: name another output"):
        begun()
    assert (tmp_path / "b.parquet").read_text() == "mine"
    (tmp_path / "b.parquet").unlink()
    assert begun().resumed == 3 * PART
