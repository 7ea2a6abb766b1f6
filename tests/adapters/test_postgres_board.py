"""The route board in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest

from fairlead.adapters.postgres_board import PostgresBoard
from fairlead.adapters.postgres_database import Database
from fairlead.config.database import DatabaseUrl
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.ports.routes import WorkerState
from fairlead.testing.postgres import PostgresServer
from fairlead.testing.routes import check_board

Opener = Callable[..., PostgresBoard]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens boards, and closes them after the test."""
    databases: list[Database] = []

    def open_board(url: str, place: str = "here") -> PostgresBoard:
        databases.append(Database(DatabaseUrl(url), "test"))
        return PostgresBoard(databases[-1], place)

    yield open_board
    for database in databases:
        database.close()


def table(generation: int, version: int) -> RouteTable:
    """A table of one model."""
    return RouteTable(generation, {"hotel": ModelRoute((Arm("champion", version, 1.0),), {version: "d" * 64})})


def test_keeps_the_port(postgres: PostgresServer, opened: Opener) -> None:
    """It is a board."""
    url = postgres.create()
    check_board(lambda: opened(url))


def test_of_two_that_publish_one_generation_one_is_refused(postgres: PostgresServer, opened: Opener) -> None:
    """The database decides, and what stands is a whole table of one of them."""
    url = postgres.create()
    boards = [opened(url) for _ in range(4)]
    refused: list[int] = []

    def publish(number: int) -> None:
        for generation in range(1, 11):
            try:
                boards[number].publish(table(generation, number))
            except StateError:
                refused.append(generation)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 30
    assert boards[0].current() in [table(10, number) for number in range(4)]


def test_workers_of_the_same_number_on_two_machines_are_two(postgres: PostgresServer, opened: Opener) -> None:
    """Reports are told apart by machine and home."""
    url = postgres.create()
    states = [WorkerState(0, pid, 1, 1.0, 2.0) for pid in (10, 20)]
    for place, state in zip(("a", "b"), states, strict=True):
        opened(url, place).report(state)
    assert opened(url).workers() == tuple(states)


def test_a_worker_that_is_silent_for_a_day_is_forgotten(postgres: PostgresServer, opened: Opener) -> None:
    """It is not told any more, and the next table clears it away."""
    url = postgres.create()
    board = opened(url)
    board.report(WorkerState(0, 10, 1, 1.0, 2.0))
    postgres.execute(url, "UPDATE fairlead_workers SET said_at = said_at - interval '25 hours'")
    board.report(WorkerState(1, 11, 1, 1.0, 2.0))
    assert [state.worker for state in board.workers()] == [1]
    board.publish(RouteTable(1))
    assert postgres.execute(url, "SELECT worker FROM fairlead_workers") == [(1,)]


def test_a_table_whose_commit_got_no_answer_is_published_once(postgres: PostgresServer, opened: Opener) -> None:
    """Asked again with the same table the board agrees."""
    url = postgres.create()
    opened(url).publish(table(1, 1))
    opened(url).publish(table(1, 1))
    assert opened(url).current() == table(1, 1)


def test_a_damaged_table_is_told(postgres: PostgresServer, opened: Opener) -> None:
    """The error names the database and the fix; the next table replaces it."""
    url = postgres.create()
    board = opened(url)
    assert board.current() == RouteTable()
    postgres.execute(url, 'UPDATE fairlead_routes SET content = \'{"generation": "x"}\'')
    with pytest.raises(StateError, match=r"is damaged .*publish it again"):
        board.current()
    board.publish(table(1, 1))
    assert msgspec.json.decode(msgspec.json.encode(board.current()), type=RouteTable) == table(1, 1)
