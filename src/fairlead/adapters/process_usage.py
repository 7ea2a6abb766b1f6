"""What this process takes of the machine, as Linux tells it. What the system does not tell is 0."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from functools import cache
from pathlib import Path

from fairlead.adapters.segment_frame import parse_name

_PROC = Path("/proc/self")


def memory() -> tuple[int, int]:
    """Virtual and resident bytes."""
    with suppress(OSError, ValueError):
        virtual, resident, *_ = (_PROC / "statm").read_bytes().split()
        page = os.sysconf("SC_PAGESIZE")
        return int(virtual) * page, int(resident) * page
    return 0, 0


def descriptors() -> tuple[int, int]:
    """Open file descriptors, and the most that may be."""
    with suppress(OSError):
        return len(list((_PROC / "fd").iterdir())), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0, 0


def threads() -> int:
    """How many there are."""
    with suppress(OSError):
        return len(list((_PROC / "task").iterdir()))
    return 0


@cache
def started_at() -> float:
    """When it began: seconds since 1970."""
    with suppress(OSError, ValueError, StopIteration):
        ticks = int((_PROC / "stat").read_text().rpartition(")")[2].split()[19])
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
        return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def segment_bytes(folder: Path, worker: int) -> dict[str, int]:
    """A worker's segments that are not removed yet, by kind. The system's own cost of looking: one listing a kind."""
    found: dict[str, int] = {}
    for kind in ("predictions", "outcomes", "events", "traces"):
        with suppress(OSError), os.scandir(folder / kind) as entries:
            names = ((entry, parse_name(entry.name)) for entry in entries)
            found[kind] = sum(entry.stat().st_size for entry, name in names if name and name.worker == worker)
    return found
