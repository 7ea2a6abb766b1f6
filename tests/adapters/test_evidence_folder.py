"""Evidence under the digest of its bytes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from fairlead.adapters.evidence_folder import EvidenceFolder
from fairlead.errors import DigestMismatch, NotFound, StateError


def test_what_is_kept_is_found_under_its_digest(tmp_path: Path) -> None:
    """Kept twice it is one file, with no draft beside it."""
    folder = EvidenceFolder(tmp_path / "windows")
    digest = folder.put(b"{}")
    assert digest == folder.put(b"{}") == sha256(b"{}").hexdigest()
    assert folder.get(digest) == b"{}"
    (day,) = (tmp_path / "windows").iterdir()
    assert [path.name for path in day.iterdir()] == [digest]


def test_edited_bytes_are_refused(tmp_path: Path) -> None:
    """Evidence that was changed is not what was measured."""
    folder = EvidenceFolder(tmp_path)
    digest = folder.put(b'{"realised":0.7}')
    (path,) = tmp_path.glob(f"*/{digest}")
    path.write_bytes(b'{"realised":0.8}')
    with pytest.raises(DigestMismatch, match="it was edited"):
        folder.get(digest)


@pytest.mark.parametrize("digest", ["", "f" * 64, "../../etc/passwd"])
def test_what_is_not_there_is_not_found(tmp_path: Path, digest: str) -> None:
    """Removed evidence, and names that are no digest, which reach no other file."""
    with pytest.raises(NotFound, match="there is no evidence"):
        EvidenceFolder(tmp_path).get(digest)


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """Keeping fails with the folder's name."""
    (tmp_path / "windows").write_text("")
    with pytest.raises(StateError, match="windows"):
        EvidenceFolder(tmp_path / "windows").put(b"{}")


def test_days_end(tmp_path: Path) -> None:
    """Evidence is removed once its day ended longer ago than it is to be kept, when a new day begins; what lies there
    and is no day stays, and so does what was kept before there were days."""
    now = [1_700_000_000.0]
    folder = EvidenceFolder(tmp_path, 2 * 86_400.0, lambda: now[0])
    first = folder.put(b"1")
    (tmp_path / "notes").mkdir()
    old = sha256(b"{}").hexdigest()
    (tmp_path / f"{old}.json").write_bytes(b"{}")
    now[0] += 2 * 86_400.0
    second = folder.put(b"2")
    assert (folder.get(first), folder.get(second), folder.get(old)) == (b"1", b"2", b"{}")
    now[0] += 86_400.0
    third = folder.put(b"3")
    assert (folder.get(second), folder.get(third)) == (b"2", b"3")
    with pytest.raises(NotFound):
        folder.get(first)
    assert (tmp_path / "notes").is_dir()
