"""Where a version comes from: the packages that are installed, and the commit of the code that is being run."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What a model's answers depend on.
PACKAGES = (
    "fairlead",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "skops",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "onnxmltools",
    "xgboost",
    "xgboost-cpu",  # the same module, without the GPU libraries
    "lightgbm",
    "catboost",
)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def environment() -> dict[str, str]:
    """Package -> version of what is installed, python included."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an extra that is not there
            continue
    return found


def code_commit(folder: Path) -> str | None:
    """The commit checked out in the git repository around a folder; None where there is none. Needs no git program."""
    for parent in (folder.absolute(), *folder.absolute().parents):
        git = parent / ".git"
        if git.exists():
            return _head(_git_folder(git))
    return None


def _git_folder(git: Path) -> Path:
    """A worktree's and a submodule's .git is a file that says where it is."""
    if git.is_file():
        return git.parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    return git


def _head(git: Path) -> str | None:
    text = _text(git / "HEAD")
    if not text.startswith("ref:"):
        return text if _COMMIT.fullmatch(text) else None
    name = text.removeprefix("ref:").strip()
    # A worktree keeps its HEAD to itself and shares the branches.
    common = git / (_text(git / "commondir") or ".")
    found = _text(common / name) or _packed(_text(common / "packed-refs"), name)
    return found if _COMMIT.fullmatch(found) else None


def _packed(refs: str, name: str) -> str:
    for line in refs.splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
