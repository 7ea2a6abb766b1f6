"""The chain, whatever keeps it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.journal_rows import chained, check_signed, entry_of, verified
from fairlead.core.event import GENESIS, OperatorAsked
from fairlead.errors import JournalBroken, UsageError

reasons = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6)


@given(first=reasons, second=reasons)
def test_two_appends_make_one_chain(first: list[str], second: list[str]) -> None:
    """What follows a last link verifies together with what came before, and every row reads as its entry."""
    asked = [[OperatorAsked("m", "pause", reason) for reason in part] for part in (first, second)]
    entries, rows = chained((0, GENESIS), asked[0], "ana", 1.5)
    more_entries, more_rows = chained((entries[-1].seq, entries[-1].digest), asked[1], "bo", 2.0)
    every = [*rows, *more_rows]
    assert verified(every, lambda: len(every), "here") == len(every)
    assert tuple(entry_of(row, "here") for row in every) == (*entries, *more_entries)


@given(reasons, st.integers(0, 5))
def test_a_missing_entry_is_found_wherever_it_was(texts: list[str], at: int) -> None:
    """Taking any one row out breaks the chain at that row."""
    _, rows = chained((0, GENESIS), [OperatorAsked("m", "pause", text) for text in texts], "ana", 1.0)
    gone = at % len(rows)
    with pytest.raises(JournalBroken, match=f"entry {gone + 1} of the journal here"):
        verified(rows[:gone] + rows[gone + 1 :], lambda: len(rows), "here")


@pytest.mark.parametrize(("actor", "at"), [("", 1.0), (" ", 1.0), ("a\0b", 1.0), ("ana", math.nan), ("ana", math.inf)])
def test_who_and_when_must_be_said(actor: str, at: float) -> None:
    """An empty actor, one that no database takes, and an instant that is none are refused."""
    with pytest.raises(UsageError, match="needs an actor"):
        check_signed(actor, at)


@given(reasons, st.integers(0, 5))
def test_what_is_appended_meanwhile_breaks_nothing(texts: list[str], before: int) -> None:
    """The length is asked for first: rows that come while the chain is read may be read or not."""
    _, rows = chained((0, GENESIS), [OperatorAsked("m", "pause", text) for text in texts], "ana", 1.0)
    length = min(before, len(rows))
    assert verified(rows, lambda: length, "here") == len(rows)
