"""What becomes of workers reaches the journal, and never waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from fairlead.app.worker_facts import WorkerFacts
from fairlead.core.event import AnyFact, Entry, WorkerChanged
from fairlead.core.standing import Standing
from fairlead.errors import StateError
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal


class Locked(MemoryJournal):
    """A journal that another process holds: an append waits, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.is_failing = False

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Waits."""
        assert self.go_on.wait(30)
        if self.is_failing:
            raise StateError("database is locked")
        return super().append(facts, actor=actor, at=at, expected=expected)


def test_a_locked_journal_holds_no_supervisor_up() -> None:
    """Changes are taken while nothing can be written, and are written in their order and with their instants later."""
    journal, clock = Locked(), ManualClock(100.0)
    facts = WorkerFacts(journal, clock)
    facts.add(0, "failed", "pid 1")
    clock.advance(5.0)
    facts.add(0, "started", "pid 2")
    assert list(journal.read()) == []
    journal.go_on.set()
    facts.close(30.0)
    assert [(entry.at, entry.fact) for entry in journal.read()] == [
        (100.0, WorkerChanged("", 0, "failed", "pid 1")),
        (105.0, WorkerChanged("", 0, "started", "pid 2")),
    ]


def test_what_cannot_be_written_until_the_end_is_logged(
    wait_for: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """The trouble is one line however often it is tried, and the facts are not lost without a word."""
    journal = Locked()
    journal.is_failing = True
    journal.go_on.set()
    facts = WorkerFacts(journal, ManualClock())
    facts.add(1, "failed", "pid 7 was ended by SIGKILL")
    wait_for(lambda: "database is locked" in caplog.text)
    facts.close(30.0)
    assert caplog.text.count("database is locked") == 1
    assert "not in the journal: worker 1 failed, pid 7 was ended by SIGKILL" in caplog.text
