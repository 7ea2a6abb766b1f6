"""The journal in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.postgres_database import Database
from fairlead.adapters.postgres_journal import PostgresJournal
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.config.database import DatabaseUrl
from fairlead.core.event import OperatorAsked, StatusChanged
from fairlead.errors import JournalBroken, StateError
from fairlead.testing.journal import check_journal, check_writers
from fairlead.testing.postgres import PostgresServer

Opener = Callable[[str], PostgresJournal]
FACT = StatusChanged(model="a", version=1, status="staging")
OPEN = "ALTER TABLE fairlead_journal DISABLE TRIGGER USER"


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens journals, and closes them after the test."""
    journals: list[PostgresJournal] = []

    def open_journal(url: str) -> PostgresJournal:
        journals.append(PostgresJournal(Database(DatabaseUrl(url), "test")))
        return journals[-1]

    yield open_journal
    for journal in journals:
        journal.close()


@pytest.fixture(scope="module")
def untouched(postgres: PostgresServer) -> str:
    """A database with a journal of five entries, and a copy of it aside."""
    url = postgres.create()
    journal = PostgresJournal(Database(DatabaseUrl(url), "test"))
    for version in range(1, 6):
        journal.append([StatusChanged(model="hotel", version=version, status="staging")], actor="anna", at=version)
    journal.close()
    postgres.execute(url, "CREATE TABLE aside AS SELECT * FROM fairlead_journal")
    return url


@pytest.fixture
def five(untouched: str, postgres: PostgresServer, opened: Opener) -> Iterator[tuple[str, PostgresJournal]]:
    """The journal of five entries; what is done to it is undone after the test."""
    yield untouched, opened(untouched)
    restore = "INSERT INTO fairlead_journal SELECT * FROM aside"
    postgres.execute(untouched, OPEN, "DELETE FROM fairlead_journal", restore)


def test_keeps_the_port(postgres: PostgresServer, opened: Opener) -> None:
    """It is a journal: order, chain, filters, all or none, threads."""
    check_journal(lambda: opened(postgres.create()))


def test_two_writers_keep_one_chain(postgres: PostgresServer, opened: Opener) -> None:
    """Two connections that append at once take turns."""
    url = postgres.create()
    check_writers(opened(url), opened(url))


def test_any_text_and_instant_survives(postgres: PostgresServer, opened: Opener) -> None:
    """Whatever a person writes as a reason (NUL among it), and whenever, is read back and verified byte for byte."""
    journal = opened(postgres.create())
    texts = st.text(st.characters(exclude_categories=["Cs"]))
    instants = st.floats(allow_nan=False, allow_infinity=False, width=64)

    @given(reasons=st.lists(texts, min_size=1, max_size=5), at=instants)
    @settings(max_examples=30, deadline=None)
    def survives(reasons: list[str], at: float) -> None:
        facts = [OperatorAsked(model="m", verb="pause", reason=reason) for reason in reasons]
        written = journal.append(facts, actor="anna", at=at)
        assert tuple(journal.read(written[0].seq - 1)) == written
        assert [entry.fact for entry in written] == facts
        assert {entry.at for entry in written} == {at}

    survives()
    assert journal.verify() > 30


def test_reads_long_journals_in_pages(postgres: PostgresServer, opened: Opener) -> None:
    """A journal longer than a page is read whole, while it is being written to, and verified."""
    journal = opened(postgres.create())
    journal.append([FACT] * 2_500, actor="t", at=1)
    seen = []
    for entry in journal.read(model="a"):
        seen.append(entry.seq)
        if entry.seq == 1:
            journal.append([FACT], actor="t", at=2)
    assert seen == list(range(1, 2_502))
    assert journal.verify() == 2_501


@pytest.mark.parametrize(
    ("statements", "entry", "what"),
    [
        (["UPDATE fairlead_journal SET actor = 'mallory' WHERE seq = 3"], 3, "content is not"),
        (["UPDATE fairlead_journal SET at = 3.0000000000000004 WHERE seq = 3"], 3, "content is not"),
        (
            ["UPDATE fairlead_journal SET fact = replace(fact, 'staging', 'archived') WHERE seq = 3"],
            3,
            "content is not",
        ),
        (["UPDATE fairlead_journal SET digest = 'x' WHERE seq = 3"], 3, "content is not"),
        (["UPDATE fairlead_journal SET previous = 'x' WHERE seq = 3"], 3, "does not follow"),
        (["UPDATE fairlead_journal SET model = 'other' WHERE seq = 3"], 3, "columns say something else"),
        (["UPDATE fairlead_journal SET kind = 'alias_moved' WHERE seq = 3"], 3, "columns say something else"),
        (["DELETE FROM fairlead_journal WHERE seq = 3"], 3, "missing"),
        (["DELETE FROM fairlead_journal WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM fairlead_journal WHERE seq = 5"], 5, "missing"),
        (["DELETE FROM fairlead_journal"], 1, "missing"),
        (
            [
                "UPDATE fairlead_journal SET seq = 100 WHERE seq = 2",
                "UPDATE fairlead_journal SET seq = 2 WHERE seq = 3",
                "UPDATE fairlead_journal SET seq = 3 WHERE seq = 100",
            ],
            2,
            "does not follow",
        ),
        (['UPDATE fairlead_journal SET fact = \'{"kind":"telepathy","model":"a"}\' WHERE seq = 2'], 2, "content"),
    ],
)
def test_finds_what_was_done_to_it(
    five: tuple[str, PostgresJournal], postgres: PostgresServer, statements: list[str], entry: int, what: str
) -> None:
    """Any edit, deletion (also at the end) or change of order is found, and the first bad entry is named."""
    url, journal = five
    assert journal.verify() == 5
    postgres.execute(url, OPEN, *statements)
    with pytest.raises(JournalBroken, match=rf"entry {entry} .*{what}") as told:
        journal.verify()
    assert "let-me-in" not in str(told.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fairlead_journal SET actor = 'x'",
        "DELETE FROM fairlead_journal WHERE seq = 1",
        "TRUNCATE fairlead_journal",
        "DELETE FROM fairlead_journal_head",
    ],
)
def test_refuses_edits(postgres: PostgresServer, opened: Opener, statement: str) -> None:
    """The database itself refuses an edit or a deletion."""
    url = postgres.create()
    journal = opened(url)
    journal.append([FACT], actor="t", at=1)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        postgres.execute(url, statement)
    assert journal.verify() == 1


def test_a_second_entry_after_the_same_one_is_refused(postgres: PostgresServer, opened: Opener) -> None:
    """A chain does not fork, whoever writes past the head."""
    url = postgres.create()
    opened(url).append([FACT], actor="t", at=1)
    columns = "seq, at, actor, fact, previous, digest, model, kind"
    with pytest.raises(psycopg.errors.UniqueViolation, match="previous"):
        postgres.execute(
            url,
            f"INSERT INTO fairlead_journal ({columns}) "
            "SELECT 2, at, actor, fact, previous, 'other', model, kind FROM fairlead_journal",
        )


def test_a_lost_connection_is_made_anew(postgres: PostgresServer, opened: Opener) -> None:
    """Sessions that the server ended cost nobody an append or a reading."""
    url = postgres.create()
    journal = opened(url)
    journal.append([FACT], actor="t", at=1)
    end_sessions(postgres, url)
    journal.append([FACT], actor="t", at=2)
    end_sessions(postgres, url)
    assert [entry.at for entry in journal.read()] == [1, 2]
    assert journal.verify() == 2


def test_a_commit_whose_answer_was_lost_is_not_written_twice(postgres: PostgresServer, opened: Opener) -> None:
    """When the connection breaks just after the commit, the append is recognised on the next connection."""
    url = postgres.create()
    journal = opened(url)
    journal.append([FACT], actor="t", at=1)
    database: Any = journal._database
    run = database._attempt

    def breaks_once(work: Any) -> Any:
        database._attempt = run
        run(work)
        end_sessions(postgres, url)
        return run(lambda connection: connection.execute(b"SELECT 1"))  # finds the connection lost

    database._attempt = breaks_once
    written = journal.append([FACT, FACT], actor="t", at=2)
    assert [entry.seq for entry in written] == [2, 3]
    assert list(journal.read(1)) == list(written)
    assert journal.verify() == 3


def test_only_the_leader_appends_where_a_lease_is_asked_for(
    postgres: PostgresServer, opened: Opener, lose: Callable[[str, Database], None]
) -> None:
    """An old leader is refused by the database, and an ordinary writer is not."""
    url = postgres.create()
    databases = [Database(DatabaseUrl(url), "test") for _ in range(3)]
    old, new = PostgresLease(databases[0], "old"), PostgresLease(databases[1], "new")
    fenced = PostgresJournal(databases[2], old)
    with pytest.raises(StateError, match="another controller leads"):
        fenced.append([FACT], actor="t", at=0)
    assert old.take()
    fenced.append([FACT], actor="t", at=1)
    lose(url, databases[0])  # its connection is lost, and it has not noticed
    assert new.take()
    with pytest.raises(StateError, match="another controller leads"):
        fenced.append([FACT], actor="t", at=2)
    opened(url).append([FACT], actor="operator", at=3)
    assert [entry.at for entry in fenced.read()] == [1, 3]
    for database in databases:
        database.close()


def end_sessions(postgres: PostgresServer, url: str) -> None:
    """The server ends every session of a database, as at a restart."""
    name = url.rpartition("/")[2]
    postgres.execute(
        postgres.url("postgres"),
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
