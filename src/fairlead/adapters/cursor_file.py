"""How far each receiver was told, in one small file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from fairlead.errors import StateError


class CursorFile:
    """Written whole or not at all, by one process."""

    def __init__(self, path: Path) -> None:
        """The file need not be there."""
        self._path = path

    def get(self, name: str) -> int | None:
        """How far one was told. Raises `StateError` for a file that cannot be read."""
        return self._known().get(name)

    def put(self, name: str, seq: int) -> None:
        """Keeps it on the disk. Raises `StateError`."""
        known = {**self._known(), name: seq}
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(known, order="sorted"))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}") from error

    def _known(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(
                f"{self._path} cannot be read ({error}): remove it, and receivers are told from now on"
            ) from error
