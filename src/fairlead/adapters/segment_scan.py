"""Walks one segment's frames: shared by those who follow the log and by what moves it into a table.

A torn end is left where it is. Bytes that are no frame are passed over up to the next good one, whatever became of the
lengths between: a page that a power cut left as zeros costs the records on it and no other. Where no good frame
follows, the rest of the file is passed over. A frame of spaces is what an erased record left behind: it counts as
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

from fairlead.adapters.segment_frame import HEAD, LONGEST, MAGIC, frame

CHUNK = 2**20
_RECORD = b'{"request_id":'  # how every record begins


def frames(fd: int, offset: int, size: int) -> Iterator[tuple[int, bytes | None]]:
    """Where each complete frame begins, and its payload; None for one that is damaged or cut, which ends the walk."""
    buffer, base = b"", offset
    while offset + HEAD.size <= size:
        if offset + HEAD.size > base + len(buffer):
            buffer, base = os.pread(fd, CHUNK, offset), offset
        if len(buffer) - (offset - base) < HEAD.size:
            return  # cut since its size was read
        length, checksum = HEAD.unpack_from(buffer, offset - base)
        end = offset + HEAD.size + length
        if end > size and length <= LONGEST:
            yield offset, None
            return
        if end > base + len(buffer) and length <= LONGEST:
            buffer, base = os.pread(fd, max(CHUNK, end - offset), offset), offset
        payload = buffer[offset - base + HEAD.size : end - base]
        if not length or length > LONGEST or crc32(payload) != checksum:
            yield offset, None
            return
        yield offset, payload
        offset = end


def past_damage(fd: int, start: int, size: int) -> int:
    """Where the walk goes on after a damaged frame: at the next good one, else at the end. A last frame that is damaged
    or cut is a torn end: the walk stays at its start."""
    head = os.pread(fd, HEAD.size, start)
    if len(head) < HEAD.size:
        return start  # its writer has cut it off since
    length, _ = HEAD.unpack(head)
    after: int = start + HEAD.size + length
    if length <= LONGEST and _is_good(fd, after, size):
        return after
    found = _next_record(fd, start + 1, size)
    if found is not None:
        return found
    return start if after >= size and length <= LONGEST else size


def _next_record(fd: int, start: int, size: int) -> int | None:
    """The next whole record, wherever it begins, if there is one. No record's own text can be taken for one: the last
    byte of a length is below 5, and JSON holds no such byte."""
    base = start
    while base < size:
        buffer = os.pread(fd, CHUNK, base)
        at = buffer.find(_RECORD)
        while at >= 0:
            head = base + at - HEAD.size
            if head >= start and _is_good(fd, head, size):
                return head
            at = buffer.find(_RECORD, at + 1)
        if len(buffer) <= len(_RECORD):
            return None
        base += len(buffer) - len(_RECORD) + 1
    return None


def _is_good(fd: int, head: int, size: int) -> bool:
    found = os.pread(fd, HEAD.size, head)
    if len(found) < HEAD.size:
        return False
    length, checksum = HEAD.unpack(found)
    if length > LONGEST or head + HEAD.size + length > size:
        return False
    return bool(length) and crc32(os.pread(fd, length, head + HEAD.size)) == int(checksum)


def is_erased(payload: bytes) -> bool:
    """Whether a record was erased: its frame holds spaces of the same length."""
    return payload.isspace()


class Scan:
    """One walk over a file. `offset` moves with each record; `damaged` counts what was passed over."""

    def __init__(self, path: Path, offset: int) -> None:
        """`offset`: where an earlier walk stopped; 0 for the beginning."""
        self._path = path
        self.offset = offset
        self.size = 0
        self.damaged = 0

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Each whole record's place and bytes, up to the size that the file has now. Raises `OSError`."""
        with self._path.open("rb", buffering=0) as file:
            fd = file.fileno()
            self.size = os.fstat(fd).st_size
            if not self._begin(fd):
                return
            again = True
            while again:
                again = False
                for start, payload in frames(fd, self.offset, self.size):
                    if payload is None:
                        again = self._pass_over(fd, start)
                        break
                    self.offset = start + HEAD.size + len(payload)
                    if not is_erased(payload):
                        yield start, payload

    def _begin(self, fd: int) -> bool:
        """Whether there is anything to walk. A file without the magic is damage as a whole."""
        if self.offset == 0:
            magic = os.pread(fd, len(MAGIC), 0)
            if len(magic) < len(MAGIC):
                return False
            self.damaged += magic != MAGIC
            self.offset = len(MAGIC) if magic == MAGIC else self.size
        return self.offset < self.size

    def _pass_over(self, fd: int, start: int) -> bool:
        self.offset = past_damage(fd, start, self.size)
        self.damaged += self.offset != start
        return start < self.offset < self.size


def erase(path: Path, doomed: Callable[[bytes], bool]) -> int:
    """Overwrites, in place and on the disk, the records that `doomed` names; returns how many.

    Frames keep their place and length, so whoever reads or appends at this moment is not disturbed. Raises `OSError`.
    """
    scan = Scan(path, 0)
    places = [(start, len(payload)) for start, payload in scan.records() if doomed(payload)]
    if places:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            for start, length in places:
                os.pwrite(fd, frame(b" " * length), start)
            os.fsync(fd)
        finally:
            os.close(fd)
    return len(places)
