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
    assert [path.name for path in (tmp_path / "windows").iterdir()] == [f"{digest}.json"]


def test_edited_bytes_are_refused(tmp_path: Path) -> None:
    """Evidence that was changed is not what was measured."""
    folder = EvidenceFolder(tmp_path)
    digest = folder.put(b'{"realised":0.7}')
    (tmp_path / f"{digest}.json").write_bytes(b'{"realised":0.8}')
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
