"""Small notes that processes of one home leave for each other, replaced whole."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from fairlead.errors import StateError

COUNTERS = "workers"  # the folder in the home where workers, and who answers unseen, leave their counters


class NoteFolder:
    """One file a name. A note may be lost in a power cut; it is never seen half written."""

    def __init__(self, folder: Path) -> None:
        """The folder is made at the first write."""
        self._folder = folder

    def write(self, name: str, note: bytes) -> None:
        """Replaces a note. Raises `StateError`."""
        draft = self._folder / f".{name}.draft"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(note)
            draft.replace(self._folder / f"{name}.json")
        except OSError as error:
            raise StateError(f"{self._folder / name} cannot be written ({error.strerror}): free space") from error

    def read(self) -> dict[str, bytes]:
        """Every note by name."""
        notes = {}
        for path in self._folder.glob("*.json"):
            try:
                notes[path.stem] = path.read_bytes()
            except FileNotFoundError:
                continue
        return notes

    def age(self, name: str) -> float | None:
        """The seconds since a note was written, None where there is none."""
        try:
            return time.time() - (self._folder / f"{name}.json").stat().st_mtime
        except OSError:
            return None

    def remove(self, name: str) -> None:
        """Removes a note, if there is one. Raises nothing: whoever is gone is known by the age of what he said."""
        with suppress(OSError):
            (self._folder / f"{name}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes every note. Raises `StateError`."""
        try:
            for path in self._folder.glob("*.json"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"the notes in {self._folder} cannot be removed ({error.strerror})") from error
