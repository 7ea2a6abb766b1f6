"""What decisions were taken from, each under the SHA-256 of its bytes."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from pathlib import Path

from fairlead.adapters.folder_sync import sync_folder
from fairlead.errors import DigestMismatch, NotFound, StateError

WINDOWS = "windows"  # the folder in a home that keeps what windows were judged from
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = 86_400.0


class EvidenceFolder:
    """Content-addressed: written once, whole, and never changed. A folder a day, made when it is first written to; when
    a day begins, days that ended more than `keep_seconds` ago are removed."""

    def __init__(self, folder: Path, keep_seconds: float = inf, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._now = now

    def put(self, text: bytes) -> str:
        """Keeps bytes, durably, and returns their digest. Raises `StateError`."""
        digest = sha256(text).hexdigest()
        day = self._folder / f"{datetime.fromtimestamp(self._now(), UTC):%Y-%m-%d}"
        path = day / digest
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if not day.is_dir():
                day.mkdir(parents=True, exist_ok=True)
                self.prune()
            with draft.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(day)
        except OSError as error:
            raise StateError(
                f"evidence cannot be written to {self._folder} ({error.strerror}): free space or check the owner"
            ) from error
        return digest

    def prune(self) -> None:
        """Removes the days that ended too long ago. What cannot be removed is left for the next day."""
        oldest = self._now() - self._keep_seconds
        for day in self._days():
            with suppress(ValueError, OSError):
                began = datetime.strptime(day.name, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
                if began + _DAY < oldest:
                    shutil.rmtree(day)

    def get(self, digest: str) -> bytes:
        """Kept bytes. Raises `NotFound`, `DigestMismatch` when they were changed, and `StateError`."""
        path = self._path(digest)
        if path is None:
            raise NotFound(f"there is no evidence {digest[:12]} in {self._folder}: removed, or never copied here")
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StateError(f"the evidence {path} cannot be read ({error.strerror}): check the owner") from error
        if sha256(text).hexdigest() != digest:
            raise DigestMismatch(f"the evidence {digest[:12]} is not what was measured: it was edited")
        return text

    def _path(self, digest: str) -> Path | None:
        """Where it lies: with its day, or, from before there were days, in the folder itself."""
        if not _DIGEST.fullmatch(digest):
            return None
        places = [self._folder / f"{digest}.json", *(day / digest for day in self._days())]
        return next((path for path in places if path.is_file()), None)

    def _days(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from [path for path in self._folder.iterdir() if path.is_dir()]
