"""evidently, by its `DataDriftPreset`.

Variants: `default`; `ks_chi2`; `html`, the default with its page; `tests`, the default's tests without the report
around them, for many tables (checked against the report on the first).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, by_p, main

METHODS: dict[str, dict[str, Any]] = {"ks_chi2": {"num_method": "ks", "cat_method": "chisquare"}}
P_VALUES = ("ks", "chisquare")  # as they are called where they are asked for by name
ev: Any = None
presets: Any = None
CHECKED: list[Found] = []


def start() -> str:
    """Imports what a report needs."""
    global ev, presets
    ev, presets = import_module("evidently"), import_module("evidently.presets")
    return str(ev.__version__)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """One report, and its results as a dict. The table drifted where half of its columns did, the preset's rule."""
    schema = ev.DataDefinition(numerical_columns=task.numeric, categorical_columns=task.categorical)
    one = ev.Dataset.from_pandas(reference, data_definition=schema)
    two = ev.Dataset.from_pandas(current, data_definition=schema)
    preset = presets.DataDriftPreset(**METHODS.get(task.variant, {}))
    snapshot = ev.Report([preset]).run(two, one)
    metrics = snapshot.dict()["metrics"]
    if task.variant == "html":
        assert snapshot.get_html_str(as_iframe=False)
    columns: dict[str, Column] = {}
    drifted = share = 0.0
    for metric in metrics:
        config, value = metric["config"], metric["value"]
        if "column" not in config:
            drifted, share = value["count"], value["share"]
        elif "p_value" in config["method"] or config["method"] in P_VALUES:
            columns[config["column"]] = by_p(float(value), config["threshold"])
        else:
            columns[config["column"]] = Column(bool(value >= config["threshold"]), float(value) / config["threshold"])
    if drifted != sum(column.drifted for column in columns.values()):
        raise SystemExit("evidently counts other columns than this runner")
    return Found(bool(share >= 0.5), columns)


def tests(reference: Any, current: Any, task: Task) -> Found:
    """The same numbers, column by column."""
    stattests = import_module("evidently.legacy.calculations.stattests")
    kinds = import_module("evidently.legacy.core").ColumnType
    columns = {}
    for name in task.columns:
        kind = kinds.Numerical if name in task.numeric else kinds.Categorical
        test = stattests.get_stattest(reference[name], current[name], kind, None)
        said = test(reference[name], current[name], kind, None)
        value, limit = float(said.drift_score), float(said.actual_threshold)
        columns[name] = by_p(value, limit) if "p_value" in test.display_name else Column(value >= limit, value / limit)
        columns[name] = columns[name]._replace(drifted=bool(said.drifted))
    return Found(2 * sum(column.drifted for column in columns.values()) >= len(columns), columns)


def tests_checked(reference: Any, current: Any, task: Task) -> Found:
    """Those of the report, once."""
    found = tests(reference, current, task)
    if not CHECKED:
        said = compare(reference, current, task)
        for name, (drifted, strength) in said.columns.items():
            if found.columns[name].drifted != drifted or abs(found.columns[name].strength - strength) > 1e-9:
                raise SystemExit(f"{name}: {found.columns[name]} by the test, {said.columns[name]} in the report")
        CHECKED.append(said)
    return found


def windows(reference: Any, parts: list[tuple[str, Any]], task: Task) -> Iterator[Found]:
    """A report for each: there is no other way."""
    for _, current in parts:
        yield compare(reference[task.columns], current[task.columns].reset_index(drop=True), task)


if __name__ == "__main__":
    main(System(start, tests_checked if "tests" in sys.argv[3:] else compare, windows))
