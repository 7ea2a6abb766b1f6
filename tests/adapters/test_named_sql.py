"""SQL as named text, and migrations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from fairlead.adapters.named_sql import Migration, migrate, migrations, parse, split, statements
from fairlead.errors import StateError

OLD = (Migration(1, "0001_first.sql", ("CREATE TABLE fact (id INTEGER PRIMARY KEY, text TEXT)",)),)
NEW = (*OLD, Migration(2, "0002_actor.sql", ("ALTER TABLE fact ADD COLUMN actor TEXT NOT NULL DEFAULT 'unknown'",)))


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """An empty database."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_every_migration_is_numbered_without_a_gap() -> None:
    """The shipped migrations are 1, 2, 3 …, each with statements."""
    shipped = migrations()
    assert [migration.version for migration in shipped] == list(range(1, len(shipped) + 1))
    assert all(migration.statements for migration in shipped)


@pytest.mark.parametrize("name", ["journal", "schema"])
def test_every_statement_is_one_statement(name: str) -> None:
    """Each named block holds exactly one statement."""
    assert {block: len(split(text)) for block, text in statements(name).items()} == dict.fromkeys(statements(name), 1)


def test_keeps_triggers_whole() -> None:
    """A semicolon inside a trigger does not end it."""
    trigger = "CREATE TRIGGER t BEFORE UPDATE ON x\nBEGIN\n    SELECT RAISE(ABORT, 'no');\nEND;"
    assert split(f"SELECT 1;\n{trigger}\n") == ("SELECT 1;", trigger)


def test_reads_blocks_by_name() -> None:
    """Text before the first name is a comment; a block ends where the next begins."""
    assert parse("-- about\n-- name: a\nSELECT\n1;\n-- name: b\nSELECT 2;") == {"a": "SELECT\n1;", "b": "SELECT 2;"}


def test_migrating_twice_is_harmless(database: sqlite3.Connection) -> None:
    """The second run changes nothing."""
    assert migrate(database, NEW, "it") == 2
    before = list(database.iterdump())
    assert migrate(database, NEW, "it") == 2
    assert list(database.iterdump()) == before


def test_old_data_lives_on_under_the_new_schema(database: sqlite3.Connection) -> None:
    """What was written under version 1 is there, with the new column's default, under version 2."""
    migrate(database, OLD, "it")
    database.execute("INSERT INTO fact (text) VALUES ('kept')")
    migrate(database, NEW, "it")
    assert database.execute("SELECT text, actor FROM fact").fetchall() == [("kept", "unknown")]


def test_a_failed_migration_changes_nothing(database: sqlite3.Connection) -> None:
    """A migration that fails in its second statement leaves the old schema."""
    migrate(database, OLD, "it")
    broken = (*OLD, Migration(2, "0002_broken.sql", ("ALTER TABLE fact ADD COLUMN x TEXT", "SELECT nonsense")))
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        migrate(database, broken, "it")
    assert [row[1] for row in database.execute("PRAGMA table_info(fact)")] == ["id", "text"]
    assert migrate(database, OLD, "it") == 1


def test_a_newer_database_is_refused(database: sqlite3.Connection) -> None:
    """An older fairlead does not touch a newer database."""
    migrate(database, NEW, "it")
    with pytest.raises(StateError, match=r"the home has schema version 2, but .* only up to 1: upgrade fairlead"):
        migrate(database, OLD, "the home")
