"""SQL as named text in a file: blocks that begin with `-- name: append_entry`, and numbered migrations."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from importlib.resources import files

from msgspec import Struct

from fairlead.errors import StateError

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_MIGRATION = re.compile(r"^(\d{4})_\w+\.sql$")


class Migration(Struct, frozen=True):
    """One step of a schema: its number, its file name, its statements."""

    version: int
    name: str
    statements: tuple[str, ...]


def parse(text: str) -> dict[str, str]:
    """The statements of a file by name.

    >>> parse("-- name: one\\nSELECT 1;\\n\\n-- name: two\\nSELECT 2;\\n")
    {'one': 'SELECT 1;', 'two': 'SELECT 2;'}
    """
    parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def split(script: str) -> tuple[str, ...]:
    """The statements of a script, triggers whole. `executescript` would commit in the middle of a migration.

    >>> split("SELECT 1;\\nSELECT\\n 2;")
    ('SELECT 1;', 'SELECT\\n 2;')
    """
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return tuple(statements)


@cache
def statements(name: str) -> dict[str, str]:
    """The named statements of `sql/<name>.sql`."""
    return parse((files("fairlead.adapters") / "sql" / f"{name}.sql").read_text(encoding="utf-8"))


@cache
def migrations() -> tuple[Migration, ...]:
    """The migrations that this installation knows, in order."""
    found = [
        Migration(int(match[1]), file.name, split(file.read_text(encoding="utf-8")))
        for file in (files("fairlead.adapters") / "sql" / "migrations").iterdir()
        if (match := _MIGRATION.match(file.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


def migrate(connection: sqlite3.Connection, known: tuple[Migration, ...], where: str) -> int:
    """Brings a database to the newest known schema in one transaction; returns its version.

    Running it again changes nothing. Raises `StateError` when the database is of a newer fairlead: an older one
    would not know what it may not do.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection, known, where)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return known[-1].version


def _apply(connection: sqlite3.Connection, known: tuple[Migration, ...], where: str) -> None:
    sql, newest = statements("schema"), known[-1].version
    connection.execute(sql["create_versions"])
    current = int(connection.execute(sql["current_version"]).fetchone()[0])
    if current > newest:
        raise StateError(
            f"{where} has schema version {current}, but this fairlead knows only up to {newest}: "
            "upgrade fairlead, or give it another home folder"
        )
    for migration in known[current:]:
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(sql["record_version"], {"version": migration.version, "name": migration.name})
