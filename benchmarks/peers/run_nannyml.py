"""NannyML, by its `UnivariateDriftCalculator`, a window as one chunk. Variants: `default` (one distance a column);
`ks_chi2`; `same`, the distances of fairlead that it has: KS, Jensen-Shannon and Wasserstein; chi2 and Jensen-Shannon.
`realised` and `estimated`: ROC AUC and accuracy of a binary model, measured or by CBPE, from the columns `__score__`,
`__decided__` and `__truth__`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from math import isfinite
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, main

METHODS: dict[str, dict[str, Any]] = {
    "ks_chi2": {"continuous_methods": ["kolmogorov_smirnov"], "categorical_methods": ["chi2"]},
    "same": {
        "continuous_methods": ["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
        "categorical_methods": ["chi2", "jensen_shannon"],
    },
}
nml: Any = None


def start() -> str:
    """Imports what a report needs."""
    global nml  # noqa: PLW0603 - a runner is a process
    nml = import_module("nannyml")
    return str(nml.__version__)


def calculator(task: Task, **chunks: Any) -> Any:
    """A calculator that is not fitted."""
    return nml.UnivariateDriftCalculator(
        column_names=task.columns,
        treat_as_categorical=task.categorical,
        **METHODS.get(task.variant, {}),
        **chunks,
    )


def answers(fitted: Any, current: Any, task: Task) -> Iterator[Found]:
    """One answer for each chunk. A column's strength is its distance over the threshold, where it has one."""
    frame = fitted.calculate(current).filter(period="analysis").to_df(multilevel=True)
    of = {c: min(key[1] for key in frame.columns if key[0] == c and key[-1] == "alert") for c in task.columns}
    alerts = {c: frame[(c, of[c], "alert")].to_numpy() for c in task.columns}
    values = {c: frame[(c, of[c], "value")].to_numpy() for c in task.columns}
    limits = {c: frame[(c, of[c], "upper_threshold")].to_numpy() for c in task.columns}
    for row in range(len(frame)):
        columns = {}
        for c in task.columns:
            limit = float(limits[c][row] or "nan")  # chi-squared has none
            strength = float(values[c][row]) / (limit if isfinite(limit) and limit > 0 else 1.0)
            columns[c] = Column(bool(alerts[c][row]), strength)
        yield Found(any(column.drifted for column in columns.values()), columns)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """The current rows are one chunk, the reference several: its spread over them sets the thresholds."""
    return next(answers(calculator(task, chunk_size=len(current)).fit(reference), current, task))


def series(reference: Any, current: Any, by: str, sizes: list[int], task: Task) -> Iterator[Found]:  # noqa: ARG001
    """The windows have equal sizes, so they are chunks of one call: what the library is built for."""
    if task.variant in ("realised", "estimated"):
        yield from performance(reference, current, sizes[0], task)
        return
    yield from answers(calculator(task, chunk_size=sizes[0]).fit(reference), current, task)


def performance(reference: Any, current: Any, size: int, task: Task) -> Iterator[Found]:
    """The performance calculators, with their default thresholds: three deviations of the reference's chunks."""
    kind = nml.PerformanceCalculator if task.variant == "realised" else nml.CBPE
    names = ("roc_auc", "accuracy")
    fitted = kind(
        problem_type="classification_binary",
        metrics=list(names),
        y_pred="__decided__",
        y_pred_proba="__score__",
        y_true="__truth__",
        chunk_size=size,
    ).fit(reference)
    frame = (fitted.calculate if task.variant == "realised" else fitted.estimate)(current)
    rows = frame.filter(period="analysis").to_df(multilevel=True)
    for row in range(len(rows)):
        columns = {name: Column(bool(rows[(name, "alert")].to_numpy()[row]), 0.0) for name in names}
        yield Found(any(column.drifted for column in columns.values()), columns)


if __name__ == "__main__":
    main(System(start, compare, series=series))
