"""How often windows of real traffic with a daily and weekly rhythm are flagged, by what they are compared with.

Two public series by the hour (bike hires in Washington, cars on Interstate 94): nothing breaks in them; what comes back
each day or week is no drift. The training data are the first third. Judged are windows of the rest: days, days
that slide by half of one, and quarters of a day, by the watch's own code; every fourth once more with the column that
follows the rhythm times 1.5 in its newest slot, which is to be found. Weather does drift from week to week.

    python -m benchmarks.season_windows --data ../shared/data
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.peers.systems import ROOT
from fairlead.core.compared import PREVIOUS, SEASON, TRAINING, Wanted
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.report import Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, HOUR, Window, WindowPlan
from fairlead.flows.watching.previous import leaps_of
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.references import References, found_by
from fairlead.flows.watching.shifts import compared
from fairlead.stats.columns import NumericColumn
from fairlead.stats.drift import Level
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile, profile
from fairlead.stats.sparse import sparse

ALPHA = 0.01
SERIES = {
    "bike_sharing_hourly": ("temp", "humidity", "windspeed", "casual", "registered", "count"),
    "metro_traffic_volume": ("temp_k", "clouds_all", "traffic_volume"),
}
SHIFTED = {"bike_sharing_hourly": "count", "metro_traffic_volume": "traffic_volume"}
PLANS = {
    "days": (WindowPlan(DAY), "day_of_week", 8, 300),
    "days, sliding by half": (WindowPlan(12 * HOUR, slides=2), "hour_of_week", 10, 400),
    "quarters of a day": (WindowPlan(6 * HOUR), "hour_of_day", 28, 500),
}


@dataclass
class Tally:
    """Of one series, plan and reference."""

    windows: int = 0
    flagged: int = 0  # windows with any column
    rhythm: int = 0  # the column that follows the hours and days
    columns: int = 0
    undecided: int = 0
    shifted: int = 0
    found: int = 0

    def __str__(self) -> str:
        each = max(self.windows, 1)
        told = f"{self.flagged / each:7.1%} {self.rhythm / each:7.1%} {self.columns / each:10.2f}"
        return f"{self.windows:7} {self.undecided:9} {told} {self.found / max(self.shifted, 1):8.1%}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    asked = parser.parse_args()
    print(
        f"{'series':22} {'windows':27} {'compared with':14} judged undecided flagged  rhythm columns each  shift found"
    )
    for series, names in SERIES.items():
        data = _read(asked.data / f"{series}.parquet", names)
        for words, (plan, season, periods, most) in PLANS.items():
            for kind in (TRAINING, PREVIOUS, SEASON):
                wanted = Wanted(kind, season=season if kind == SEASON else "", periods=periods)
                print(f"{series:22} {words:27} {kind:14} {Run(data, plan, wanted, SHIFTED[series]).judged(most)}")


def _read(path: Path, names: Sequence[str]) -> tuple[Floats, dict[str, Floats]]:
    found = pq.read_table(path, columns=["ts", *names])
    at = np.asarray(found["ts"].to_numpy(), "datetime64[s]").astype(np.int64).astype(np.float64)
    order = np.argsort(at, kind="stable")
    return at[order], {name: np.asarray(found[name].to_numpy(), np.float64)[order] for name in names}


class Run:
    """One series, judged by one plan against one reference."""

    def __init__(self, data: tuple[Floats, dict[str, Floats]], plan: WindowPlan, wanted: Wanted, shifted: str) -> None:
        self.at, self.table = data
        self.plan, self.shifted, self.tally = plan, shifted, Tally()
        self.cut = self.at.size // 3
        self.known = profile([NumericColumn(name, values[: self.cut]) for name, values in self.table.items()])
        contract = Contract(tuple(Feature(name, Kind.NUMBER) for name in self.table), Task.REGRESSION, "y", ())
        self.reference = Reference(1, contract, 0.5, self.known, {}, {})
        self.references = References(wanted, plan)
        self.parts: dict[float, TableProfile] = {}

    def judged(self, most: int) -> Tally:
        """Judges at most so many windows."""
        slot = self.plan.after(self.plan.window_of(float(self.at[self.cut])))
        for _ in range(most + self.plan.slides - 1):
            if slot.ends_at > self.at[-1]:
                break
            self._slot(slot)
            slot = self.plan.after(slot)
        return self.tally

    def _slot(self, slot: Window) -> None:
        low, high = (int(place) for place in np.searchsorted(self.at, [slot.starts_at, slot.ends_at]))
        if high == low:
            return
        self.parts[slot.starts_at] = self._profile(low, high)
        slots = [one for one in self.plan.parts(slot) if one.starts_at in self.parts]
        if len(slots) == self.plan.slides:
            self._window(slots, low, high)
        self.references.meet(slot, _report(slot, high - low), "", sparse(self.parts[slot.starts_at]))

    def _window(self, slots: Sequence[Window], low: int, high: int) -> None:
        parts = [self.parts[one.starts_at] for one in slots]
        moved, decided = self._moved(slots, reduce(add, parts), follow=True)
        if not decided:
            self.tally.undecided += 1
            return
        self.tally.windows += 1
        self.tally.flagged += bool(moved)
        self.tally.rhythm += self.shifted in moved
        self.tally.columns += len(moved)
        if self.tally.windows % 4 == 0:
            moved, _ = self._moved(slots, reduce(add, [*parts[:-1], self._profile(low, high, 1.5)]), follow=False)
            self.tally.shifted += 1
            self.tally.found += self.shifted in moved

    def _profile(self, low: int, high: int, factor: float = 1.0) -> TableProfile:
        values = {name: one[low:high] * (factor if name == self.shifted else 1.0) for name, one in self.table.items()}
        return profile([NumericColumn(name, one) for name, one in values.items()], self.known.grids)

    def _moved(self, slots: Sequence[Window], current: TableProfile, *, follow: bool) -> tuple[set[str], bool]:
        """The columns that moved, and whether the window was compared with what was asked for."""
        chosen = self.references.choose(self.reference, slots, lambda _: "there is no other")
        if chosen is None:
            found, decided = compared(self.reference.profile, current, ALPHA), True
        else:
            found, against = found_by(chosen, self.reference.profile, current, ALPHA)
            decided = not against.reason
        if follow:
            leaps_of(self.reference.calm, self.reference.profile, current, found, f"{slots[0].starts_at}", ALPHA)
        return {one.name for one in found if one.level is not Level.NONE}, decided


def _report(slot: Window, rows: int) -> WindowReport:
    ends = slot.starts_at, slot.ends_at, slot.ends_at
    return WindowReport("series", 1, slot.name, *ends, Stage.CLOSED, rows, Outcome.HOLDS, "")


if __name__ == "__main__":
    main()
