"""A number for each process that answers a stream: that of its segments, and its name within its group.

The kernel takes the seat back when a process dies, however it dies: the next one goes on under the same name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.adapters.file_lock import held
from fairlead.errors import Refused, StateError

SEATS = range(9000, 9900)  # of workers' numbers: no gateway has so many


@contextmanager
def seated(folder: Path) -> Iterator[int]:
    """The lowest number that is free, until the end. Raises `Refused` where all are taken, and `StateError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder} cannot be made ({error.strerror}): check the owner") from None
    for number in SEATS:
        lock = held(folder / f"{number}.lock", "taken")
        try:
            lock.__enter__()
        except Refused:
            continue
        except OSError as error:
            raise StateError(f"{folder} cannot be written ({error.strerror}): free space or check the owner") from None
        try:
            yield number
        finally:
            lock.__exit__(None, None, None)
        return
    raise Refused(f"{len(SEATS)} streams are answered over this home already: stop some")
