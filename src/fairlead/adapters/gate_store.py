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
from fairlead.core.judging import GateEvidence, digest_of, text_of
from fairlead.errors import DigestMismatch, NotFound, StateError

_EVIDENCE = "evidence"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class GateStore:
    """Content-addressed: a report is written once, whole, and never changed."""

    def __init__(self, folder: Path, beside: Path | None = None) -> None:
        """The folder is made when the first report is kept. `beside` is where a bundle's reports lie together, in a
        folder of its digest: the bundle itself never changes."""
        self._folder = folder
        self._beside = beside

    def put(self, report: GateReport) -> str:
        """Keeps a report, durably, and returns its digest. Keeping it twice is keeping it once. Raises `StateError`."""
        digest, text = digest_of_report(report), canonical(report)
        _write(self._folder / f"{digest}.json", text)
        if self._beside is not None:
            _write(self._beside / report.bundle / f"{digest}.json", text)
        return digest

    def put_evidence(self, evidence: GateEvidence, bundle: str) -> str:
        """Keeps what a report's checks were judged from, before the report that names it. Raises `StateError`."""
        digest, text = digest_of(evidence), text_of(evidence)
        _write(self.place_of_evidence(digest), text)
        if self._beside is not None:
            _write(self._beside / bundle / _EVIDENCE / f"{digest}.json", text)
        return digest

    def place_of_evidence(self, digest: str) -> Path:
        """The file that evidence of this digest is kept in."""
        return self._folder / _EVIDENCE / f"{digest}.json"

    def evidence(self, digest: str) -> GateEvidence:
        """Kept evidence. Raises as `get` does."""
        text = self._read(self._folder / _EVIDENCE, digest, "evidence")
        try:
            return msgspec.json.decode(text, type=GateEvidence)
        except msgspec.MsgspecError as error:
            raise StateError(f"the gate evidence {digest[:12]} cannot be read by this fairlead ({error})") from error

    def page_beside(self, report: GateReport, text: str) -> None:
        """Keeps a report's page beside it, for people. Raises `StateError`."""
        if self._beside is not None:
            _write(self._beside / report.bundle / f"{digest_of_report(report)}.html", text.encode())

    def get(self, digest: str) -> GateReport:
        """A kept report. Raises `NotFound`, `DigestMismatch` when its bytes were changed, and `StateError`."""
        text = self.text(digest)
        try:
            return read_report(text)
        except msgspec.MsgspecError as error:
            raise StateError(
                f"the gate report {digest[:12]} cannot be read by this fairlead ({error}): run the gate again"
            ) from error

    def text(self, digest: str) -> bytes:
        """A kept report's bytes, as the journal's digest has them. Raises as `get` does, but for what it says."""
        return self._read(self._folder, digest, "report")

    def _read(self, folder: Path, digest: str, what: str) -> bytes:
        path = folder / f"{digest}.json"
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise NotFound(f"there is no gate {what} {digest[:12]} in {folder}: run the gate again")
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StateError(f"the gate {what} {path} cannot be read ({error.strerror}): check the owner") from error
        if sha256(text).hexdigest() != digest:
            raise DigestMismatch(f"the gate {what} {digest[:12]} is not what was measured: run the gate again")
        return text


def _write(path: Path, text: bytes) -> None:
    """Whole or not at all, and on the disk when it returns."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"the gate report cannot be written to {path.parent} ({error.strerror}): free space or check the owner"
        ) from error
