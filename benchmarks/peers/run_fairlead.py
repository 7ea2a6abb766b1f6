"""fairlead, by `fl.drift` and `fl.drift_timeline` at their defaults.

Variants: `default` takes frames as pandas reads them; `object` takes text as Python objects, as the peers get it;
`files` reads the Parquet files in parts, which is then timed too; `effect` calls a column as strong as its largest
distance, in units of its limit, where the others take its evidence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from math import log10
from typing import Any

from benchmarks.peers.harness import MISSING_P, Column, Found, System, Task, main

fl: Any = None


def start() -> str:
    """Imports what a report needs."""
    global fl  # noqa: PLW0603 - a runner is a process
    fl = import_module("fairlead")
    assert fl.drift
    return str(fl.__version__)


def answer(verdict: Any, columns: Any, task: Task) -> Found:
    """A column's strength is its evidence, in powers of ten."""
    found = {}
    for column in columns:
        if task.variant == "effect":
            found[column.name] = Column(column.level.value != "none", column.effect)
            continue
        p_value = 1.0 if column.p_value is None else column.p_value
        tens = MISSING_P if p_value <= 10.0**-MISSING_P else -log10(p_value)
        found[column.name] = Column(column.level.value != "none", tens)
    return Found(verdict.outcome.value == "breached", found)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """One report."""
    engine = "local" if task.variant == "files" else "memory"
    report = fl.drift(reference, current, columns=task.columns, engine=engine)
    return answer(report.verdict, report.columns, task)


def series(reference: Any, current: Any, by: str, sizes: list[int], task: Task) -> Iterator[Found]:  # noqa: ARG001
    """The number of a window is its second."""
    found = fl.drift_timeline(reference, current, timestamp=by, window=1.0, columns=task.columns)
    for window in found.windows:
        yield answer(window.verdict, window.columns, task)


def native(table: Any) -> Any:
    """A pandas frame."""
    frame = table.to_pandas()
    if "object" in sys.argv[3:]:
        texts = frame.select_dtypes(include=["string", "str"]).columns
        frame[texts] = frame[texts].astype(object)
    return frame


if __name__ == "__main__":
    main(System(start, compare, series=series, native=native))
