"""The shape of a segment file, shared by the writer and the reader.

A file is a magic and then frames; a frame is a little-endian u32 length, the u32 CRC-32 of the payload, and the
payload: one record as JSON. Names sort by time: `w<worker>-<start ns>-<pid>-<sequence>.seg`.
"""

from __future__ import annotations

import re
from struct import Struct as Layout
from typing import NamedTuple
from zlib import crc32

MAGIC = b"FLSEG001"
HEAD = Layout("<II")
LONGEST = 64 * 2**20  # a length above this is damage, not a record
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
EVENTS = "events"
TRACES = "traces"

_NAME = re.compile(r"w(\d+)-(\d+)-(\d+)-(\d+)\.seg")


class SegmentName(NamedTuple):
    """A segment's place among all: `started_ns` is its worker's start, `sequence` grows with each rotation."""

    started_ns: int
    worker: int
    pid: int
    sequence: int

    def __str__(self) -> str:
        """The file's name."""
        return f"w{self.worker:03d}-{self.started_ns:020d}-{self.pid}-{self.sequence:06d}.seg"


def parse_name(name: str) -> SegmentName | None:
    """The parts of a segment's name, None for any other file."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    worker, started_ns, pid, sequence = map(int, found.groups())
    return SegmentName(started_ns, worker, pid, sequence)


def frame(payload: bytes) -> bytes:
    """A record's bytes in the file."""
    return HEAD.pack(len(payload), crc32(payload)) + payload
