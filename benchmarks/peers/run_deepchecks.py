"""deepchecks, by its `FeatureDrift` check and that check's default condition (score below 0.2)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, main

LIMIT = 0.2
tabular: Any = None
checks: Any = None


def start() -> str:
    """Imports what a report needs."""
    global tabular, checks
    tabular, checks = import_module("deepchecks.tabular"), import_module("deepchecks.tabular.checks")
    return str(import_module("deepchecks").__version__)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """One check, without its plots."""
    one, two = (tabular.Dataset(side, cat_features=task.categorical) for side in (reference, current))
    check = checks.FeatureDrift().add_condition_drift_score_less_than()
    said = check.run(one, two, with_display=False)
    scores = {name: float(value["Drift score"] or 0.0) for name, value in said.value.items()}
    columns = {name: Column(score >= LIMIT, score / LIMIT) for name, score in scores.items()}
    return Found(not said.passed_conditions(), columns)


if __name__ == "__main__":
    main(System(start, compare))
