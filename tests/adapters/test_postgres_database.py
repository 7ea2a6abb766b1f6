"""A connection to PostgreSQL: what is told when it fails, and what is never told."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters import postgres_database
from fairlead.adapters.postgres_database import Database, migrate, migrations
from fairlead.config.database import DatabaseUrl
from fairlead.errors import FairleadError, MissingExtra, StateError
from fairlead.testing.postgres import PASSWORD, PostgresServer


def one(database: Database) -> Any:
    """Something asked in a transaction."""
    try:
        return database.run(lambda connection: connection.execute(b"SELECT 1").fetchone())
    finally:
        database.close()


def said(error: BaseException) -> str:
    """Everything that a log could show of an error: itself, and what it came from."""
    found = []
    seen: BaseException | None = error
    while seen is not None:
        found += [str(seen), repr(seen)]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " ".join(found)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace(PASSWORD, "hush-hush"), "password authentication failed"),
        (lambda url: url.replace("127.0.0.1", "no-such-host.invalid"), "failed to resolve host"),
        (lambda url: url.rpartition(":")[0] + ":1/test1", "Connection refused"),
        (lambda url: url + "-gone", "does not exist"),
        (lambda url: url + "?nonsense=1", "invalid URI query parameter"),
        (lambda url: url + "?sslmode=require", "server does not support SSL"),
    ],
)
def test_a_failure_is_one_line_without_the_password(postgres: PostgresServer, change: Any, told: str) -> None:
    """What failed, which database, and the fix; the password is nowhere in it."""
    url = change(postgres.create())
    with pytest.raises(StateError, match=told) as failed:
        one(Database(DatabaseUrl(url), "test"))
    assert "\n" not in failed.value.line
    assert "fairlead@" in failed.value.line
    assert "`database` in the settings" in failed.value.line
    assert PASSWORD not in said(failed.value)
    assert "hush-hush" not in said(failed.value)


def test_a_password_may_come_from_the_environment_or_a_file(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL without one works with PGPASSWORD, and with a pgpass file."""
    url = postgres.create()
    bare = postgres.url(url.rpartition("/")[2], password=None)
    with pytest.raises(StateError, match="no password supplied"):
        one(Database(DatabaseUrl(bare), "test"))
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        assert one(Database(DatabaseUrl(bare), "test")) == (1,)
    kept = tmp_path / "pgpass"
    kept.write_text(f"127.0.0.1:*:*:fairlead:{PASSWORD}\n")
    kept.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(kept))
    assert one(Database(DatabaseUrl(bare), "test")) == (1,)


def test_a_database_that_is_away_is_not_asked_again_at_once(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next to ask is refused by what is known, with the same line."""
    for delay in ("_FIRST_DELAY_SECONDS", "_LONGEST_DELAY_SECONDS"):  # however late the next one asks
        monkeypatch.setattr(postgres_database, delay, 600.0)
    database = Database(DatabaseUrl(postgres.url("none")), "test")
    with pytest.raises(StateError, match="does not exist") as first:
        one(database)
    before = database._next_at
    with pytest.raises(StateError) as second:
        one(database)
    assert second.value.line == first.value.line
    assert database._next_at == before > time.monotonic()


def test_processes_that_begin_a_database_at_once_take_turns(postgres: PostgresServer) -> None:
    """Each migration is applied once."""
    url = postgres.create()
    faults: list[FairleadError] = []

    def begin() -> None:
        try:
            one(Database(DatabaseUrl(url), "test"))
        except FairleadError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    rows = postgres.execute(url, "SELECT version, name FROM fairlead_schema ORDER BY version")
    assert rows == [(version, name) for version, name, _ in migrations()]


def test_an_older_database_is_brought_up_to_date_with_its_facts(postgres: PostgresServer) -> None:
    """Old data on the new schema: the journal of version 1 is kept, and what came later is added."""
    url = postgres.create()
    first = migrations()[0]
    postgres.execute(
        url,
        "CREATE TABLE fairlead_schema (version INTEGER PRIMARY KEY, name TEXT NOT NULL)",
        first[2].decode(),
        f"INSERT INTO fairlead_schema VALUES (1, '{first[1]}')",
        "INSERT INTO fairlead_journal VALUES (1, 1.0, 'ana', '{}', 'p', 'd', 'm', 'k')",
    )
    one(Database(DatabaseUrl(url), "test"))
    assert postgres.execute(url, "SELECT digest FROM fairlead_journal") == [("d",)]
    assert postgres.execute(url, "SELECT MAX(version) FROM fairlead_schema") == [(len(migrations()),)]


def test_a_newer_database_is_refused(postgres: PostgresServer) -> None:
    """An older fairlead would not know what it may not do."""
    url = postgres.create()
    one(Database(DatabaseUrl(url), "test"))
    postgres.execute(url, "INSERT INTO fairlead_schema VALUES (99, 'later')")
    with pytest.raises(StateError, match=r"schema version 99, but this fairlead knows only up to \d+"):
        one(Database(DatabaseUrl(url), "test"))


def test_a_user_without_the_right_to_make_tables_can_work(postgres: PostgresServer) -> None:
    """Once the tables are there, reading and writing them is enough."""
    url = postgres.create()
    one(Database(DatabaseUrl(url), "test"))
    postgres.execute(
        url,
        "CREATE ROLE worker LOGIN PASSWORD 'pw-of-worker'",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO worker",
    )
    theirs = url.replace(f"fairlead:{PASSWORD}", "worker:pw-of-worker")
    assert one(Database(DatabaseUrl(theirs), "test")) == (1,)


def test_another_encoding_is_refused(postgres: PostgresServer) -> None:
    """Facts are UTF-8: a database that cannot hold them is told at once, with the fix."""
    postgres.execute(postgres.url("postgres"), "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StateError, match="encoded in LATIN1"):
        one(Database(DatabaseUrl(postgres.url("latin")), "test"))


def test_a_server_that_does_not_sync_is_overruled(postgres: PostgresServer) -> None:
    """What was appended is on the disk, whatever the server's default."""
    url = postgres.create()
    postgres.execute(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    database = Database(DatabaseUrl(url), "test")
    assert database.run(lambda c: c.execute(b"SHOW synchronous_commit").fetchone()) == ("on",)
    database.close()


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[postgres\]"):
        Database(DatabaseUrl("postgresql://u@h/d"), "test")


def test_migrating_twice_changes_nothing(postgres: PostgresServer) -> None:
    """The second time nothing is done."""
    database = Database(DatabaseUrl(postgres.create()), "test")
    connection = database.connect()
    assert migrate(connection, "here") == migrate(connection, "here") == len(migrations())
    connection.close()
