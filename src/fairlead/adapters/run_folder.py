"""A training run's folder: one process at a time, and never with what an earlier, unfinished try left behind."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.adapters.file_lock import held
from fairlead.errors import UsageError

# A key names a folder that is emptied first: it must never be a path. It begins with a letter or digit, so neither
# `..` nor a hidden folder is one.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@contextmanager
def claimed(folder: Path, run: str, *, keep: bool = False) -> Iterator[Path]:
    """An empty folder for a run, held by this process until the end.

    Raises `UsageError` for a key that is no plain name, and `Refused` while another process holds the run. Only what
    an earlier try of this very run left in `folder` is removed; `keep` leaves that, as somebody may be reading it.
    """
    if not _KEY.fullmatch(run):
        raise UsageError(
            f"{run!r} cannot be a run's key: use at most 200 letters, digits, '_', '.' and '-', beginning with a "
            "letter or digit"
        )
    folder.mkdir(parents=True, exist_ok=True)
    refusal = f"the run {run} is under way in another process: wait for it to finish"
    with held(folder / f"{run}.lock", refusal):
        place = folder / run
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(exist_ok=keep)
        yield place
