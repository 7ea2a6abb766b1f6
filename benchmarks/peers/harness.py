"""One measurement of one system, inside its environment: imports, reads the job, works, and writes what it found.

A job is a folder: `reference.parquet`, `current.parquet` and `job.json` with

    numeric, categorical  the columns to compare
    pairs                 a column that both tables have, grouped: each value in `current` is a comparison of its own,
                          with the reference's rows of that name, less what follows a slash (not for timing:
                          converting the tables into what the library takes is counted)
    windows               a column of `current`, sorted: each of its values is a window against the whole reference

Only the calls into the library are timed; imports, and reading the files into what the library takes, are timed apart.
The peak of memory is that of the process while it works, data included (Linux: the high-water mark is reset before).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MISSING_P = 300.0  # what a p-value of 0 counts for, in powers of ten


class Column(NamedTuple):
    """One column's answer: called drifted by the system's own rule, and how strongly (1 is the rule's limit)."""

    drifted: bool
    strength: float


class Found(NamedTuple):
    """What a comparison said: the table drifted by the system's own rule, and each column."""

    drifted: bool
    columns: dict[str, Column]


class Task(NamedTuple):
    """What to compare."""

    numeric: list[str]
    categorical: list[str]
    variant: str

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return self.numeric + self.categorical


class System(NamedTuple):
    """A runner. `start` imports and returns the version; `native` turns an Arrow table into what the library takes.

    `compare(reference, current, task)` compares two; `windows(reference, [(name, current), …], task)` yields
    an answer for each window, None for a system that was built without. One that cuts a table itself has
    `series(reference, current, by, sizes, task)` instead: `by` names the column of windows, `sizes` are their rows. A
    `files` variant gets paths, not tables.
    """

    start: Callable[[], str]
    compare: Callable[[Any, Any, Task], Found]
    windows: Callable[[Any, list[tuple[str, Any]], Task], Iterator[Found]] | None = None
    series: Callable[[Any, Any, str, list[int], Task], Iterator[Found]] | None = None
    native: Callable[[Any], Any] = lambda table: table.to_pandas()


def by_p(p_value: float, limit: float) -> Column:
    """A column judged by a p-value."""
    from math import log10

    tens = MISSING_P if p_value <= 10.0**-MISSING_P else -log10(p_value)
    return Column(p_value < limit, tens / -log10(limit))


def parts(table: Any, by: str) -> list[tuple[str, Any]]:
    """The slices of an Arrow table that is sorted by a column."""
    import numpy as np

    values = table.column(by).to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    ends = np.append(starts[1:], len(values))
    bare = table.drop_columns([by])
    return [(str(values[a]), bare.slice(int(a), int(b - a))) for a, b in zip(starts, ends, strict=True)]


def main(system: System) -> None:
    """Runs the job named on the command line: FOLDER ANSWER VARIANT."""
    folder, answer, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    began = time.perf_counter()
    version = system.start()
    imported = time.perf_counter() - began
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    task = Task(job["numeric"], job["categorical"], variant)
    names, work = _work(system, folder, job, task)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    wall, cpu = time.perf_counter(), _cpu()
    found = work()
    result = {
        "version": version,
        "import_s": imported,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": _cpu() - cpu,
        "data_mib": before,
        "peak_mib": _status("VmHWM"),
        "pairs": names,
        "found": found,
    }
    answer.write_text(json.dumps(result), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # some of the libraries leave threads behind


def _work(system: System, folder: Path, job: dict[str, Any], task: Task) -> tuple[list[str], Callable[[], list[Found]]]:
    """What each answer is of, and the work."""
    import pyarrow.parquet as pq

    if task.variant == "files":
        return ["all"], lambda: [system.compare(folder / "reference.parquet", folder / "current.parquet", task)]
    reference, current = (pq.read_table(folder / f"{side}.parquet") for side in ("reference", "current"))
    if job.get("pairs"):
        one, two = (dict(parts(table, job["pairs"])) for table in (reference, current))
        native = system.native  # one pair at a time: many are not held at once, and their time means little
        return list(two), lambda: [
            system.compare(native(one[name.partition("/")[0]]), native(table), task) for name, table in two.items()
        ]
    first = system.native(reference)
    if job.get("windows"):
        return _windows(system, first, current, job["windows"], task)
    second = system.native(current)
    del reference, current
    return ["all"], lambda: [system.compare(first, second, task)]


def _windows(
    system: System, reference: Any, current: Any, by: str, task: Task
) -> tuple[list[str], Callable[[], list[Found]]]:
    """The work of windows: on one table, or on many, which are cut before the clock starts."""
    cut = parts(current, by)
    names = [name for name, _ in cut]
    if system.series is not None:
        whole, of = system.native(current), system.series
        return names, lambda: list(of(reference, whole, by, [part.num_rows for _, part in cut], task))
    if system.windows is None:
        raise SystemExit("this runner has no windows")
    each = system.windows
    windows = [(name, system.native(table)) for name, table in cut]
    return names, lambda: list(each(reference, windows, task))


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
