"""Notes between processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairlead.adapters.note_folder import NoteFolder
from fairlead.errors import StateError


def test_a_note_is_replaced_whole_and_cleared(tmp_path: Path) -> None:
    """Each name holds its last note; clearing leaves none."""
    notes = NoteFolder(tmp_path / "notes")
    assert notes.read() == {}
    notes.write("0", b"first")
    notes.write("0", b"second")
    notes.write("1", b"other")
    assert notes.read() == {"0": b"second", "1": b"other"}
    notes.clear()
    assert notes.read() == {}


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """One line, with the fix."""
    (tmp_path / "notes").write_text("in the way")
    with pytest.raises(StateError, match="cannot be written"):
        NoteFolder(tmp_path / "notes").write("0", b"x")


def test_a_note_has_an_age_and_can_be_removed(tmp_path: Path) -> None:
    """One that is not there has none, and is removed as well as one that is."""
    notes = NoteFolder(tmp_path / "notes")
    assert notes.age("0") is None
    notes.remove("0")
    notes.write("0", b"x")
    os.utime(tmp_path / "notes" / "0.json", (1.0, 1.0))
    age = notes.age("0")
    assert age is not None
    assert age > 1e9
    notes.remove("0")
    assert notes.read() == {}
