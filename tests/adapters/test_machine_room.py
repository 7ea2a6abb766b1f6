"""What a process may take up."""

from __future__ import annotations

from pathlib import Path

from fairlead.adapters.machine_room import room


def test_a_control_group_lessens_what_there_is(tmp_path: Path) -> None:
    """Both versions' files; `max`, no limit and no files leave the machine's own."""
    memory, cores = room(tmp_path)
    assert memory > 2**20
    assert cores >= 1.0
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert room(tmp_path) == (memory, cores)
    (tmp_path / "memory.max").write_text("1048576\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert room(tmp_path) == (1048576, 0.5)


def test_the_first_version_of_control_groups_is_read(tmp_path: Path) -> None:
    """A quota of -1 is none."""
    for folder in ("memory", "cpu"):
        (tmp_path / folder).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2097152\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    memory, cores = room(tmp_path)
    assert memory == 2097152
    assert cores >= 1.0
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("25000\n")
    assert room(tmp_path)[1] == 0.25
