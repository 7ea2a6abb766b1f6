"""A part's refused rows beside the log, each once, however often the part is begun again.

They are held until the part is done, at most a file of them, and written under the part's own name then: whoever does
the part anew writes the same file over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from pathlib import Path

import msgspec

from fairlead.adapters.batch_log import WORKER
from fairlead.adapters.quarantine import FILE_BYTES, FOLDER, ROW_BYTES, Clock, tidied
from fairlead.adapters.segment_frame import MAGIC, SegmentName, frame
from fairlead.core.quarantine import DROPS, FULL, TOO_LARGE, TOO_MANY, UNWRITABLE, Quarantined, QuarantineLimits


class BatchQuarantine:
    """What one part keeps. Close it when the part is done: nothing is written before."""

    def __init__(self, folder: Path, number: int, limits: QuarantineLimits, *, now: Clock = time.time) -> None:
        """`folder` is that of the log; `number` is this part's alone, as `BatchLog` has it; `limits` are those of all
        parts together."""
        self._folder, self._number, self._limits, self._now = folder / FOLDER, number, limits, now
        self._rows: list[bytes] = []
        self._size = len(MAGIC)
        self._counts: Counter[str] = Counter()
        self._encode = msgspec.json.Encoder().encode

    def keep(self, row: Quarantined) -> None:
        """Takes a row, or drops and counts it."""
        if len(row.features) > ROW_BYTES:
            self._counts[TOO_LARGE] += 1
            return
        data = frame(self._encode(row))
        if self._size + len(data) > FILE_BYTES:
            self._counts[TOO_MANY] += 1
            return
        self._rows.append(data)
        self._size += len(data)

    def counts(self) -> dict[str, int]:
        """Rows that are on the disk, and those that were dropped, by reason."""
        return {fate: self._counts[fate] for fate in ("kept", *DROPS)}

    def close(self) -> None:
        """Writes what was taken. What cannot be written is dropped and counted."""
        rows, self._rows = self._rows, []
        if rows:
            self._counts[self._written(rows)] += len(rows)

    def _written(self, rows: list[bytes]) -> str:
        """What becomes of the rows: kept, or the reason why not."""
        target = self._folder / str(SegmentName(self._number, WORKER, 0, 0))
        fresh = target.with_suffix(".tmp")
        try:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            if tidied(self._folder, WORKER, self._limits, self._now()) + self._size > self._limits.most_bytes:
                return FULL
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # for nobody else
            with os.fdopen(fd, "wb") as file:
                file.writelines([MAGIC, *rows])
            fresh.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            return UNWRITABLE
        return "kept"
