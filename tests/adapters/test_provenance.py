"""Where a version comes from."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from fairlead.adapters.provenance import code_commit, environment

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_names_what_is_installed() -> None:
    """Python and the packages that a model's answers depend on, each with its version."""
    found = environment()
    assert found["python"] == platform.python_version()
    assert {"numpy", "scikit-learn", "onnxruntime"} <= set(found)
    assert all(found.values())


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": COMMIT},
        {".git/HEAD": "ref: refs/heads/main", ".git/refs/heads/main": COMMIT},
        {".git/HEAD": "ref: refs/heads/main", ".git/packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main"},
        {
            ".git": "gitdir: real/worktrees/w",
            "real/worktrees/w/HEAD": "ref: refs/heads/topic",
            "real/worktrees/w/commondir": "../..",
            "real/refs/heads/topic": COMMIT,
        },
    ],
    ids=["detached", "branch", "packed", "worktree"],
)
def test_finds_the_commit(files: dict[str, str], tmp_path: Path) -> None:
    """However git keeps it, and from any folder below."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    assert code_commit(tmp_path / "src" / "deep") == COMMIT


@pytest.mark.parametrize(
    "files", [{}, {".git/HEAD": "ref: refs/heads/main"}, {".git/HEAD": "nonsense"}, {".git/config": ""}]
)
def test_a_folder_without_commits_has_none(files: dict[str, str], tmp_path: Path) -> None:
    """No repository, an empty one, a broken one."""
    (tmp_path / ".git").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert code_commit(tmp_path) is None
