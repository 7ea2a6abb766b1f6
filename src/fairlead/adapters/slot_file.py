"""One day's slots in one file: a mark, then frames, each with its own length and checksum.

A frame is written at the end in one call. Where a machine died in between, its beginning is left there, or zeros: that
is a torn end, which readers pass over and the next writer cuts off. Anything else that is not as it was written is
damage, and is told.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zlib import compress, crc32, decompress
from zlib import error as ZlibError  # noqa: N812 - zlib spells its class in lower case

import msgspec
from msgspec import Struct

from fairlead.core.slot import Slot
from fairlead.errors import StateError
from fairlead.stats.condensed import TableSums

MARK = b"fairlead slots 1\n"
_HEADER = struct.Struct("<4sIII")  # FRAME, length of the head and of the body, checksum of these two
_CHECK = struct.Struct("<I")  # of head and body
_FRAME = b"slot"
_LEVEL = 1


class Head(Struct, frozen=True, array_like=True):
    """What is known of a slot without reading its counts."""

    version: int
    segment: str
    starts_at: float
    ends_at: float
    rows: int
    bundle: str = ""
    judged: int | None = None
    by: tuple[str, ...] = ()


class Frame(Struct, frozen=True):
    """A slot as it lies in a file."""

    head: Head
    body: bytes

    def slot(self, model: str) -> Slot:
        """The slot. Raises `StateError`."""
        head = self.head
        try:
            sums = msgspec.msgpack.decode(decompress(self.body), type=TableSums)
        except (ZlibError, msgspec.MsgspecError) as error:
            raise StateError(f"a slot of {model} holds no counts ({error}): another program wrote it") from None
        return Slot(
            model, head.version, head.starts_at, head.ends_at, sums, head.segment, head.bundle, head.judged, head.by
        )


class Damaged(StateError):
    """A file of slots that is not as it was written. `frames` are those before the damage."""

    def __init__(self, message: str, frames: Sequence[Frame] = ()) -> None:
        super().__init__(message)
        self.frames = tuple(frames)


def written(slots: Sequence[Slot]) -> bytes:
    """Slots as frames."""
    return b"".join(_frame(slot) for slot in slots)


def frames_of(text: bytes, name: str) -> tuple[tuple[Frame, ...], int]:
    """The frames of a file, and how many of its bytes are whole: what follows is torn. Raises `Damaged` of `name`."""
    found: list[Frame] = []
    end = len(MARK)
    if not text.startswith(MARK):
        if MARK.startswith(text) or not text.strip(b"\0"):
            return (), 0
        raise Damaged(f"{name} holds no slots: another program wrote it; move it away")
    for start, stop, parts in _parts(text, name, found):
        found.append(_read(text, start, parts, name, found))
        end = stop
    return tuple(found), end


def _parts(text: bytes, name: str, found: Sequence[Frame]) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Each whole frame's start and end, and the lengths of its head and body."""
    at = len(MARK)
    while at < len(text):
        if len(text) - at < _HEADER.size:
            return
        mark, head, body, check = _HEADER.unpack_from(text, at)
        if mark != _FRAME or check != crc32(text[at + 4 : at + 12]):
            if not text[at:].strip(b"\0"):
                return
            raise _damage(name, at, found)
        stop = at + _HEADER.size + head + body + _CHECK.size
        if stop > len(text):
            return
        yield at, stop, (head, body)
        at = stop


def _read(text: bytes, start: int, parts: tuple[int, int], name: str, found: Sequence[Frame]) -> Frame:
    head, body = start + _HEADER.size, start + _HEADER.size + parts[0]
    end = body + parts[1]
    if _CHECK.unpack_from(text, end)[0] != crc32(text[head:end]):
        raise _damage(name, start, found)
    try:
        return Frame(msgspec.msgpack.decode(text[head:body], type=Head), text[body:end])
    except msgspec.MsgspecError:
        raise _damage(name, start, found) from None


def _damage(name: str, at: int, found: Sequence[Frame]) -> Damaged:
    fix = "`fairlead windows backfill` makes that day again from the log"
    return Damaged(f"{name} is damaged at byte {at:,}: {fix}", found)


def _frame(slot: Slot) -> bytes:
    known = Head(slot.version, slot.segment, slot.starts_at, slot.ends_at, slot.rows, slot.bundle, slot.judged, slot.by)
    head, body = msgspec.msgpack.encode(known), compress(msgspec.msgpack.encode(slot.sums), _LEVEL)
    lengths = struct.pack("<II", len(head), len(body))
    return b"".join((_FRAME, lengths, _CHECK.pack(crc32(lengths)), head, body, _CHECK.pack(crc32(body, crc32(head)))))
