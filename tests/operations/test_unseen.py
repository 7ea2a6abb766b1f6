"""How shadows are doing, for whoever looks at everything at a glance."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.core.route import SHADOWER, Arm, ModelRoute, RouteTable
from fairlead.core.verdict import Outcome
from fairlead.flows.tally import Shadowed, Shadowing, Tally
from fairlead.operations.overview import LiveOverview
from fairlead.operations.unseen import unseen_views
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

TABLE = RouteTable(3, {"stay": ModelRoute((Arm("champion", 1, 1.0),), {1: "a", 2: "b"}, (2,), "r1")})


def note(home: Path, status: str, at: float = 100.0, error: str = "") -> None:
    """What the process that answers unseen says."""
    counts = Tally().snapshot(SHADOWER, 1, 3, [])
    counts.shadowing = Shadowing(at, [Shadowed("stay", "2", status, 0, 0.0, error)])
    NoteFolder(home / COUNTERS).write(str(SHADOWER), msgspec.json.encode(counts))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("ok", Outcome.HOLDS),
        ("loading", Outcome.UNDECIDED),
        ("failed", Outcome.UNMEASURED),
        ("hung", Outcome.UNMEASURED),
    ],
)
def test_a_shadow_that_does_not_answer_is_unmeasured(tmp_path: Path, status: str, outcome: Outcome) -> None:
    """With why, where that is known; only one that answers holds."""
    note(tmp_path, status, error="no such bundle" if status == "failed" else "")
    (view,) = unseen_views(tmp_path, TABLE, 101.0)
    assert (view.model, view.version, view.status, view.outcome) == ("stay", 2, status, outcome)
    assert view.reason.startswith("version 2 of 'stay' ")
    assert ("no such bundle" in view.reason) is (status == "failed")


def test_nobody_there_is_unmeasured(tmp_path: Path) -> None:
    """No note, an old one, and one that cannot be read; a shadow that it does not name yet is about to be loaded."""
    assert unseen_views(tmp_path, TABLE, 101.0)[0].outcome is Outcome.UNMEASURED
    note(tmp_path, "ok")
    assert unseen_views(tmp_path, TABLE, 160.0)[0].status == "silent"
    NoteFolder(tmp_path / COUNTERS).write(str(SHADOWER), b"{")
    assert unseen_views(tmp_path, TABLE, 101.0)[0].status == "silent"
    note(tmp_path, "ok")
    other = RouteTable(4, {"other": TABLE.models["stay"]})
    assert [one.status for one in unseen_views(tmp_path, other, 101.0)] == ["starting"]


def test_the_overview_has_them_beside_the_workers(tmp_path: Path) -> None:
    """And nothing where no route names a shadow."""
    board = MemoryBoard()
    live = LiveOverview(MemoryJournal(), board, ManualClock(101.0), lambda *now: unseen_views(tmp_path, *now))
    assert live.read().unseen == ()
    board.publish(TABLE)
    note(tmp_path, "hung")
    overview = live.read()
    assert [one.reason for one in overview.unseen] == ["version 2 of 'stay' hangs: what it should answer is dropped"]
    assert overview.workers == ()
