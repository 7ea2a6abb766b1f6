"""evidently, by its `DataDriftPreset`. Variants: `default`; `ks_chi2`; `html`, the default with its page."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, by_p, main

METHODS: dict[str, dict[str, Any]] = {"ks_chi2": {"num_method": "ks", "cat_method": "chisquare"}}
P_VALUES = ("ks", "chisquare")  # as they are called where they are asked for by name
ev: Any = None
presets: Any = None


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


def windows(reference: Any, parts: list[tuple[str, Any]], task: Task) -> Iterator[Found]:
    """A report for each: there is no other way."""
    for _, current in parts:
        yield compare(reference[task.columns], current[task.columns].reset_index(drop=True), task)


if __name__ == "__main__":
    main(System(start, compare, windows))
