"""What an engineer writes by hand: scipy's tests in a loop over the columns, at p < 0.05.

Windows are compared with a reference that was sorted and counted once (Kolmogorov-Smirnov by two binary searches).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, by_p, main

LIMIT = 0.05
np: Any = None
st: Any = None


def start() -> str:
    """Imports what a report needs."""
    global np, st
    np, st = import_module("numpy"), import_module("scipy.stats")
    import_module("pandas")
    return str(import_module("scipy").__version__)


def chi_squared(expected: Any, actual: Any) -> Column:
    """Two vectors of counts by category."""
    names = expected.index.union(actual.index)
    if len(names) < 2:
        return by_p(1.0, LIMIT)
    table = np.array([expected.reindex(names, fill_value=0), actual.reindex(names, fill_value=0)])
    return by_p(float(st.chi2_contingency(table).pvalue), LIMIT)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """A loop over the columns; one is enough."""
    columns = {c: by_p(float(st.ks_2samp(reference[c], current[c]).pvalue), LIMIT) for c in task.numeric}
    columns |= {c: chi_squared(reference[c].value_counts(), current[c].value_counts()) for c in task.categorical}
    return Found(any(column.drifted for column in columns.values()), columns)


def presorted(one: Any, two: Any) -> Column:
    """The statistic over a sorted reference, with its asymptotic p-value."""
    n, m = len(one), len(two)
    above = np.searchsorted(two, two, side="right") / m - np.searchsorted(one, two, side="right") / n
    below = np.searchsorted(one, two, side="left") / n - np.searchsorted(two, two, side="left") / m
    return by_p(float(st.kstwo.sf(max(above.max(), below.max()), round(n * m / (n + m)))), LIMIT)


def windows(reference: Any, parts: list[tuple[str, Any]], task: Task) -> Iterator[Found]:
    """What depends on the reference alone is done once."""
    ordered = {c: np.sort(reference[c].to_numpy()) for c in task.numeric}
    counted = {c: reference[c].value_counts() for c in task.categorical}
    for _, current in parts:
        columns = {c: presorted(ordered[c], np.sort(current[c].to_numpy())) for c in task.numeric}
        columns |= {c: chi_squared(counted[c], current[c].value_counts()) for c in task.categorical}
        yield Found(any(column.drifted for column in columns.values()), columns)


if __name__ == "__main__":
    main(System(start, compare, windows))
