"""Whether a disk takes more."""

from __future__ import annotations

from pathlib import Path

from fairlead.adapters.disk_room import looked_at, tried


def test_a_disk_with_room_is_well_and_nothing_is_left(tmp_path: Path) -> None:
    """The folder is made where it is not there; the trial's file is gone."""
    assert looked_at(tmp_path / "log") == ""
    assert tried(tmp_path / "log", "0") == ""
    assert list((tmp_path / "log").iterdir()) == []
    assert looked_at(tmp_path / "log") == ""


def test_what_is_in_the_way_is_told_with_its_fix(tmp_path: Path) -> None:
    """A file in the folder's place."""
    (tmp_path / "log").write_text("in the way")
    said = tried(tmp_path / "log", "0")
    assert (str(tmp_path / "log") in said, "check the disk" in said) == (True, True)
