"""A Delta table on a local disk, against a power cut: deltalake hands its files to the kernel and syncs none.

Tables elsewhere are left alone: an object store answers once it holds an object.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from fairlead.adapters.folder_sync import sync_folder

_TORN = ".torn"


def local_folder(location: str) -> Path | None:
    """The folder of a local table; None for any other.

    >>> local_folder("/data/t"), local_folder("file:///data/a%20b"), local_folder("s3://bucket/t")
    (PosixPath('/data/t'), PosixPath('/data/a b'), None)
    """
    if "://" not in location:
        return Path(location)
    parts = urlparse(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def sync_commit(location: str) -> None:
    """Puts the newest commit and the data files that it adds on the disk. Raises `OSError`."""
    folder = local_folder(location)
    newest = None if folder is None else _newest(folder)
    if folder is None or newest is None:
        return
    folders = {newest.parent, folder}
    for line in newest.read_text().splitlines():
        added = json.loads(line).get("add")
        if added is not None:
            path = folder / unquote(added["path"])
            _sync_file(path)
            folders |= {path.parent, *(parent for parent in path.parent.parents if parent.is_relative_to(folder))}
    _sync_file(newest)
    for each in sorted(folders):
        sync_folder(each)


def mend(location: str) -> None:
    """Moves a last commit aside that is empty, cut, or names a file that is not whole: it was never acknowledged.

    Raises `OSError`.
    """
    folder = local_folder(location)
    newest = None if folder is None else _newest(folder)
    if folder is not None and newest is not None and not _is_whole(folder, newest):
        newest.rename(newest.with_suffix(_TORN))


@contextmanager
def shared(path: Path | None) -> Iterator[None]:
    """Holds a lock that many may hold, and `alone` waits for. Without a path there is none."""
    with _opened(path) as fd:
        if fd >= 0:
            fcntl.flock(fd, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(path: Path | None, seconds: float) -> Iterator[bool]:
    """Holds it against all others; yields whether it could be had within so many seconds."""
    deadline = time.monotonic() + seconds
    with _opened(path) as fd:
        while fd >= 0:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.05)
        yield True


@contextmanager
def _opened(path: Path | None) -> Iterator[int]:
    fd = -1 if path is None else os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        yield fd
    finally:
        if fd >= 0:
            os.close(fd)


def _newest(folder: Path) -> Path | None:
    log = folder / "_delta_log"
    if not log.is_dir():
        return None
    return max((path for path in log.glob("*.json") if path.stem.isdigit()), default=None)


def _is_whole(folder: Path, commit: Path) -> bool:
    try:
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        added = [action["add"] for action in actions if "add" in action]
        return bool(actions) and all((folder / unquote(each["path"])).stat().st_size == each["size"] for each in added)
    except (ValueError, TypeError, KeyError, FileNotFoundError):
        return False


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
