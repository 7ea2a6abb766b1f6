"""What decisions were taken from, each under the SHA-256 of its bytes."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path

from fairlead.adapters.folder_sync import sync_folder
from fairlead.errors import DigestMismatch, NotFound, StateError

WINDOWS = "windows"  # the folder in a home that keeps what windows were judged from
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EvidenceFolder:
    """Content-addressed: written once, whole, and never changed. The folder is made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, text: bytes) -> str:
        """Keeps bytes, durably, and returns their digest. Raises `StateError`."""
        digest = sha256(text).hexdigest()
        path = self._folder / f"{digest}.json"
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise StateError(
                f"evidence cannot be written to {self._folder} ({error.strerror}): free space or check the owner"
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Kept bytes. Raises `NotFound`, `DigestMismatch` when they were changed, and `StateError`."""
        path = self._folder / f"{digest}.json"
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise NotFound(f"there is no evidence {digest[:12]} in {self._folder}: removed, or never copied here")
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StateError(f"the evidence {path} cannot be read ({error.strerror}): check the owner") from error
        if sha256(text).hexdigest() != digest:
            raise DigestMismatch(f"the evidence {digest[:12]} is not what was measured: it was edited")
        return text
