"""The route table as a file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fairlead.adapters.route_file import RouteFile
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState
from fairlead.testing.routes import check_board


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a board."""
    check_board(lambda: RouteFile(tmp_path / "routes"))


def test_a_worker_that_ended_is_forgotten(tmp_path: Path) -> None:
    """It is not missed; to forget it twice is to forget it once."""
    board = RouteFile(tmp_path)
    board.report(WorkerState(3, 1, 0, 0.0, 0.0))
    board.report(WorkerState(4, 1, 0, 0.0, 0.0))
    for _ in range(2):
        board.forget(3)
    assert [state.worker for state in board.workers()] == [4]


def test_a_reader_never_sees_half_a_table(tmp_path: Path) -> None:
    """While tables of different length are published, every look gives a whole one, and generations only grow."""
    writer, reader = RouteFile(tmp_path), RouteFile(tmp_path)
    done = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not done.is_set():
            table = reader.current()
            assert len(table.models) == table.generation % 50
            seen.append(table.generation)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for generation in range(1, 200):
        models = {f"m{index}": ModelRoute((Arm("champion", 1, 1.0),), {}) for index in range(generation % 50)}
        writer.publish(RouteTable(generation, models))
    done.set()
    watcher.join()
    assert seen == sorted(seen)


@pytest.mark.parametrize("content", [b"", b"{", b'{"generation": "x"}', b"\xff"])
def test_a_damaged_table_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    """The error names the file and the fix."""
    (tmp_path / "table.json").write_bytes(content)
    with pytest.raises(StateError, match=r"table\.json is damaged"):
        RouteFile(tmp_path).current()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Reading and writing fail with one line."""
    (tmp_path / "routes").write_text("in the way")
    with pytest.raises(StateError, match="cannot be read"):
        RouteFile(tmp_path / "routes").current()
    (tmp_path / "table.json").mkdir()
    with pytest.raises(StateError, match="cannot be read"):
        RouteFile(tmp_path).current()


def test_a_report_cut_short_counts_as_not_given(tmp_path: Path) -> None:
    """The others are still told."""
    board = RouteFile(tmp_path)
    (tmp_path / "worker-0.json").write_bytes(b'{"work')
    assert board.workers() == ()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Publishing leaves the table and no draft."""
    RouteFile(tmp_path).publish(RouteTable(1))
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


@pytest.mark.parametrize("before", [None, b"", b'{"generation": 9}'])
def test_a_table_of_another_board_is_kept_whatever_lay_there(tmp_path: Path, before: bytes | None) -> None:
    """What a database says replaces a higher generation and a damaged table; keeping it again changes nothing."""
    if before is not None:
        (tmp_path / "table.json").write_bytes(before)
    board = RouteFile(tmp_path)
    board.keep(RouteTable(5))
    assert RouteFile(tmp_path).current() == RouteTable(5)
    kept = (tmp_path / "table.json").stat().st_ino
    board.keep(RouteTable(5))
    assert (tmp_path / "table.json").stat().st_ino == kept
