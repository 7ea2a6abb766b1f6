"""A part's predictions in the prediction log, each once, however often the part is begun again.

A part writes segments of its own, under a number that is its own. Its records come in the same order each time, so the
whole frames of those segments are what an earlier attempt has written already, and as many records are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from fairlead.adapters.segment_frame import HEAD, LONGEST, MAGIC, PREDICTIONS, parse_name
from fairlead.adapters.segment_log import SegmentLog
from fairlead.core.record import Prediction

_WRITTEN = 1_000  # records of one write: at most this many are torn by a kill


class BatchLog:
    """Writes one part's predictions. Close it: what it holds is on the disk then."""

    def __init__(self, folder: Path, number: int) -> None:
        """`folder` is that of the log; `number` is this part's, and no worker's."""
        self._written = logged(folder, number)
        self._log = SegmentLog(folder, number)

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes those of the records that are not there yet. Raises `StateError`."""
        fresh = records[self._written :]
        self._written = max(0, self._written - len(records))
        for start in range(0, len(fresh), _WRITTEN):
            self._log.predictions(fresh[start : start + _WRITTEN])

    def close(self) -> None:
        """Syncs and closes."""
        self._log.close()


def logged(folder: Path, number: int) -> int:
    """How many whole records the segments of a number hold."""
    return sum(_frames(path) for path in (folder / PREDICTIONS).glob("w*.seg") if _is_of(path, number))


def _is_of(path: Path, number: int) -> bool:
    name = parse_name(path.name)
    return name is not None and name.worker == number


def _frames(path: Path) -> int:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return 0
        found = 0
        while _whole(file):
            found += 1
        return found


def _whole(file: BinaryIO) -> bool:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return False
    length, check = HEAD.unpack(head)
    payload = file.read(length) if length <= LONGEST else b""
    return bool(len(payload) == length and crc32(payload) == check)
