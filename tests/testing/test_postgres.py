"""The PostgreSQL server for tests."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from fairlead.testing.postgres import PostgresServer


def test_each_database_is_empty_and_needs_its_password(postgres: PostgresServer) -> None:
    """Databases are apart, and nobody enters without the password."""
    one, other = postgres.create(), postgres.create()
    postgres.execute(one, "CREATE TABLE mine (n INTEGER)")
    assert postgres.execute(other, "SELECT to_regclass('mine')") == [(None,)]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(one.replace("let-me-in-5", "wrong"))


def test_a_killed_server_comes_back_with_what_was_committed(new_postgres: Callable[[], PostgresServer]) -> None:
    """After SIGKILL and a start on the same port the rows are there."""
    server = new_postgres()
    url = server.create()
    server.execute(url, "CREATE TABLE kept (n INTEGER)", "INSERT INTO kept VALUES (7)")
    server.kill()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    server.start()
    assert server.execute(url, "SELECT n FROM kept") == [(7,)]
