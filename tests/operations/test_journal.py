"""The journal as an operator asks for it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import AliasMoved, AnyFact, StatusChanged
from fairlead.errors import JournalBroken
from fairlead.operations.context import Context
from fairlead.operations.journal import entries, verify


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home with facts of two models."""
    opened = open_context(tmp_path / "home")
    for number in range(1, 6):
        facts: list[AnyFact] = [
            StatusChanged("hotel", number, "staging"),
            AliasMoved("churn", "champion", number, None),
        ]
        opened.journal.append(facts, actor="ana", at=float(number))
    return opened


def test_the_chain_is_counted(context: Context) -> None:
    """Its length is what was written."""
    assert verify(context) == 10


def test_the_newest_facts_come_oldest_first(context: Context) -> None:
    """So many of them at most; of one model, or of a kind, or after a place."""
    assert [entry.seq for entry in entries(context)] == list(range(1, 11))
    assert [entry.seq for entry in entries(context, limit=3)] == [8, 9, 10]
    assert [entry.seq for entry in entries(context, model="hotel", limit=2)] == [7, 9]
    assert [entry.seq for entry in entries(context, kinds=["alias_moved"], after=6)] == [8, 10]
    assert entries(context, model="nobody") == ()


def test_no_entries_asked_for_are_none(context: Context) -> None:
    """A limit of nothing gives nothing."""
    assert entries(context, limit=0) == ()


def test_an_edit_in_the_file_is_found(context: Context) -> None:
    """A fact that was changed behind the journal's back breaks the chain, and the entry is named."""
    with sqlite3.connect(context.home / "journal.db") as database:
        database.execute("drop trigger journal_is_not_edited")
        database.execute("update journal set actor = 'someone else' where seq = 4")
    database.close()
    with pytest.raises(JournalBroken, match="4"):
        verify(context)
