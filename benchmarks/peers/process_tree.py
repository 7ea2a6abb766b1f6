"""A server with all its processes: started on its own core, stilled while another is asked, counted, and ended.

Some servers are one process, some are nine. What belongs to one is what descends from the process that was started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving import TICK

MIB = 2.0**20


class Memory(NamedTuple):
    """MiB of all processes: resident, and proportional (a page that n share counts 1/n)."""

    rss: float
    pss: float
    processes: int


def launch(command: Sequence[str], core: int, environment: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Starts a program on one core, with all that it will start, out of the reach of the terminal's signals; what it
    says is kept in the folder's `said`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with (folder / "said").open("ab") as said:
            return subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                process_group=0,
            )
    finally:
        os.sched_setaffinity(0, before)


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _stat(pid: int) -> list[str]:
    """From the state on: what stands before it is a name with spaces."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def cpu_of_all(root: int) -> float:
    """User and system seconds of the whole tree so far, with those children that it has waited for."""
    spent = 0
    for pid in tree(root):
        with suppress(OSError):
            spent += sum(map(int, _stat(pid)[11:15]))
    return spent / TICK


def memory_of_all(root: int) -> Memory:
    """What the whole tree holds now."""
    pids, rss, pss = tree(root), 0, 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
                rss += int(line.split()[1]) if line.startswith("Rss:") else 0
                pss += int(line.split()[1]) if line.startswith("Pss:") else 0
    return Memory(rss / 1024, pss / 1024, len(pids))


def still(root: int) -> None:
    """Stops it, until `go_on`."""
    _signal(root, signal.SIGSTOP)


def go_on(root: int) -> None:
    """Wakes it up."""
    _signal(root, signal.SIGCONT)


def end(process: subprocess.Popen[bytes], seconds: float = 8.0) -> None:
    """Asks it to leave; whoever is still there afterwards is killed."""
    pids = tree(process.pid)
    _signal(process.pid, signal.SIGCONT)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline and any(lives(pid) for pid in pids[1:]):
        time.sleep(0.05)
    for pid in pids:
        if lives(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()


def lives(pid: int) -> bool:
    """Whether it is there, and more than a name that nobody has asked for."""
    with suppress(OSError):
        return _stat(pid)[0] != "Z"
    return False


def _signal(root: int, number: signal.Signals) -> None:
    for pid in tree(root):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
