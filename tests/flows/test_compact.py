"""segments -> table: each record once, whatever is killed when."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.segment_frame import OUTCOMES, PREDICTIONS
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.flows.compact import Compactor, Erased
from fairlead.ports.log import Keeping, Pruned
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemorySegments, MemoryTable, make_prediction

# One process loads the libraries once and forks: a child compacts, prunes, erases nothing, and is killed at a moment
# between none of its work done and all of it. What it wrote before stays; the next child goes on.
ROUNDS = """
import os, random, signal, sys, time
from pathlib import Path

import deltalake, pyarrow, pyarrow.compute, pyarrow.dataset

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_store import SegmentStore
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.record import OutcomeRecord
from fairlead.flows.compact import Compactor
from fairlead.ports.log import Keeping
from fairlead.testing.log import make_prediction

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
dice, count, longest = random.Random(7), 0, 0.02  # dice: the parent draws, a child inherits

def work():
    compactor = Compactor(SegmentStore(folder), DeltaLog(str(folder / "table")), SystemClock(), batch=30)
    compactor.move()
    compactor.prune(time.time() + 1e6)
    if dice.random() < 0.5:
        compactor.tend(Keeping())

def in_child(kill_after):
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("the compactor failed:", error, flush=True)
            os._exit(1)
    began = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began

killed = 0
for number in range(rounds):
    pid = os.fork()  # the writer's sync thread must not live where we fork
    many = dice.randint(1, 60)
    if not pid:
        log = SegmentLog(folder, number % 3, segment_bytes=4000)
        for each in range(count, count + many):
            log.predictions([make_prediction(f"r{each}", received_at=1.7e9 + 30000 * dice.randint(0, 3))])
            if each % 3 == 0:
                log.outcomes([OutcomeRecord(f"r{each}", 1, 2.0, 3.0)])
        log.close()
        os._exit(0)
    os.waitpid(pid, 0)
    count += many
    code, took = in_child(dice.random() * longest)
    killed += code == -9
    if code == 1:
        sys.exit("a round failed")
    # The moments are spread over what a whole round takes here, now.
    longest = took * 1.5 if code == 0 else longest * 1.1
code, _ = in_child(None)
print("done", count, killed, code)
"""


ERASURES = """
import os, random, signal, sys, time
from pathlib import Path

import deltalake, pyarrow, pyarrow.compute, pyarrow.dataset

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_store import SegmentStore
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.record import OutcomeRecord
from fairlead.flows.compact import Compactor
from fairlead.testing.log import make_prediction

folder, units = Path(sys.argv[1]), int(sys.argv[2])
dice, longest, killed = random.Random(11), 0.2, 0

def in_child(act, kill_after=None):
    child = os.fork()
    if not child:
        try:
            act()
            os._exit(0)
        except BaseException as error:
            print("it failed:", error, flush=True)
            os._exit(1)
    began = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began

def write():
    log = SegmentLog(folder, 0, segment_bytes=4000)
    for each in range(units * 8):
        fields = {"unit_id": f"unit-{each % (2 * units):03d}", "received_at": 1.7e9 + 90000 * (each % 3)}
        log.predictions([make_prediction(f"r{each}", **fields)])
        log.outcomes([OutcomeRecord(f"r{each}", 1, 2.0, 3.0 + 90000 * (each % 3))])
    log.close()

def compactor():
    return Compactor(SegmentStore(folder), DeltaLog(str(folder / "table")), SystemClock())

in_child(write)
in_child(lambda: compactor().move())
for unit in range(units):
    erase = lambda: compactor().erase(f"unit-{unit:03d}")
    killed += in_child(erase, dice.random() * longest)[0] == -9
    code, took = in_child(erase)
    if code:
        sys.exit("an erasure failed")
    longest = took * 1.3
print("done", killed)
"""


def ids(log: DeltaLog, kind: str) -> Counter[str]:
    """How often each request id is in a table."""
    return Counter(value for rows in log.batches(kind) for value in rows.column("request_id").to_pylist())


def check_rounds(folder: Path, rounds: int) -> None:
    """So many rounds, each killed at a random moment: every record is in the table exactly once."""
    command = [sys.executable, "-c", ROUNDS, str(folder), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    word, count, killed, code = done.stdout.split()[-4:]
    assert (word, code) == ("done", "0"), done.stdout
    assert int(killed) >= rounds // 3, "the rounds ended before they were killed"
    log = DeltaLog(str(folder / "table"))
    assert ids(log, PREDICTIONS) == Counter(f"r{number}" for number in range(int(count)))
    assert ids(log, OUTCOMES) == Counter(f"r{number}" for number in range(0, int(count), 3))


def in_memory() -> tuple[MemorySegments, MemoryTable, Compactor]:
    """Segments with ten predictions and five outcomes, an empty table, and what moves them in small batches."""
    segments, table = MemorySegments(), MemoryTable()
    segments.kept["predictions"] += [make_prediction(f"r{n}", unit_id=("anna", "ben")[n % 2]) for n in range(10)]
    segments.kept["outcomes"] += [OutcomeRecord(f"r{n}", 1, 2.0, 1_700_000_000.0) for n in range(5)]
    return segments, table, Compactor(segments, table, ManualClock(1_700_000_100.0), batch=3)


def test_everything_is_moved_once_and_pruned_only_then() -> None:
    """Batch by batch to the end; what is not in the table is not removed."""
    _, table, compactor = in_memory()
    assert compactor.prune(2e9) == Pruned(0, 0)
    moved = compactor.move()
    assert (moved.predictions, moved.outcomes, compactor.move().predictions) == (10, 5, 0)
    assert [record.request_id for record in table.rows["predictions"]] == [f"r{number}" for number in range(10)]
    assert compactor.prune(2e9).files == 15


def test_a_full_table_leaves_everything_where_it_was() -> None:
    """The round fails with one line; the next, with room, finishes."""
    _, table, compactor = in_memory()
    table.full = True
    with pytest.raises(StateError, match="full"):
        compactor.move()
    assert compactor.prune(2e9) == Pruned(0, 0)
    table.full = False
    assert compactor.move().predictions == 10


def test_a_subject_goes_from_both_and_is_counted_once() -> None:
    """Though its records lie in the segments and in the table."""
    segments, table, compactor = in_memory()
    assert compactor.erase("anna") == Erased(5, 3)
    assert {record.unit_id for record in segments.kept["predictions"] if isinstance(record, Prediction)} == {"ben"}
    assert {record.request_id for record in table.rows["outcomes"]} == {"r1", "r3"}
    assert compactor.erase("anna") == Erased(0, 0)


def test_the_retention_reaches_into_the_segments() -> None:
    """What is beyond it is nowhere, also where its segment lives on."""
    segments, table, _ = in_memory()
    late = Compactor(segments, table, ManualClock(1_700_000_000.0 + 20 * 86_400.0))
    late.tend(Keeping(retention=10 * 86_400.0))
    assert table.rows == {"predictions": [], "outcomes": []}
    assert {*segments.kept["predictions"], *segments.kept["outcomes"]} == {None}


def test_a_killed_compactor_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL at 30 random moments of moving, pruning, merging and removing files."""
    check_rounds(tmp_path, 30)


def check_erasures(folder: Path, units: int) -> None:
    """So many subjects, each erasure killed at a random moment and then called again."""
    command = [sys.executable, "-c", ERASURES, str(folder), str(units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    word, killed = done.stdout.split()[-2:]
    assert (word, int(killed) >= units // 3) == ("done", True), done.stdout
    left = Counter(f"r{each}" for each in range(units * 8) if each % (2 * units) >= units)
    log, reader = DeltaLog(str(folder / "table")), SegmentReader(folder)
    assert (ids(log, PREDICTIONS), ids(log, OUTCOMES)) == (left, left)
    predictions, outcomes = reader.poll(10**6)
    assert Counter(record.request_id for record in predictions) == left
    assert Counter(record.request_id for record in outcomes) == left
    assert reader.damage == []
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert [unit for unit in range(2 * units) if b"unit-%03d" % unit in everything] == list(range(units, 2 * units))


def test_an_erasure_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """SIGKILL anywhere: called again, it leaves no byte of the subject, and every other record once."""
    check_erasures(tmp_path, 6)


@pytest.mark.slow
def test_sixty_erasures_that_were_killed_are_finished(tmp_path: Path) -> None:
    """The same, 60 times."""
    check_erasures(tmp_path, 60)


@pytest.mark.slow
def test_a_compactor_killed_two_hundred_times_loses_nothing(tmp_path: Path) -> None:
    """The same, 200 times."""
    check_rounds(tmp_path, 200)
