"""The journal in SQLite."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.core.event import Entry, OperatorAsked, StatusChanged, canonical
from fairlead.errors import JournalBroken, StateError
from fairlead.testing.journal import check_journal, check_writers

Opener = Callable[[Path], SqliteJournal]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens journals, and closes them after the test."""
    journals: list[SqliteJournal] = []

    def open_journal(path: Path) -> SqliteJournal:
        journals.append(SqliteJournal(path))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


@pytest.fixture
def five(tmp_path: Path, opened: Opener) -> SqliteJournal:
    """A journal of five entries at `journal.db`."""
    journal = opened(tmp_path / "journal.db")
    for version in range(1, 6):
        journal.append([StatusChanged(model="hotel", version=version, status="staging")], actor="anna", at=version)
    return journal


def tamper(path: Path, *statements: str) -> None:
    """Edits the file as someone would who drops the triggers first."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER journal_is_not_edited")
    connection.execute("DROP TRIGGER journal_is_not_shortened")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_keeps_the_port(tmp_path: Path, opened: Opener) -> None:
    """It is a journal: order, chain, filters, all or none, threads."""
    numbers = count()
    check_journal(lambda: opened(tmp_path / f"{next(numbers)}" / "journal.db"))
    check_writers(opened(tmp_path / "journal.db"), opened(tmp_path / "journal.db"))


@given(
    reasons=st.lists(st.text(), min_size=1, max_size=5), at=st.floats(allow_nan=False, allow_infinity=False, width=64)
)
@settings(max_examples=30, deadline=None)
def test_any_text_and_instant_survives(reasons: list[str], at: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a person writes as a reason, and whenever, is read back and verified byte for byte."""
    journal = SqliteJournal(tmp_path_factory.mktemp("journal") / "journal.db")
    asked = [OperatorAsked(model="m", verb="pause", reason=_encodable(reason)) for reason in reasons]
    journal.append(asked, actor="anna", at=at)
    entries = list(journal.read())
    assert [entry.fact for entry in entries] == asked
    assert {entry.at for entry in entries} == {at}
    assert journal.verify() == len(asked)
    journal.close()


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def test_survives_reopening(tmp_path: Path, opened: Opener) -> None:
    """Opening again migrates nothing, loses nothing and goes on with the chain."""
    path = tmp_path / "journal.db"
    opened(path).append([StatusChanged(model="a", version=1, status="staging")], actor="t", at=1)
    opened(path).append([StatusChanged(model="a", version=1, status="production")], actor="t", at=2)
    assert opened(path).verify() == 2


def test_reads_long_journals_in_pages(tmp_path: Path, opened: Opener) -> None:
    """A journal longer than a page is read whole, while it is being written to."""
    journal = opened(tmp_path / "journal.db")
    fact = StatusChanged(model="a", version=1, status="staging")
    journal.append([fact] * 2_500, actor="t", at=1)
    seen: list[Entry] = []
    for entry in journal.read(model="a"):
        seen.append(entry)
        if entry.seq == 1:
            journal.append([fact], actor="t", at=2)
    assert [entry.seq for entry in seen] == list(range(1, 2_502))


@pytest.mark.parametrize(
    ("statements", "entry", "what"),
    [
        (["UPDATE journal SET actor = 'mallory' WHERE seq = 3"], 3, "content"),
        (["UPDATE journal SET at = 3.0000000000000004 WHERE seq = 3"], 3, "content"),
        (["UPDATE journal SET fact = replace(fact, 'staging', 'production') WHERE seq = 3"], 3, "content"),
        (["UPDATE journal SET digest = 'x' WHERE seq = 3"], 3, "content"),
        (["UPDATE journal SET previous = 'x' WHERE seq = 3"], 3, "does not follow"),
        (["DELETE FROM journal WHERE seq = 3"], 3, "missing"),
        (["DELETE FROM journal WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM journal WHERE seq = 5"], 5, "missing"),
        (["DELETE FROM journal"], 1, "missing"),
        (
            [
                "UPDATE journal SET seq = 100 WHERE seq = 2",
                "UPDATE journal SET seq = 2 WHERE seq = 3",
                "UPDATE journal SET seq = 3 WHERE seq = 100",
            ],
            2,
            "does not follow",
        ),
    ],
)
def test_finds_what_was_done_to_it(
    five: SqliteJournal, tmp_path: Path, statements: list[str], entry: int, what: str
) -> None:
    """Any edit, deletion (also at the end) or change of order is found, and the first bad entry is named."""
    assert five.verify() == 5
    tamper(tmp_path / "journal.db", *statements)
    with pytest.raises(JournalBroken, match=rf"entry {entry} .*{what}"):
        five.verify()


@pytest.mark.parametrize("statement", ["UPDATE journal SET actor = 'x'", "DELETE FROM journal WHERE seq = 5"])
def test_refuses_edits(five: SqliteJournal, tmp_path: Path, statement: str) -> None:
    """The database itself refuses an edit or a deletion."""
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert five.verify() == 5


def test_says_what_it_cannot_read(five: SqliteJournal, tmp_path: Path) -> None:
    """A fact of an unknown kind is named, not skipped."""
    tamper(tmp_path / "journal.db", """UPDATE journal SET fact = '{"kind":"telepathy","model":"a"}' WHERE seq = 2""")
    with pytest.raises(JournalBroken, match=r"entry 2 .*telepathy"):
        list(five.read())


WRITER = """
import sys
from pathlib import Path
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.core.event import StatusChanged

journal = SqliteJournal(Path(sys.argv[1]))
for version in range(200):
    journal.append([StatusChanged(model=sys.argv[2], version=version, status="staging")], actor=sys.argv[2], at=1.0)
"""


def test_several_processes_make_one_chain(tmp_path: Path, opened: Opener) -> None:
    """Two processes that append 200 facts each, at once, on a new file, leave one whole chain and each its order."""
    path = tmp_path / "journal.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")]
    assert [writer.wait(timeout=240) for writer in writers] == [0, 0]
    journal = opened(path)
    assert journal.verify() == 400
    for name in ("a", "b"):
        assert [canonical(e.fact) for e in journal.read(model=name)] == [
            canonical(StatusChanged(model=name, version=version, status="staging")) for version in range(200)
        ]


def test_refuses_a_newer_schema(five: SqliteJournal, tmp_path: Path) -> None:
    """A home folder of a newer fairlead is refused, in words, and left as it is."""
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute("INSERT INTO schema_version VALUES (9999, '9999_future.sql')")
    connection.close()
    with pytest.raises(StateError, match=r"schema version 9999.*upgrade fairlead"):
        SqliteJournal(tmp_path / "journal.db")
    assert five.verify() == 5


def test_says_which_file_is_not_a_journal(tmp_path: Path) -> None:
    """A file that is no database, and a folder that cannot be made, are errors that name the path."""
    (tmp_path / "journal.db").write_text("not a database, but long enough to be looked at as one" * 10)
    with pytest.raises(StateError, match=r"journal\.db cannot be used: file is not a database"):
        SqliteJournal(tmp_path / "journal.db")
    with pytest.raises(StateError, match="cannot create the folder"):
        SqliteJournal(tmp_path / "journal.db" / "journal.db")


def test_a_journal_that_was_moved_away_does_not_begin_anew(five: SqliteJournal, tmp_path: Path) -> None:
    """A process that starts meanwhile is told what to do; moved back, everything is there."""
    path, elsewhere = tmp_path / "journal.db", tmp_path / "elsewhere"
    path.rename(elsewhere)
    with pytest.raises(StateError, match="put the file back"):
        SqliteJournal(path)
    assert not path.exists()
    elsewhere.rename(path)
    again = SqliteJournal(path)
    assert again.verify() == 5
    again.close()


def test_a_closed_journal_says_so(five: SqliteJournal) -> None:
    """Using a closed journal is an error of the state, not of SQLite."""
    five.close()
    with pytest.raises(StateError, match="cannot be used"):
        five.verify()
