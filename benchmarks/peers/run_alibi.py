"""alibi-detect, by its `TabularDrift`: Kolmogorov-Smirnov and chi-squared for each column.

A column is called drifted at p < 0.05, its feature-wise rule; the table by its default, Bonferroni over the columns.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Found, System, Task, by_p, main

LIMIT = 0.05
cd: Any = None


def start() -> str:
    """Imports what a report needs."""
    global cd  # noqa: PLW0603 - a runner is a process
    cd = import_module("alibi_detect.cd")
    return str(import_module("alibi_detect").__version__)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """The detector takes one matrix of numbers: categories are coded here."""
    np, pd = import_module("numpy"), import_module("pandas")
    wide = len(task.numeric)
    one, two = (np.empty((len(side), len(task.columns))) for side in (reference, current))
    one[:, :wide], two[:, :wide] = reference[task.numeric].to_numpy(), current[task.numeric].to_numpy()
    sizes = {}
    for place, name in enumerate(task.categorical, start=wide):
        codes, levels = pd.factorize(pd.concat([reference[name], current[name]], ignore_index=True))
        one[:, place], two[:, place] = codes[: len(reference)], codes[len(reference) :]
        sizes[place] = len(levels)
    detector = cd.TabularDrift(one, p_val=LIMIT, categories_per_feature=sizes)
    said = detector.predict(two, drift_type="batch", return_p_val=True)["data"]
    columns = {name: by_p(float(p), LIMIT) for name, p in zip(task.columns, said["p_val"], strict=True)}
    return Found(bool(said["is_drift"]), columns)


if __name__ == "__main__":
    main(System(start, compare))
