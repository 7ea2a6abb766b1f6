"""whylogs, by two profiles and `calculate_drift_scores` at its defaults."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Found, System, Task, by_p, main

LIMIT = 0.05
why: Any = None
scores: Any = None


def start() -> str:
    """Imports what a report needs."""
    global why, scores  # noqa: PLW0603 - a runner is a process
    why = import_module("whylogs")
    scores = import_module("whylogs.viz.drift.column_drift_algorithms").calculate_drift_scores
    return str(why.__version__)


def answer(reference: Any, current: Any) -> Found:
    """Columns in the class DRIFT drifted; the library has no rule for a table, so one is enough."""
    said = scores(target_view=current, reference_view=reference, with_thresholds=True)
    columns = {}
    for name, score in said.items():
        if score is None:
            continue
        column = by_p(float(score["pvalue"]), LIMIT)
        columns[name] = column._replace(drifted=score["drift_category"] == "DRIFT")
    return Found(any(column.drifted for column in columns.values()), columns)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """Two profiles."""
    return answer(why.log(reference[task.columns]).view(), why.log(current[task.columns]).view())


def windows(reference: Any, parts: list[tuple[str, Any]], task: Task) -> Iterator[Found]:
    """The reference is profiled once."""
    one = why.log(reference[task.columns]).view()
    for _, current in parts:
        yield answer(one, why.log(current[task.columns]).view())


if __name__ == "__main__":
    main(System(start, compare, windows))
