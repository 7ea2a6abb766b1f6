"""frouros, by its `KSTest` and `ChiSquareTest` for each column, at p < 0.05: it has no report of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Found, System, Task, by_p, main

LIMIT = 0.05
detectors: Any = None


def start() -> str:
    """Imports what a report needs."""
    global detectors  # noqa: PLW0603 - a runner is a process
    detectors = import_module("frouros.detectors.data_drift")
    return import_module("importlib.metadata").version("frouros")  # type: ignore[no-any-return]


def fitted(reference: Any, task: Task) -> dict[str, Any]:
    """A detector for each column."""
    tests = {name: detectors.KSTest() for name in task.numeric}
    tests |= {name: detectors.ChiSquareTest() for name in task.categorical}
    for name, test in tests.items():
        test.fit(X=reference[name])
    return tests


def answer(tests: dict[str, Any], current: Any) -> Found:
    """One column is enough."""
    columns = {name: by_p(float(test.compare(X=current[name])[0].p_value), LIMIT) for name, test in tests.items()}
    return Found(any(column.drifted for column in columns.values()), columns)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """A loop over the columns."""
    return answer(fitted(reference, task), current)


def windows(reference: Any, parts: list[tuple[str, Any]], task: Task) -> Iterator[Found]:
    """The detectors are fitted once."""
    tests = fitted(reference, task)
    for _, current in parts:
        yield answer(tests, current)


def native(table: Any) -> dict[str, Any]:
    """Arrays by name: it takes no frames."""
    return {name: table.column(name).to_numpy() for name in table.column_names}


if __name__ == "__main__":
    main(System(start, compare, windows, native=native))
