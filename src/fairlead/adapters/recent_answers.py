"""The last answers that a log holds: what the traffic is like now, without reading the log from its beginning."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fairlead.adapters.segment_frame import MAGIC, PREDICTIONS
from fairlead.adapters.segment_scan import Scan
from fairlead.adapters.segment_store import SegmentStore
from fairlead.core.record import Prediction

_TAIL = 1 << 20  # bytes of each file


def recent_answers(folder: Path, since: float, tail: int = _TAIL) -> list[list[Prediction]]:
    """The predictions in the last `tail` bytes of each file that was written to after `since` (seconds since 1970);
    one list a file, none empty. `folder` is that of the log, and need not exist. What cannot be read is left out."""
    found = []
    for name in SegmentStore(folder).names(PREDICTIONS):
        path = folder / PREDICTIONS / str(name)
        try:
            about = path.stat()
            records = _read(path, about.st_size, tail) if about.st_mtime >= since else []
        except OSError:  # removed, or a disk that refuses: a forecast is no reason to fail
            continue
        if records:
            found.append(records)
    return found


def _read(path: Path, size: int, tail: int) -> list[Prediction]:
    decoder = msgspec.json.Decoder(Prediction)
    scan = Scan(path, size - tail if size - tail > len(MAGIC) else 0)
    found = []
    for _, payload in scan.records():
        try:
            found.append(decoder.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found
