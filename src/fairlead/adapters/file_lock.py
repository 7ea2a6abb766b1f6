"""One process at a time: a lock on a file, which the kernel lets go when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.errors import Refused


@contextmanager
def held(path: Path, refusal: str, *, waits: bool = False) -> Iterator[None]:
    """Holds the lock until the end. While another process holds it: `waits` for its end, or raises `Refused` with
    `refusal`."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Refused(refusal) from None
        yield
