"""The journal in memory."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.event import StatusChanged
from fairlead.errors import JournalBroken
from fairlead.testing.journal import MemoryJournal, check_journal, check_writers


def test_keeps_the_port() -> None:
    """It is a journal."""
    check_journal(MemoryJournal)
    journal = MemoryJournal()
    check_writers(journal, journal)


def test_finds_an_edit() -> None:
    """An edited entry breaks its chain too."""
    journal = MemoryJournal()
    journal.append([StatusChanged(model="a", version=1, status="staging")] * 3, actor="t", at=1)
    journal._entries[1] = msgspec.structs.replace(journal._entries[1], actor="mallory")
    with pytest.raises(JournalBroken, match="entry 2"):
        journal.verify()
