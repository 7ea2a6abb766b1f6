"""Who leads, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fairlead.adapters.postgres_board import PostgresBoard
from fairlead.adapters.postgres_database import Database, queries
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.config.database import DatabaseUrl
from fairlead.core.route import RouteTable
from fairlead.errors import StateError
from fairlead.testing.lease import check_lease
from fairlead.testing.postgres import PostgresServer

Opener = Callable[[str], Database]
Lose = Callable[[str, Database], None]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens databases, and closes them after the test."""
    databases: list[Database] = []

    def open_database(url: str) -> Database:
        databases.append(Database(DatabaseUrl(url), "test"))
        return databases[-1]

    yield open_database
    for database in databases:
        database.close()


def test_keeps_the_port(postgres: PostgresServer, opened: Opener) -> None:
    """It is a lease."""
    url = postgres.create()
    check_lease(lambda name: PostgresLease(opened(url), name))


def test_a_holder_that_dies_leaves_at_once(postgres: PostgresServer, opened: Opener, lose: Lose) -> None:
    """The lock ends with the connection; the old holder finds that it has lost the lead, and frees what it took."""
    url = postgres.create()
    mine = opened(url)
    old, new, third = PostgresLease(mine, "old"), PostgresLease(opened(url), "new"), PostgresLease(opened(url), "third")
    assert old.take()
    assert not new.take()
    lose(url, mine)
    assert new.take()
    assert not old.take()
    new.leave()
    assert not old.take(), "it has missed what the other did"
    assert third.take(), "and it does not stand in the way"


def test_a_holder_that_only_lost_its_connection_goes_on(postgres: PostgresServer, opened: Opener, lose: Lose) -> None:
    """After a restart of the server whoever led leads, unless another came first: nothing was missed."""
    url = postgres.create()
    mine = opened(url)
    lease = PostgresLease(mine, "one")
    assert lease.take()
    lose(url, mine)
    assert lease.take()
    assert PostgresLease(opened(url), "two").take() is False


def test_a_lock_that_outlives_its_connection_is_waited_for(
    postgres: PostgresServer, opened: Opener, lose: Lose
) -> None:
    """While the server keeps a lost connection's lock, and nobody else led, the lead is not said to be another's."""
    url = postgres.create()
    mine = opened(url)
    lease = PostgresLease(mine, "one")
    assert lease.take()
    lose(url, mine)
    stale = opened(url)  # the session that the server believes in
    stale.run(lambda connection: connection.execute(queries("lease")["try_lock"]).fetchone())
    with pytest.raises(StateError, match="nobody else has led"):
        lease.take()
    lose(url, stale)
    assert lease.take()
    assert lease.leader() == "one"


def test_who_leaves_is_followed_at_once(postgres: PostgresServer, opened: Opener) -> None:
    """The lock is given back before the connection is closed: the next leader waits for no server to notice."""
    url = postgres.create()
    leases = [PostgresLease(opened(url), name) for name in "abcdefgh"]
    for lease in leases:
        assert lease.take(), "whoever led before has left"
        lease.leave()


def test_an_old_leader_publishes_nothing(postgres: PostgresServer, opened: Opener, lose: Lose) -> None:
    """Its table is refused by the database, before and after the new leader's first."""
    url = postgres.create()
    mine = opened(url)
    old, new = PostgresLease(mine, "old"), PostgresLease(opened(url), "new")
    old_board, new_board = PostgresBoard(opened(url), "a", old), PostgresBoard(opened(url), "b", new)
    assert old.take()
    old_board.publish(RouteTable(1))
    lose(url, mine)
    assert new.take()
    for generation in (2, 4):
        with pytest.raises(StateError, match="another controller leads"):
            old_board.publish(RouteTable(generation))
        new_board.publish(RouteTable(3))
    assert new_board.current() == RouteTable(3)


def test_databases_are_apart(postgres: PostgresServer, opened: Opener) -> None:
    """Each database has a leader of its own."""
    assert PostgresLease(opened(postgres.create()), "one").take()
    assert PostgresLease(opened(postgres.create()), "two").take()
