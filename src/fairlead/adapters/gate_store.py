"""Gate reports in a folder, each under the SHA-256 of its bytes."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path

import msgspec

from fairlead.adapters.folder_sync import sync_folder
from fairlead.core.event import canonical
from fairlead.core.gate import GateReport, digest_of_report, read_report
from fairlead.errors import DigestMismatch, NotFound, StateError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class GateStore:
    """Content-addressed: a report is written once, whole, and never changed."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when the first report is kept."""
        self._folder = folder

    def put(self, report: GateReport) -> str:
        """Keeps a report, durably, and returns its digest. Keeping it twice is keeping it once. Raises `StateError`."""
        digest = digest_of_report(report)
        path = self._folder / f"{digest}.json"
        draft = path.with_name(f".{digest}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(canonical(report))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise StateError(
                f"the gate report cannot be written to {self._folder} ({error.strerror}): free space or check the owner"
            ) from error
        return digest

    def get(self, digest: str) -> GateReport:
        """A kept report. Raises `NotFound`, `DigestMismatch` when its bytes were changed, and `StateError`."""
        path = self._folder / f"{digest}.json"
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise NotFound(f"there is no gate report {digest[:12]} in {self._folder}: run the gate again")
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StateError(f"the gate report {path} cannot be read ({error.strerror}): check the owner") from error
        if sha256(text).hexdigest() != digest:
            raise DigestMismatch(f"the gate report {digest[:12]} is not what was measured: run the gate again")
        try:
            return read_report(text)
        except msgspec.MsgspecError as error:
            raise StateError(
                f"the gate report {digest[:12]} cannot be read by this fairlead ({error}): run the gate again"
            ) from error
