"""Whether a folder's disk takes any more: asked before it is needed, or once it was refused."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

ROOM_BYTES = 64 * 2**10  # a few hundred records: with less free, the next failure is near

_REMEDIES = {errno.ENOSPC: "free space", errno.EDQUOT: "raise the quota", errno.EROFS: "mount it for writing"}


def remedy(error: OSError) -> str:
    """What to do about a disk that refused."""
    return _REMEDIES.get(error.errno or 0, "check the disk and the owner of the folder")


def tried(folder: Path, name: str) -> str:
    """Why a file of `ROOM_BYTES` cannot be made in a folder, one line; empty when it can. It is removed again.

    `name` is the caller's own, so that two who try at once are not in each other's way.
    """
    path = folder / f".trial-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
    except OSError as error:
        return f"the log in {folder} takes no {ROOM_BYTES // 1024} KiB more ({error.strerror}): {remedy(error)}"
    finally:
        with suppress(OSError):
            path.unlink()
    return ""


def looked_at(folder: Path) -> str:
    """The same without touching it, which sees no quota: a full or a read-only file system."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return ""
    if found.f_flag & os.ST_RDONLY:
        return f"the disk of {folder} is read-only: mount it for writing"
    free = found.f_bavail * found.f_frsize
    return f"the disk of {folder} is full ({free} bytes are free): free space" if free < ROOM_BYTES else ""
