"""The fault catalogue on real streams: is every fault found, how late, and is the right column suspected first?

Each stream of `watch_world` has its frozen model. At two places (early; and late, when drift has long moved other
columns) two windows of 1,000 rows are calm, and in the next three each fault of the catalogue befalls each column that
it changes; the model answers the changed rows. What the watch says of the faulty rows and not of the same rows without
the fault counts as found, and `suspects[0]` of that report is the first suspect. The prior shift from .2 to .4 % is a
stream of its own: a rare class, calibrated scores, 50,000 rows a window, and, for comparison, 5,000.

    python -m benchmarks.fault_catalogue --data ../shared/data [--streams hotel adult] [--rows 1000]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.systems import ROOT
from benchmarks.watch_streams import START, rows_of
from benchmarks.watch_world import PLANS, Stream, stream
from fairlead.core.backtest import DAY
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.faults import CATALOGUE, PRIOR
from fairlead.core.harm import HarmPolicy
from fairlead.core.window import WindowPlan
from fairlead.flows.backtest_faults import Found, Scene, run_faults
from fairlead.flows.backtest_reference import reference_of
from fairlead.flows.backtest_rows import Rows
from fairlead.flows.watching.judge import Policy
from fairlead.stats.columns import CategoricalColumn, NumericColumn

STREAMS = ("hotel", "adult", "bank", "credit card", "car loan")
PLACES = {"early": 0.1, "late": 0.8}
CALM, AFTER = 9, 3
POLICY, WINDOWS = Policy(harm=HarmPolicy(), maturity_seconds=0.0), WindowPlan(DAY)
RARE = 0.002


def main() -> None:
    """Prints a table by fault, and the misses."""
    asked = _arguments()
    found: list[tuple[str, Found]] = []
    for plan in PLANS:
        if plan.name not in (asked.streams or STREAMS):
            continue
        one = stream(plan, asked.data)
        for place, share in PLACES.items():
            scene = scene_of(one, share, asked.rows)
            said = [(f"{plan.name}, {place}", fault) for fault in run_faults(scene)]
            print(summary(f"{plan.name}, {place}", [fault for _, fault in said]), flush=True)
            found += said
    for rows in () if asked.streams else (50_000, 5_000):
        said = [(f"rare class, {rows:,} rows", fault) for fault in rare(rows)]
        print(summary(said[0][0], [fault for _, fault in said]), flush=True)
        found += said
    print(by_fault([fault for _, fault in found]))
    print(misses(found))
    if asked.json:
        plain = [{"stream": name, **{key: getattr(one, key) for key in one.__struct_fields__}} for name, one in found]
        asked.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")


def scene_of(one: Stream, share: float, rows: int) -> Scene:
    """Five windows of so many rows, from a share of the stream on."""
    task = Task(one.task)
    features = [Feature(name, Kind.NUMBER, nullable=True) for name in one.numeric]
    features += [Feature(name, Kind.CATEGORY, nullable=True) for name in one.categorical]
    classes = tuple(str(place) for place in range(one.classes)) if task is not Task.REGRESSION else ()
    contract = Contract(tuple(features), task, "label", classes)
    reference = reference_of(rows_of(one, one.reference, np.zeros(len(one.reference)), 0.0), contract, 0.5, POLICY.harm)
    total = CALM + AFTER
    first = min(int(share * len(one.current)), len(one.current) - total * rows)
    parts = []
    for place in range(total):
        part = one.current.iloc[first + place * rows : first + (place + 1) * rows]
        at = (START + place) * DAY + np.arange(rows) * (DAY - 1) / rows
        parts.append(rows_of(one, part, at, 0.0))

    def answer(some: Rows) -> Rows:
        assert one.predict is not None
        score, decided = one.predict(frame_of(some, one))
        return Rows(
            some.at, some.features, np.asarray(score, float), np.asarray(decided, float), some.truth, some.observed_at
        )

    asked = None if one.predict is None else answer  # answers that the data ship with stay as they are
    return Scene(reference, WINDOWS, POLICY, tuple(parts[:CALM]), tuple(parts[CALM:]), asked)


def frame_of(some: Rows, one: Stream) -> pd.DataFrame:
    """Columns as the model takes them; what it never saw is a null to it."""
    columns: dict[str, object] = {}
    for name in (*one.numeric, *one.categorical):
        column = some.features[name]
        if isinstance(column, NumericColumn):
            columns[name] = column.values
        else:
            assert isinstance(column, CategoricalColumn)
            columns[name] = np.array([*column.categories, None], dtype=object)[column.codes]
    return pd.DataFrame(columns)


def rare(rows: int) -> tuple[Found, ...]:
    """The prior shift from .2 to .4 % alone."""
    rng = np.random.default_rng(0)

    def some(count: int, day: int) -> Rows:
        x = rng.normal(size=count)
        score = 1 / (1 + np.exp(-(x * 1.5 - 7.3)))
        score *= RARE / 0.00206  # of these logits the mean is .00206
        truth = (rng.random(count) < score).astype(float)
        at = (START + day) * DAY + np.arange(count) * (DAY - 1) / count
        features = {"x": NumericColumn("x", x), "other": NumericColumn("other", rng.normal(size=count))}
        return Rows(at, dict(features), score, (score >= 0.5).astype(float), truth, at)

    contract = Contract((Feature("x", Kind.NUMBER), Feature("other", Kind.NUMBER)), Task.BINARY, "label", ("0", "1"))
    reference = reference_of(some(50_000, 0), contract, 0.5, POLICY.harm)
    days = [some(rows, day) for day in range(CALM + AFTER)]
    return run_faults(Scene(reference, WINDOWS, POLICY, tuple(days[:CALM]), tuple(days[CALM:])), (PRIOR,))


def summary(name: str, found: Sequence[Found]) -> str:
    """One line."""
    columns = [one for one in found if one.right is not None]
    right = sum(bool(one.right) for one in columns)
    return (
        f"{name}: {sum(one.found for one in found)} of {len(found)} found; the right column first in {right} of "
        f"{len(columns)}"
    )


def by_fault(found: Sequence[Found]) -> str:
    """The table."""
    rows = [
        "",
        "| fault | tried | found | at once | by an alert | pages | right column first |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in CATALOGUE:
        mine = [one for one in found if one.fault == fault.name]
        if mine:
            rows.append(_row(f"{fault.name}: {fault.says}", mine))
    rows.append(_row("all", found))
    return "\n".join(rows)


def _row(name: str, mine: Sequence[Found]) -> str:
    columns = [one for one in mine if one.right is not None]
    right = sum(bool(one.right) for one in columns)
    first = f"{right} of {len(columns)} ({right / len(columns):.1%})" if columns else ""
    alert = sum(one.found and not one.by.startswith(("rule", "drift", "jump")) for one in mine)
    at_once = sum(one.windows == 0 for one in mine)
    paged = sum(one.paged for one in mine)
    return f"| {name} | {len(mine)} | {sum(one.found for one in mine)} | {at_once} | {alert} | {paged} | {first} |"


def misses(found: Sequence[tuple[str, Found]]) -> str:
    """What was not found, and who was suspected wrongly."""
    rows = ["", "not found:"]
    rows += [f"  {name}: {one.fault} of {one.column}" for name, one in found if not one.found]
    wrong = Counter(
        f"{name}: {one.fault} of {one.column} (first {one.suspect or 'nobody'}, by {one.by})"
        for name, one in found
        if one.found and one.right is False
    )
    return "\n".join([*rows, "wrong column first:", *(f"  {line}" for line in wrong)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--streams", nargs="*", default=None)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
