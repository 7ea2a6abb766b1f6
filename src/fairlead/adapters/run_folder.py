"""A training run's folder: one process at a time, and never with what an earlier, unfinished try left behind."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.errors import Refused


@contextmanager
def claimed(folder: Path, run: str) -> Iterator[Path]:
    """An empty folder for a run, held by this process until the end. Raises `Refused` while another holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run}.lock").open("w") as lock:
        try:
            # The kernel lets go when the process dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"the run {run} is under way in another process: wait for it to finish") from None
        place = folder / run
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        yield place
