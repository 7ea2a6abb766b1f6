"""What this process and its children may take up: the control group's limits, else the machine's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def room(group: Path = _GROUP) -> tuple[int, float]:
    """Bytes of memory and processors, the least of what applies. Both versions of control groups are read."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [pages, *_numbers(group / "memory.max"), *_numbers(group / "memory" / "memory.limit_in_bytes")]
    cores = [float(len(os.sched_getaffinity(0)))]
    quotas = (_numbers(group / "cpu.max"), _quota(group / "cpu"))
    cores += [quota[0] / quota[1] for quota in quotas if len(quota) == 2 and quota[1] > 0]
    return min(limit for limit in limits if limit > 0), min(core for core in cores if core > 0.0)


def _quota(folder: Path) -> list[int]:
    return [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]


def _numbers(path: Path) -> list[int]:
    """The numbers of a file; none where it is not there, or says `max`."""
    with suppress(OSError, ValueError):
        return [int(word) for word in path.read_text().split()]
    return []
