"""popmon, by its stability metrics against an external reference, and the red traffic lights of its default rules.

Its pulls need the spread of the reference over time, so the reference is laid over ten days, the current rows over one.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks.peers.harness import Column, Found, System, Task, main

DAYS = 10
RED = 7.0  # pull
popmon: Any = None
make_histograms: Any = None


def start() -> str:
    """Imports what a report needs."""
    global popmon, make_histograms  # noqa: PLW0603 - a runner is a process
    popmon = import_module("popmon")
    make_histograms = import_module("histogrammar.dfinterface.make_histograms").make_histograms
    return str(popmon.__version__)


def compare(reference: Any, current: Any, task: Task) -> Found:
    """By the report's own steps, without drawing: `df_stability_metrics(reference=…)` raises in 1.4.12."""
    np, pd = import_module("numpy"), import_module("pandas")
    day = np.arange(len(reference)) * DAYS // len(reference)
    one = reference.assign(ts=pd.Timestamp("2025-01-01") + pd.to_timedelta(day, unit="D"))
    two = current.assign(ts=pd.Timestamp("2025-02-01"))
    settings = import_module("popmon.config").Settings(reference_type="external", time_axis="ts")
    settings._set_bin_specs_by_time_width_and_offset("1d", 0)  # noqa: SLF001 - as its own report does
    hists, settings.features, settings.bin_specs, settings.time_axis, kinds = make_histograms(
        one, settings.features, settings.binning, settings.bin_specs, settings.time_axis, None, ret_specs=True
    )
    now = make_histograms(
        two,
        features=settings.features,
        binning=settings.binning,
        bin_specs=settings.bin_specs,
        time_axis=settings.time_axis,
        var_dtype=kinds,
    )
    said = popmon.stability_metrics(now, settings=settings, reference=hists)
    lights = said["traffic_lights"]
    columns = {}
    for name in task.columns:
        reds = lights[f"ts:{name}" if f"ts:{name}" in lights else name]
        red = int((reds.filter(regex="^(?!n_)") == 2).to_numpy().sum())
        columns[name] = Column(red > 0, float(red))
    return Found(any(column.drifted for column in columns.values()), columns)


if __name__ == "__main__":
    main(System(start, compare))
