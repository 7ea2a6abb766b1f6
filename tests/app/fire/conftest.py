"""Disks that are small or break, and what the log holds afterwards."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.adapters.segment_reader import SegmentReader


def logged(home: Path) -> Counter[str]:
    """How often each request id stands in the segments, repeats included."""
    reader, found = SegmentReader(home / "log"), Counter[str]()
    reader.without_repeats = list  # type: ignore[assignment, method-assign]  # a double must be seen
    while batch := reader.poll()[0]:
        found.update(record.request_id for record in batch)
    return found


@pytest.fixture
def log_of() -> Callable[[Path], Counter[str]]:
    """See `logged`."""
    return logged


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._run("mount", *options, str(folder))

    def again(self, options: str) -> None:
        """Changes it while it is in use."""
        self._run("mount", "-o", f"remount,{options}", str(self.folder))

    def leave(self) -> None:
        """Unmounts it, however it is used."""
        self._run("umount", "-l", str(self.folder))

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}; these tests mount disks, which takes root"


@pytest.fixture(scope="module")
def mount() -> Iterator[Callable[..., Disk]]:
    """Mounts file systems, and unmounts them at the end."""
    mounted: list[Disk] = []

    def make(folder: Path, *options: str) -> Disk:
        mounted.append(Disk(folder, *options))
        return mounted[-1]

    yield make
    for disk in reversed(mounted):
        if os.path.ismount(disk.folder):
            disk.leave()
