"""Slots in a folder: one file a model and day of event time, added to at its end.

    slots/MODEL/2026-11-26.slots

A writer holds the model's lock, and puts what it wrote on the disk before it returns. Readers need no lock: a file is
added to, or replaced whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from math import inf
from pathlib import Path
from urllib.parse import quote

from fairlead.adapters.file_lock import held as locked
from fairlead.adapters.folder_sync import sync_folder
from fairlead.adapters.slot_file import MARK, Damaged, Frame, Head, frames_of, written
from fairlead.core.slot import Slot, lasting
from fairlead.core.window import DAY
from fairlead.errors import StateError
from fairlead.ports.slots import SlotsHeld

SLOTS = "slots"  # the folder in a home
_ENDING = ".slots"
_LONGEST = 150


class SlotFolder:
    """Keeps `keep_seconds` of event time of each model, counted back from its newest day."""

    def __init__(self, folder: Path, keep_seconds: float = inf) -> None:
        """The folder is made at the first write."""
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._whole: dict[Path, int] = {}  # how long a file was when it was last seen to be whole

    def put(self, slots: Sequence[Slot]) -> None:
        """Keeps slots of one model; `StateError` where the disk refuses, or a file is not what it should be."""
        for model, mine in groupby(slots, key=lambda slot: slot.model):
            with self._locked(model) as folder:
                for day, those in groupby(sorted(mine, key=lambda slot: slot.starts_at), key=_day):
                    self._append(folder / f"{day}{_ENDING}", written(tuple(those)))

    def read(self, model: str, version: int, segment: str, starts_at: float, ends_at: float) -> tuple[Slot, ...]:
        """Those that begin in [`starts_at`, `ends_at`), in order of time. Raises `StateError`."""

        def wanted(head: Head) -> bool:
            return head.version == version and head.segment == segment and starts_at <= head.starts_at < ends_at

        found: list[Slot] = []
        for path in self._days(model, starts_at, ends_at):
            found += _slots((frame for frame in _frames(path) if wanted(frame.head)), model)
        return lasting(found)

    def replace(
        self,
        model: str,
        version: int,
        span: tuple[float, float],
        fill: Callable[[tuple[Slot, ...]], Sequence[Slot]],
    ) -> tuple[Slot, ...]:
        """Puts what `fill` makes of a version's slots that begin in the span in their place, day by day, each whole or
        not at all. A damaged file is set aside. Raises `StateError`, and whatever `fill` raises."""

        def mine(head: Head) -> bool:
            return head.version == version and span[0] <= head.starts_at < span[1]

        with self._locked(model) as folder:
            held = {path: self._salvaged(path) for path in self._days(model, *span)}
            before = [slot for frames in held.values() for slot in _slots((f for f in frames if mine(f.head)), model)]
            filled = tuple(fill(lasting(before)))
            days = {
                folder / f"{day}{_ENDING}": list(those) for day, those in groupby(sorted(filled, key=_at), key=_day)
            }
            for path in sorted({*held, *days}):
                kept = [frame.slot(model) for frame in held.get(path, ()) if not mine(frame.head)]
                self._write(path, [*kept, *days.get(path, ())])
        return filled

    def held(self, model: str) -> tuple[SlotsHeld, ...]:
        """What there is of a model, by version and segment. Raises `StateError`."""
        known: dict[tuple[int, str], dict[tuple[float, float], Head]] = {}
        for path in self._days(model, -inf, inf):
            for frame in _frames(path):
                head = frame.head
                known.setdefault((head.version, head.segment), {})[head.starts_at, head.ends_at] = head
        return tuple(_held(key, list(heads.values())) for key, heads in sorted(known.items()))

    def prune(self, model: str, before: float) -> int:
        """Removes a model's days that ended before an instant; what cannot be removed stays."""
        gone = 0
        for path in self._days(model, -inf, inf):
            with suppress(OSError):
                if _began(path) + DAY <= before:
                    path.unlink()
                    gone += 1
        return gone

    # -- files -----------------------------------------------------------------------------------------------------

    def _of(self, model: str) -> Path:
        """A model's folder: its name where a file may bear it, else a digest of it."""
        plain = quote(model, safe=" ")
        fits = 0 < len(plain) <= _LONGEST and not plain.startswith(".")
        return self._folder / (plain if fits else f"%{sha256(model.encode()).hexdigest()}")

    def _days(self, model: str, starts_at: float, ends_at: float) -> list[Path]:
        """The files of the days that slots of a span begin in, oldest first."""
        try:
            paths = sorted(path for path in self._of(model).iterdir() if path.suffix == _ENDING)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(f"{self._of(model)} cannot be read ({error.strerror}): check the owner") from error
        return [path for path in paths if _began(path) + DAY > starts_at and _began(path) < ends_at]

    @contextmanager
    def _locked(self, model: str) -> Iterator[Path]:
        folder = self._of(model)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder / ".lock", "", waits=True):
                yield folder
        except OSError as error:
            raise StateError(
                f"slots cannot be written to {folder} ({error.strerror}): free space or check the owner"
            ) from error

    def _append(self, path: Path, frames: bytes) -> None:
        """At the end, behind what is whole. What cannot be written whole is taken back."""
        fresh = not path.exists()
        with path.open("ab") as file:
            size = file.tell()
            if size != self._whole.get(path):
                text = path.read_bytes()
                whole = frames_of(text, str(path))[1]
                if whole < size:
                    file.truncate(whole)
                size = whole
            try:
                file.write((b"" if size else MARK) + frames)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    os.truncate(path, size)
                raise
            self._whole[path] = size + len(frames) + (0 if size else len(MARK))
        if fresh:
            sync_folder(path.parent)
            self._forget(path.parent)

    def _forget(self, folder: Path) -> None:
        """When a day begins, days that are too long ago go."""
        days = sorted(path for path in folder.iterdir() if path.suffix == _ENDING and _began(path) > -inf)
        oldest = _began(days[-1]) + DAY - self._keep_seconds
        self._whole = {path: size for path, size in self._whole.items() if path.parent != folder or path == days[-1]}
        for path in days:
            if _began(path) + DAY <= oldest:
                with suppress(OSError):
                    path.unlink()

    def _write(self, path: Path, slots: Sequence[Slot]) -> None:
        if not slots:
            path.unlink(missing_ok=True)
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("wb") as file:
            file.write(MARK + written(slots))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
        self._whole.pop(path, None)

    def _salvaged(self, path: Path) -> tuple[Frame, ...]:
        """A file's frames; of a damaged one those before the damage, and it is set aside as it is."""
        try:
            return _frames(path)
        except Damaged as damage:
            aside = path.with_name(f"{path.name}.damaged")
            if not aside.exists():
                path.rename(aside)
            return damage.frames


def _frames(path: Path) -> tuple[Frame, ...]:
    try:
        return frames_of(path.read_bytes(), str(path))[0]
    except FileNotFoundError:
        return ()  # pruned meanwhile
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error.strerror}): check the owner and the disk") from error


def _slots(frames: Iterator[Frame], model: str) -> list[Slot]:
    return [frame.slot(model) for frame in frames]


def _held(key: tuple[int, str], heads: Sequence[Head]) -> SlotsHeld:
    rows, ends = sum(head.rows for head in heads), max(head.ends_at for head in heads)
    return SlotsHeld(*key, len(heads), rows, min(head.starts_at for head in heads), ends)


def _at(slot: Slot) -> float:
    return slot.starts_at


def _day(slot: Slot) -> str:
    return f"{datetime.fromtimestamp(slot.starts_at, UTC):%Y-%m-%d}"


def _began(path: Path) -> float:
    """When a file's day began; long ago for a name that is no day."""
    try:
        return datetime.strptime(path.name.removesuffix(_ENDING), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return -inf
