"""What a feature store said of a part's rows, chunk by chunk, kept beside the part until it is done.

A part that was cut off is done anew, and a store may say something else by then: the log has the answers of the first
attempt, so they have to be those of the second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import msgspec

from fairlead.adapters.segment_frame import HEAD, frame
from fairlead.core.lookup import Unavailable
from fairlead.flows.lookups import Found, Key

_Kept = tuple[Unavailable | None, list[tuple[tuple[int | str, ...], dict[str, Any]]]]
_decoder = msgspec.msgpack.Decoder(_Kept)


class FoundNotes:
    """One part's notes. Close them; remove the file when the part is done."""

    def __init__(self, path: Path) -> None:
        """Goes on with what an earlier attempt has left. Raises `OSError`."""
        path.parent.mkdir(exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._file: BinaryIO = os.fdopen(fd, "r+b", buffering=0)

    def found(self, keys: Sequence[Key], find: Callable[[Sequence[Key]], Found]) -> Found:
        """What was said of the next chunk's entities: by an earlier attempt, else by `find`, noted before it is used.
        Raises `OSError`."""
        at = self._file.tell()
        known = self._next()
        if known is not None and (known.instead is not None or all(key in known.known for key in keys)):
            return known
        self._file.seek(at)
        self._file.truncate()
        found = find(keys)
        kept = found.instead, [(key, dict(fields)) for key, fields in found.known.items()]
        self._file.write(frame(msgspec.msgpack.encode(kept)))
        os.fsync(self._file.fileno())  # it is what the log's next records follow from
        return found

    def close(self) -> None:
        """Lets the file go."""
        self._file.close()

    def _next(self) -> Found | None:
        """The next note, where it is whole."""
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        length, check = HEAD.unpack(head)
        left = os.fstat(self._file.fileno()).st_size - self._file.tell()
        payload = self._file.read(length) if length <= left else b""
        if len(payload) < length or crc32(payload) != check:
            return None
        instead, known = _decoder.decode(payload)
        return Found(dict(known), instead)
