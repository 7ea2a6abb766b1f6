"""How often each system sees a change of a real table, at one measured false-alarm rate.

After Rabanser, Guennemann, Lipton, *Failing Loudly* (2019), on tables: rows of a real data set, its label left out, are
cut at random into a reference of min(10 n, 10,000) rows and n current ones; then the current ones are changed.

    covariate  rows are drawn with weights exp(t z), z one standardised column
    knock-out  a share of the rows of the positive class is left out (the class itself is not among the columns)
    units      one column is 100 times too large in a share of the rows
    prior      a rare class of 0.2 % becomes more frequent
    noise      two columns get noise of one standard deviation in a share of the rows

A system's score of a table is the strength of its strongest column, or the number of columns that it calls drifted,
whichever finds more in the cell at hand. fairlead's strength is a p-value, or for `fairlead:effect` a distance in units
of its limit, as most peers' are. The table counts as found above the score that `RATE` of the unchanged tables exceed,
ties drawn by lot. So every system raises as many false alarms on the same tables. A second figure is of the rules as
they ship.

    python -m benchmarks.peers.install evidently nannyml alibi deepchecks
    python -m benchmarks.power --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.peers.systems import ROOT, installed, measure, peers_folder, write_job

RATE = 0.05
NULLS, CHANGED = 120, 30  # tables of a data set and size
SIZES = (100, 300, 1_000, 2_000)
DEFAULT_SYSTEMS = ("fairlead", "fairlead:effect", "evidently:tests", "nannyml", "alibi", "deepchecks")


class DataSet(NamedTuple):
    """A file of the shared data: what is left out, its label, the column that weighs or slips, and the noisy ones."""

    file: str
    dropped: tuple[str, ...]
    label: str
    moved: str
    noisy: tuple[str, str]


DATA = (
    DataSet("adult_census_income", ("split",), "income_gt_50k", "age", ("fnlwgt", "hours_per_week")),
    DataSet("credit_card_default", ("row_id",), "default_next_month", "age", ("limit_bal", "bill_amt1")),
    DataSet("bank_marketing", ("row_id", "call_date"), "subscribed", "age", ("duration_sec", "euribor3m")),
)
CODED = ("sex", "education", "marriage")  # numbers that name categories

Change = Callable[[np.random.Generator, pd.DataFrame, DataSet, float, int], pd.DataFrame]


def rows_of(rng: np.random.Generator, pool: pd.DataFrame, n: int, weights: np.ndarray | None = None) -> pd.DataFrame:
    """n rows without repeats, by weights (Efraimidis, Spirakis 2006)."""
    keys = rng.exponential(size=len(pool)) / (1.0 if weights is None else weights)
    return pool.iloc[np.argpartition(keys, n - 1)[:n]].copy()


def covariate(rng: np.random.Generator, pool: pd.DataFrame, data: DataSet, size: float, n: int) -> pd.DataFrame:
    """Tilts one column."""
    values = pool[data.moved].to_numpy(float)
    return rows_of(rng, pool, n, np.exp(size * (values - values.mean()) / values.std()))


def knock_out(rng: np.random.Generator, pool: pd.DataFrame, data: DataSet, size: float, n: int) -> pd.DataFrame:
    """Leaves out positives."""
    kept = (pool[data.label].to_numpy() != 1) | (rng.random(len(pool)) >= size)
    return rows_of(rng, pool[kept], n)


def units(rng: np.random.Generator, pool: pd.DataFrame, data: DataSet, size: float, n: int) -> pd.DataFrame:
    """Slips two digits."""
    rows = rows_of(rng, pool, n)
    rows[data.moved] = rows[data.moved] * np.where(rng.random(n) < size, 100.0, 1.0)
    return rows


def prior(rng: np.random.Generator, pool: pd.DataFrame, data: DataSet, size: float, n: int) -> pd.DataFrame:  # noqa: ARG001
    """Changes the rare class."""
    rows = rows_of(rng, pool, n)
    rows["rare"] = rare(rng, n, size)
    return rows


def noise(rng: np.random.Generator, pool: pd.DataFrame, data: DataSet, size: float, n: int) -> pd.DataFrame:
    """Blurs two columns."""
    rows = rows_of(rng, pool, n)
    for name in data.noisy:
        blur = rng.normal(0.0, float(pool[name].std()), n)
        rows[name] = rows[name] + np.where(rng.random(n) < size, blur, 0.0)
    return rows


CHANGES: dict[str, tuple[Change, tuple[float, ...]]] = {
    "covariate": (covariate, (0.1, 0.2, 0.4)),
    "knock-out": (knock_out, (0.25, 0.5, 1.0)),
    "units": (units, (0.005, 0.01, 0.05)),
    "prior": (prior, (0.004, 0.008, 0.016)),
    "noise": (noise, (0.1, 0.5, 1.0)),
}
RARE = 0.002


def rare(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """A class of text that few rows have."""
    return np.where(rng.random(n) < share, "yes", "no").astype(object)


def load(data: DataSet, folder: Path) -> pd.DataFrame:
    """All rows, numbers as floats, nulls of text as a category (not every peer takes nulls)."""
    frame = pd.read_parquet(folder / f"{data.file}.parquet").drop(columns=list(data.dropped))
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]) or (name in CODED):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), "?").map(str).astype(object)
        else:
            frame[name] = frame[name].astype(float)
    return frame


def make(folder: Path, data: DataSet, frame: pd.DataFrame, n: int, nulls: int, changed: int) -> Path:
    """Writes the comparisons of one data set and size; `1/units/0.01` is the first reference's."""
    rng = np.random.default_rng([n, len(frame)])
    references, currents = [], []
    for place in range(nulls):
        order = rng.permutation(len(frame))
        cut = min(10 * n, 10_000)
        reference, pool = (
            frame.iloc[order[:cut]],
            frame.iloc[order[cut:]].assign(rare=rare(rng, len(frame) - cut, RARE)),
        )
        references.append(reference.assign(rare=rare(rng, cut, RARE), pair=str(place)))
        currents.append(rows_of(rng, pool, n).assign(pair=f"{place}/none/0"))
        for name, (change, sizes) in CHANGES.items() if place < changed else ():
            currents += [change(rng, pool, data, size, n).assign(pair=f"{place}/{name}/{size:g}") for size in sizes]
    tables = [pa.Table.from_pandas(pd.concat(side), preserve_index=False) for side in (references, currents)]
    tables = [table.drop_columns([data.label]) for table in tables]
    names = [name for name in tables[0].column_names if name != "pair"]
    numeric = [name for name in names if pa.types.is_floating(tables[0].schema.field(name).type)]
    return write_job(folder, *tables, numeric=numeric, categorical=[n for n in names if n not in numeric], pairs="pair")


class Scores(NamedTuple):
    """Of the tables of one kind: the strongest column, how many were called drifted, and the system's own rule."""

    strongest: np.ndarray
    called: np.ndarray
    own: np.ndarray


def scored(answer: dict[str, Any]) -> dict[str, Scores]:
    """By kind of change."""
    kinds: dict[str, list[tuple[float, float, bool]]] = {}
    for name, (own, columns) in zip(answer["pairs"], answer["found"], strict=True):
        strongest = max(strength for _, strength in columns.values())
        called = sum(bool(drifted) for drifted, _ in columns.values())
        kinds.setdefault(name.partition("/")[2], []).append((strongest, float(called), bool(own)))
    return {kind: Scores(*np.array(rows, dtype=float).T) for kind, rows in kinds.items()}


def power(nulls: np.ndarray, changed: np.ndarray, rate: float = RATE) -> float:
    """The share of `changed` above what `rate` of `nulls` exceed; ties by lot, so that the rate is exact."""
    limit = float(np.quantile(nulls, 1.0 - rate, method="inverted_cdf"))
    tied = float((nulls == limit).mean())
    lot = (rate - float((nulls > limit).mean())) / tied if tied else 0.0
    return float((changed > limit).mean() + lot * (changed == limit).mean())


def run(chosen: argparse.Namespace, results: Path) -> None:
    """Fills the results folder with what is missing."""
    folder = peers_folder(chosen.peers)
    systems = installed(folder, chosen.systems)
    for data in DATA:
        frame = load(data, Path(chosen.data))
        for n in chosen.sizes:
            missing = [name for name in systems if not _answer(results, data.file, n, name).exists()]
            with tempfile.TemporaryDirectory() as temporary:
                job = make(Path(temporary), data, frame, n, chosen.nulls, chosen.changed) if missing else Path()
                for name in missing:
                    said = measure(name, job, folder, timeout=7_200.0, nice=chosen.nice)
                    print(data.file, n, name, said.get("error") or f"{said['wall_s']:.0f} s", flush=True)
                    if not said.get("error"):
                        _answer(results, data.file, n, name).write_text(json.dumps(said), encoding="utf-8")


def _answer(results: Path, data: str, n: int, system: str) -> Path:
    return results / f"{data}-{n}-{system.replace(':', '-')}.json"


def found(results: Path, n: int, system: str, kind: str) -> tuple[float, float] | None:
    """Power at RATE and by the system's own rule, means over the data sets that have been run."""
    at_rate, own = [], []
    for data in DATA:
        path = _answer(results, data.file, n, system)
        if not path.exists():
            continue
        kinds = scored(json.loads(path.read_text(encoding="utf-8")))
        null, changed = kinds["none/0"], kinds[kind]
        at_rate.append(max(power(null.strongest, changed.strongest), power(null.called, changed.called)))
        own.append(float(changed.own.mean()))
    return (float(np.mean(at_rate)), float(np.mean(own))) if at_rate else None


def report(results: Path, systems: Sequence[str], sizes: Sequence[int]) -> str:
    """Markdown: one table a size; each cell is power at RATE, and by the rule as it ships, in %."""
    lines = []
    for n in sizes:
        lines += [
            "",
            f"n = {n:,} against {min(10 * n, 10_000):,}: found at {RATE:.0%} false alarms / by its own rule, %",
            "",
        ]
        lines += ["| change | " + " | ".join(systems) + " |", "|---|" + "--:|" * len(systems)]
        for name, sizes_of in (("none", (0.0,)), *((name, change[1]) for name, change in CHANGES.items())):
            for size in sizes_of:
                cells = [found(results, n, system, f"{name}/{size:g}") for system in systems]
                said = ["-" if cell is None else f"{100 * cell[0]:.0f} / {100 * cell[1]:.0f}" for cell in cells]
                lines.append(f"| {name} {size:g} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, prints the tables, and draws the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(ROOT.parent / "shared" / "data"), help="the folder of the data sets")
    parser.add_argument("--systems", nargs="+", default=list(DEFAULT_SYSTEMS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="rows of the current table")
    parser.add_argument("--nulls", type=int, default=NULLS, help="unchanged tables of each data set and size")
    parser.add_argument("--changed", type=int, default=CHANGED, help="changed tables of each kind")
    parser.add_argument("--peers", help="the folder of the environments; default: $FAIRLEAD_PEERS")
    parser.add_argument("--results", help="where answers are kept; default: a temporary folder")
    parser.add_argument("--nice", type=int, default=0, help="run the systems at a lower priority")
    parser.add_argument("--svg", help="a file to draw the curves into")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = Path(chosen.results or temporary)
        results.mkdir(parents=True, exist_ok=True)
        run(chosen, results)
        print(report(results, chosen.systems, chosen.sizes))
        if chosen.svg:
            Path(chosen.svg).write_text(curves(results, chosen.systems, chosen.sizes), encoding="utf-8")


COLOURS = ("#1f6feb", "#d1242f", "#8250df", "#1a7f37", "#9a6700", "#57606a", "#bf3989", "#0a3069")
WIDE, HIGH, MARGIN = 190, 120, 34


def curves(results: Path, systems: Sequence[str], sizes: Sequence[int]) -> str:
    """A panel for each change and intensity: power at RATE over n, n on a logarithmic axis."""
    parts = []
    for down, (name, (_, steps)) in enumerate(CHANGES.items()):
        for across, step in enumerate(steps):
            x, y = MARGIN + across * (WIDE + MARGIN), MARGIN + down * (HIGH + MARGIN)
            parts.append(f'<text x="{x}" y="{y - 6}">{name} {step:g}</text>')
            parts.append(f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#ccc"/>')
            for colour, system in zip(COLOURS, systems, strict=False):
                cells = [found(results, n, system, f"{name}/{step:g}") for n in sizes]
                at = np.log(np.array(sizes) / sizes[0]) / max(np.log(sizes[-1] / sizes[0]), 1e-9)
                line = [f"{x + WIDE * a:.1f},{y + HIGH * (1 - c[0]):.1f}" for a, c in zip(at, cells, strict=True) if c]
                parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    wide, high = MARGIN + 3 * (WIDE + MARGIN), MARGIN + len(CHANGES) * (HIGH + MARGIN)
    for place, (colour, system) in enumerate(zip(COLOURS, systems, strict=False)):
        parts.append(f'<text x="{MARGIN + 130 * place}" y="{high}" fill="{colour}">{system}</text>')
    parts.append(f'<text x="{MARGIN}" y="{high + 18}">n from {sizes[0]:,} to {sizes[-1]:,}; power from 0 to 1</text>')
    box = f'viewBox="0 0 {wide} {high + 26}" font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return "\n".join([head, *parts, "</svg>", ""])


if __name__ == "__main__":
    main()
