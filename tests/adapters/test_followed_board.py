"""A worker's view of the route board in PostgreSQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.adapters.followed_board import FollowedBoard
from fairlead.adapters.postgres_board import PostgresBoard
from fairlead.adapters.postgres_database import Database
from fairlead.adapters.route_file import RouteFile
from fairlead.config.database import DatabaseUrl
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState
from fairlead.testing.postgres import PASSWORD, PostgresServer
from fairlead.testing.routes import check_board

Follow = Callable[..., FollowedBoard]
Open = Callable[[str], PostgresBoard]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    """Opens followers, and closes them after the test."""
    boards: list[FollowedBoard] = []

    def begin(url: str, folder: str = "kept") -> FollowedBoard:
        boards.append(FollowedBoard(Database(DatabaseUrl(url), "worker 0"), "here", RouteFile(tmp_path / folder)))
        return boards[-1]

    yield begin
    for board in boards:
        board.close()


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens boards, and closes them after the test."""
    databases: list[Database] = []

    def begin(url: str) -> PostgresBoard:
        databases.append(Database(DatabaseUrl(url), "controller"))
        return PostgresBoard(databases[-1], "here")

    yield begin
    for database in databases:
        database.close()


def table(generation: int, version: int = 1) -> RouteTable:
    """A table of one model."""
    return RouteTable(generation, {"hotel": ModelRoute((Arm("champion", version, 1.0),), {version: "d" * 64})})


def wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Until a condition holds; fails when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.005)


def test_keeps_the_port(postgres: PostgresServer, follow: Follow, opened: Open) -> None:
    """It is a board's reader, a moment behind."""
    url = postgres.create()
    check_board(lambda: opened(url), lambda: follow(url))


def test_every_table_comes_and_the_last_one_stays(postgres: PostgresServer, follow: Follow, opened: Open) -> None:
    """However fast tables follow each other, every reader ends at the last, and keeps it."""
    url = postgres.create()
    readers, board = [follow(url, "one"), follow(url, "two")], opened(url)
    for generation in range(1, 200):
        board.publish(table(generation))
        if generation % 20 == 0:
            wait(lambda wanted=generation: all(one.current().generation == wanted for one in readers))  # type: ignore[misc]
    wait(lambda: all(one.current() == table(199) for one in readers))


def test_a_reader_only_reads(postgres: PostgresServer, follow: Follow) -> None:
    """Publishing is refused."""
    board = follow(postgres.create())
    with pytest.raises(StateError, match="ask a writer's"):
        board.publish(table(1))


def test_a_reader_knows_the_workers_of_its_own_machine(postgres: PostgresServer, follow: Follow, opened: Open) -> None:
    """Who serves beside it, and nobody elsewhere."""
    url = postgres.create()
    board = follow(url)
    elsewhere = PostgresBoard(Database(DatabaseUrl(url), "other"), "elsewhere")
    elsewhere.report(WorkerState(1, 8, 1, 1.0, 2.0))
    opened(url).report(WorkerState(0, 7, 1, 1.0, 2.0))
    wait(lambda: [state.pid for state in board.workers()] == [7])


def test_a_missed_notice_is_caught_up(postgres: PostgresServer, follow: Follow, opened: Open) -> None:
    """A table that nobody was told of is found all the same."""
    url = postgres.create()
    board = follow(url)
    opened(url).publish(table(1))
    wait(lambda: board.current() == table(1))
    content = '{"generation":2,"models":{}}'
    postgres.execute(url, f"UPDATE fairlead_routes SET generation = 2, content = '{content}'")
    wait(lambda: board.current() == RouteTable(2))


def test_what_was_restored_counts(postgres: PostgresServer, follow: Follow, opened: Open) -> None:
    """A database that was restored from a backup has an older table: it is followed, and kept. One that was made anew
    has none: the models stay."""
    url = postgres.create()
    board = follow(url)
    opened(url).publish(table(7, 2))
    wait(lambda: board.changed(-1) == table(7, 2))
    content = '{"generation":3,"models":{}}'
    postgres.execute(url, f"UPDATE fairlead_routes SET generation = 3, content = '{content}'")
    wait(lambda: board.changed(7) == RouteTable(3))
    postgres.execute(url, "UPDATE fairlead_routes SET generation = 0, content = '{}'")
    time.sleep(1.5)  # longer than the reader waits between two questions
    assert board.current() == RouteTable(3)


def test_serves_on_while_the_server_is_away_and_catches_up(
    new_postgres: Callable[[], PostgresServer],
    follow: Follow,
    opened: Open,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Killed: the table stays in memory, a reader that starts now serves the kept one, reports are taken. Back: all
    catch up with what was published, and the last report is there. It is told once each, without the password."""
    server = new_postgres()
    url = server.create()
    board, reader = opened(url), follow(url)
    board.publish(table(1))
    wait(lambda: reader.current() == table(1))
    wait(lambda: RouteFile(tmp_path / "kept").current() == table(1))
    with caplog.at_level(logging.WARNING, logger="fairlead.worker"):
        server.kill()
        wait(lambda: "served from memory" in caplog.text)
        assert reader.changed(1) is None
        assert reader.current() == table(1)
        started = follow(url)
        wait(lambda: started.changed(-1) == table(1))
        for generation in (1, 2):
            started.report(WorkerState(4, 7, generation, 1.0, 2.0))
        with pytest.raises(StateError, match="cannot be used"):
            board.publish(table(2))
        server.start()
        wait(lambda: caplog.text.count("is back") == 2)
    board.publish(table(2))
    wait(lambda: reader.current() == started.current() == table(2))
    wait(lambda: [state.generation for state in board.workers()] == [2])
    assert caplog.text.count("served from memory") == 2
    assert PASSWORD not in caplog.text


def test_a_reader_waits_for_the_first_answer(postgres: PostgresServer, follow: Follow, tmp_path: Path) -> None:
    """An old table that lies in the home is not served before the database was asked; and a database that has no table
    yet takes no model away."""
    RouteFile(tmp_path / "kept").keep(table(9))
    board = follow(postgres.create())
    assert board.changed(-1) in (None, table(9))
    wait(lambda: board.changed(-1) == table(9))


def test_an_unreadable_kept_table_is_no_table(follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the reader begins empty."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "table.json").write_bytes(b"{")
    board = follow("postgresql://nobody@127.0.0.1:1/none")
    wait(lambda: board.changed(-1) == RouteTable())
    assert "is damaged" in caplog.text
