"""What the controller knows of a home's log."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.app.compose import open_context
from fairlead.app.log_watch import LogWatch
from fairlead.core.event import AlertQuieted, AlertRaised
from fairlead.flows.tally import Tally
from fairlead.ports.log import LogState


def note(home: Path, worker: int, state: LogState) -> None:
    """What a worker last said of itself."""
    counts = Tally().snapshot(worker, 7, 1, [])
    counts.log = state
    NoteFolder(home / COUNTERS).write(str(worker), msgspec.json.encode(counts))


def test_a_workers_word_raises_the_alert_and_ends_it(tmp_path: Path) -> None:
    """One worker is enough; a note that cannot be read says nothing."""
    context = open_context(tmp_path)
    watch = LogWatch(context)
    NoteFolder(tmp_path / COUNTERS).write("9", b"{")
    note(tmp_path, 0, LogState())
    watch.look()
    note(tmp_path, 1, LogState("no space is left: free space", 0.0, sheds=True))
    watch.look()
    watch.look()
    note(tmp_path, 1, LogState())
    watch.look()
    facts = [entry.fact for entry in context.journal.read()]
    assert [type(fact) for fact in facts] == [AlertRaised, AlertQuieted]
    assert facts[0].reason == "worker 1: no space is left: free space"  # type: ignore[union-attr]
    assert facts[0].severity == "critical"  # type: ignore[union-attr]


def test_a_folder_that_takes_nothing_is_told_though_no_worker_says_so(tmp_path: Path) -> None:
    """A worker on a full disk may be unable to leave its note. The trial leaves nothing behind."""
    watch = LogWatch(open_context(tmp_path))
    assert watch.trouble() == ""
    assert list((tmp_path / "log").iterdir()) == []
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("in the way")
    assert "check the disk" in watch.trouble()
