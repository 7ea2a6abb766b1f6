"""Postmortems on disk: drafts are replaced, people's work is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.errors import NotFound, StateError


def test_a_draft_is_written_and_replaced(tmp_path: Path) -> None:
    """The path is relative to the home folder; a later draft takes the place of an untouched one."""
    folder = PostmortemFolder(tmp_path)
    assert folder.write("inc-hotel-2016-01", "# First\n") == "incidents/inc-hotel-2016-01.md"
    folder.write("inc-hotel-2016-01", "# Second\n")
    assert folder.read("inc-hotel-2016-01").startswith("# Second\n")
    assert [path.name for path in (tmp_path / "incidents").iterdir()] == ["inc-hotel-2016-01.md"]


def test_what_people_wrote_is_kept(tmp_path: Path) -> None:
    """Once a person has edited the file, drafts go beside it."""
    folder = PostmortemFolder(tmp_path)
    path = tmp_path / folder.write("inc-1", "# Draft\n")
    path.write_text(path.read_text().replace("# Draft", "# What really happened"))
    assert folder.write("inc-1", "# New draft\n") == "incidents/inc-1.draft.md"
    assert folder.write("inc-1", "# Newer draft\n") == "incidents/inc-1.draft.md"
    assert folder.read("inc-1").startswith("# What really happened")
    path.write_bytes(b"\xff\xfe")
    assert folder.write("inc-1", "# Newest draft\n") == "incidents/inc-1.draft.md"


def test_an_id_cannot_leave_the_folder(tmp_path: Path) -> None:
    """An id made of a strange model name is a plain file name all the same."""
    folder = PostmortemFolder(tmp_path)
    for identity in ("../../etc/passwd", "inc-a/b-w", "..", ""):
        written = (tmp_path / folder.write(identity, "text")).resolve()
        assert written.parent == tmp_path / "incidents"
        assert folder.read(identity).startswith("text")


def test_a_missing_one_and_a_full_disk_are_told(tmp_path: Path) -> None:
    """Reading what is not there is not found; a folder that cannot be written is a state error."""
    with pytest.raises(NotFound, match="incident inc-9 has no postmortem"):
        PostmortemFolder(tmp_path).read("inc-9")
    (tmp_path / "incidents").write_text("a file where the folder should be")
    with pytest.raises(StateError, match="cannot be written"):
        PostmortemFolder(tmp_path).write("inc-9", "text")


def test_a_reader_sees_no_bookkeeping(tmp_path: Path) -> None:
    """The digest in the file is left out of what is read, whatever people wrote behind it."""
    folder = PostmortemFolder(tmp_path)
    path = tmp_path / folder.write("inc-1", "# A draft\n")
    assert "<!--" in path.read_text()
    assert folder.read("inc-1") == "# A draft\n"
    path.write_text(path.read_text() + "It was the feed.\n")
    assert folder.read("inc-1") == "# A draft\nIt was the feed.\n"
