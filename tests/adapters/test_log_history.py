"""The whole log as one: table and segments without a gap or a double."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.log_history import HistoryReader, open_history
from fairlead.adapters.segment_frame import PREDICTIONS
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.segment_store import SegmentStore
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.record import OutcomeRecord
from fairlead.errors import StateError
from fairlead.flows.compact import Compactor
from fairlead.ports.log import LogReader
from fairlead.testing.log import check_log, make_prediction

FUTURE = time.time() + 10**6


class Home:
    """A log's folder, its writer, and what compacts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = DeltaLog(str(folder / "table"))
        self.compactor = Compactor(SegmentStore(folder), self.table, SystemClock())
        self.log = SegmentLog(folder, 0, segment_bytes=2_000)
        self.count = 0

    def write(self, many: int) -> None:
        """So many predictions, and an outcome for every second."""
        for _ in range(many):
            self.log.predictions([make_prediction(f"r{self.count}")])
            if self.count % 2:
                self.log.outcomes([OutcomeRecord(f"r{self.count}", 1, 2.0, 3.0)])
            self.count += 1


def drained(reader: LogReader, limit: int = 10_000) -> tuple[list[str], list[str]]:
    """The request ids that a reader has left, in its order: of predictions, of outcomes."""
    predictions: list[str] = []
    outcomes: list[str] = []
    while True:
        first, second = reader.poll(limit)
        if not first and not second:
            return predictions, outcomes
        predictions += [record.request_id for record in first]
        outcomes += [record.request_id for record in second]


def everything(count: int) -> tuple[list[str], list[str]]:
    """What so many writes leave, sorted."""
    return sorted(f"r{n}" for n in range(count)), sorted(f"r{n}" for n in range(1, count, 2))


def in_order(found: tuple[list[str], list[str]]) -> tuple[list[str], list[str]]:
    """Sorted, so that a double is seen and the order is not."""
    return sorted(found[0]), sorted(found[1])


def test_keeps_the_port(tmp_path: Path) -> None:
    """It reads what a log writes, with no table and with one."""
    asyncio.run(
        check_log(lambda: SegmentLog(tmp_path, 0), lambda: HistoryReader(tmp_path, DeltaLog(str(tmp_path / "table"))))
    )


step = st.one_of(st.integers(1, 9).map(lambda many: ("write", many)), st.sampled_from([("move", 0), ("prune", 0)]))


@settings(max_examples=15, deadline=None)
@given(before=st.lists(step, max_size=5), during=st.lists(step, max_size=5), limit=st.integers(1, 20))
def test_no_gap_and_no_double_whatever_is_moved_and_removed_when(
    tmp_path_factory: pytest.TempPathFactory, before: list[tuple[str, int]], during: list[tuple[str, int]], limit: int
) -> None:
    """A reader opened at any moment gives each record once, though segments are moved and removed as it reads."""
    home = Home(tmp_path_factory.mktemp("history"))
    reader = HistoryReader(home.folder, home.table)
    found: tuple[list[str], list[str]] = ([], [])

    def take(verb: str, many: int) -> None:
        if verb == "write":
            home.write(many)
        elif verb == "move":
            home.compactor.move()
        else:
            home.compactor.prune(FUTURE)

    for verb, many in before:
        take(verb, many)
    for verb, many in during:
        first, second = reader.poll(limit)
        found[0].extend(record.request_id for record in first)
        found[1].extend(record.request_id for record in second)
        take(verb, many)
    rest = drained(reader, limit)
    home.log.close()
    assert in_order((found[0] + rest[0], found[1] + rest[1])) == everything(home.count)
    assert in_order(drained(HistoryReader(home.folder, home.table))) == everything(home.count)


def test_batches_are_full_as_long_as_the_table_has_more(tmp_path: Path) -> None:
    """Whoever takes a short batch for the log's end must not meet one before it."""
    home = Home(tmp_path)
    home.write(50)
    home.compactor.move()
    home.write(7)
    home.log.close()
    reader = HistoryReader(tmp_path, home.table)
    assert [len(reader.poll(20)[0]) for _ in range(3)] == [20, 20, 17]


def test_a_retry_in_the_segments_of_what_is_in_the_table_is_one_record(tmp_path: Path) -> None:
    """The first attempt was compacted before the second came."""
    home = Home(tmp_path)
    home.write(3)
    home.compactor.move()
    home.log.predictions([make_prediction("r1"), make_prediction("fresh")])
    home.log.close()
    assert drained(HistoryReader(tmp_path, home.table))[0] == ["r0", "r1", "r2", "fresh"]


def test_without_a_table_the_segments_are_the_log(tmp_path: Path) -> None:
    """Then deltalake need not be there, and is not loaded."""
    assert isinstance(open_history(tmp_path, str(tmp_path / "table"), {}), SegmentReader)
    program = "import sys, pathlib; from fairlead.adapters.log_history import open_history as o\n"
    program += (
        "o(pathlib.Path('x'), 'y', {}).poll(); assert 'deltalake' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env={**os.environ})


# -- what may be removed ---------------------------------------------------------------------------------------------


def test_segments_go_only_once_they_are_in_the_table_and_old_and_followed(tmp_path: Path) -> None:
    """Not before they were moved, not while young, and never the newest of a worker."""
    home = Home(tmp_path)
    home.write(30)
    assert home.compactor.prune(FUTURE).files == 0
    home.compactor.move()
    assert home.compactor.prune(time.time() - 3600).files == 0
    files = sorted((tmp_path / PREDICTIONS).iterdir())
    assert home.compactor.prune(FUTURE).files == len(files) - 1
    assert list((tmp_path / PREDICTIONS).iterdir()) == files[-1:]
    home.write(1)
    home.log.close()
    home.compactor.move()
    assert in_order(drained(HistoryReader(tmp_path, home.table))) == everything(31)


def test_a_torn_end_holds_nothing_up_once_it_is_final(tmp_path: Path) -> None:
    """A worker that was killed in a write leaves half a record: its next start is moved, and the old file may go."""
    home = Home(tmp_path)
    home.write(1)
    home.log.close()
    (torn,) = (tmp_path / PREDICTIONS).iterdir()
    with torn.open("ab") as file:
        file.write(b"\x50\0\0\0half")
    again = SegmentLog(tmp_path, 0)
    again.predictions([make_prediction("after")])
    again.close()
    assert home.compactor.move().predictions == 2
    assert home.compactor.move().predictions == 0
    home.compactor.prune(FUTURE)
    assert torn not in list((tmp_path / PREDICTIONS).iterdir())
    assert sorted(drained(HistoryReader(tmp_path, home.table))[0]) == ["after", "r0"]


def test_a_damaged_record_is_counted_once_and_costs_no_other(tmp_path: Path) -> None:
    """One flipped bit: the record is passed over, every other one is in the table."""
    home = Home(tmp_path)
    home.write(5)
    home.log.close()
    (path,) = (tmp_path / PREDICTIONS).iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(b'"r2"') + 1] ^= 1
    path.write_bytes(data)
    moved = home.compactor.move()
    assert (moved.predictions, moved.damaged) == (4, 1)
    assert home.compactor.move().damaged == 0


def test_a_segment_that_cannot_be_read_waits_and_holds_up_its_own_start_only(tmp_path: Path) -> None:
    """It is named; what another worker wrote is moved; once it can be read its records follow, in order."""
    home = Home(tmp_path)
    home.write(12)
    home.log.close()
    other = SegmentLog(tmp_path, 1)
    other.predictions([make_prediction("other")])
    other.close()
    first = min((tmp_path / PREDICTIONS).glob("w000-*"))
    aside = tmp_path / "aside"
    first.rename(aside)
    first.mkdir()
    moved = home.compactor.move()
    assert (moved.predictions, moved.unread) == (1, (f"{PREDICTIONS}/{first.name}",))
    first.rmdir()
    aside.rename(first)
    assert home.compactor.move().predictions == 12
    assert in_order(drained(HistoryReader(tmp_path, home.table)))[0] == sorted([*everything(12)[0], "other"])


# -- what happens to the table while it is read ----------------------------------------------------------------------


def test_no_file_is_removed_under_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure waits for whoever reads the table from the start, and says so; called again it finishes."""
    monkeypatch.setattr("fairlead.adapters.delta_log._READERS_SECONDS", 0.1)
    home = Home(tmp_path)
    home.write(50)
    home.log.close()
    home.compactor.move()
    reader = HistoryReader(tmp_path, home.table)
    assert len(reader.poll(10)[0]) == 10
    with pytest.raises(StateError, match="call again"):
        home.compactor.erase("r3")
    rest = drained(reader, 10)
    assert len(rest[0]) == 40
    home.compactor.erase("r3")
    assert "r3" not in drained(HistoryReader(tmp_path, home.table))[0]


@settings(max_examples=15, deadline=None)
@given(failures=st.lists(st.booleans(), max_size=8), limit=st.integers(1, 30))
def test_a_reading_that_fails_goes_on_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, failures: list[bool], limit: int
) -> None:
    """The disk refuses now and then: each failure is told, and in the end every record has come once."""
    home = Home(tmp_path_factory.mktemp("failing"))
    for _ in range(3):
        home.write(10)
        home.compactor.move()
    home.log.close()
    true_part, left = home.table._part, list(failures)

    def part(*arguments: Any) -> Iterator[Any]:
        for rows in true_part(*arguments):
            if left and left.pop():
                raise StateError("the disk refuses")
            yield rows

    home.table.__dict__["_part"] = part
    reader = HistoryReader(home.folder, home.table)
    found: tuple[list[str], list[str]] = ([], [])
    for _ in range(100):
        try:
            first, second = reader.poll(limit)
        except StateError:
            continue
        found[0].extend(record.request_id for record in first)
        found[1].extend(record.request_id for record in second)
    assert in_order(found) == everything(30)
