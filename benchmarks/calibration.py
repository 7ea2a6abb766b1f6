"""How often each system calls a column drifted when nothing changed: fairlead and its peers' real packages.

Both tables are drawn from one distribution, so every call is a false alarm. Ten shapes of column; the current table has
n rows, the reference 2,000 (`fixed`) or ten times n, at most 100,000 (`tenfold`). Every system runs its default
report on the same tables, of ten columns of each shape. What is counted is the share of columns that it calls drifted,
with the exact 95 % interval of Clopper and Pearson. Each answer is kept in `--results`, so a run can be continued.

    python -m benchmarks.peers.install
    python -m benchmarks.calibration --results DIR
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy import stats

from benchmarks.peers.systems import SYSTEMS, installed, measure, peers_folder, write_job

SIZES = (50, 100, 200, 300, 500, 1_000, 10_000, 100_000)
EACH = 10  # columns of a shape in a table
TABLES = {10_000: 5, 100_000: 2}  # comparisons of a size; else:
MANY = 10


def text(size: int) -> Callable[[np.random.Generator, int], pa.Array]:
    """A column of `size` categories with Zipf-like weights."""
    weights = np.arange(1, size + 1) ** -1.1
    names = np.array([f"c{value:03d}" for value in range(size)], dtype=object)
    return lambda rng, rows: pa.array(names[rng.choice(size, rows, p=weights / weights.sum())])


NUMERIC: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, rows: rng.normal(10, 2, rows),
    "lognormal": lambda rng, rows: rng.lognormal(1, 0.8, rows),
    "heavy tails": lambda rng, rows: rng.standard_t(2.5, rows),
    "counts": lambda rng, rows: rng.poisson(3, rows).astype(float),
    "sparse": lambda rng, rows: np.where(rng.random(rows) < 0.05, rng.lognormal(size=rows), 0.0),
}
CATEGORIES = (2, 5, 20, 50, 200)
TEXT = {f"{size} categories": text(size) for size in CATEGORIES}
SHAPES = (*NUMERIC, *TEXT)


class Cell(NamedTuple):
    """Columns called drifted, of how many."""

    called: int
    of: int

    def __str__(self) -> str:
        low, high = interval(self)
        return f"{100 * self.called / self.of:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def interval(cell: Cell) -> tuple[float, float]:
    """Clopper and Pearson's 95 %."""
    low = stats.beta.ppf(0.025, cell.called, cell.of - cell.called + 1) if cell.called else 0.0
    high = stats.beta.ppf(0.975, cell.called + 1, cell.of - cell.called) if cell.called < cell.of else 1.0
    return float(low), float(high)


def reference_rows(regime: str, rows: int) -> int:
    """How many rows the reference has."""
    return 2_000 if regime == "fixed" else min(10 * rows, 100_000)


def table(rng: np.random.Generator, rows: int) -> pa.Table:
    """EACH columns of each shape."""
    columns = {f"{name} {i}": pa.array(draw(rng, rows)) for name, draw in NUMERIC.items() for i in range(EACH)}
    columns |= {f"{name} {i}": draw(rng, rows) for name, draw in TEXT.items() for i in range(EACH)}
    return pa.table(columns)


def make(folder: Path, regime: str, rows: int) -> Path:
    """Writes the comparisons of a size."""
    many = TABLES.get(rows, MANY)
    rng = np.random.default_rng([rows, regime == "fixed"])
    sides = []
    for size in (reference_rows(regime, rows), rows):
        whole = pa.concat_tables([table(rng, size) for _ in range(many)])
        sides.append(whole.append_column("pair", pa.array(np.repeat(np.arange(many), size))))
    numeric = [f"{name} {i}" for name in NUMERIC for i in range(EACH)]
    categorical = [f"{name} {i}" for name in TEXT for i in range(EACH)]
    return write_job(folder, *sides, numeric=numeric, categorical=categorical, pairs="pair")


def counted(found: Iterable[Any]) -> dict[str, tuple[int, int]]:
    """By shape: columns called drifted, and columns."""
    counts = {name: [0, 0] for name in SHAPES}
    for _, columns in found:
        for column, (drifted, _) in columns.items():
            shape = counts[column.rpartition(" ")[0]]
            shape[0] += bool(drifted)
            shape[1] += 1
    return {name: (called, of) for name, (called, of) in counts.items()}


def run(chosen: argparse.Namespace, results: Path) -> None:
    """Fills the results folder with what is missing."""
    folder = peers_folder(chosen.peers)
    systems = installed(folder, chosen.systems)
    for regime in chosen.regimes:
        for rows in chosen.sizes:
            missing = [name for name in systems if not _answer(results, regime, rows, name).exists()]
            if not missing:
                continue
            with tempfile.TemporaryDirectory() as temporary:
                job = make(Path(temporary), regime, rows)
                for name in missing:
                    said = measure(name, job, folder, timeout=3_600.0, nice=chosen.nice)
                    said["counts"] = counted(said.pop("found", []))
                    if not said.get("error"):
                        _answer(results, regime, rows, name).write_text(json.dumps(said), encoding="utf-8")
                    print(regime, rows, name, said.get("error") or f"{said['wall_s']:.0f} s", flush=True)


def _answer(results: Path, regime: str, rows: int, system: str) -> Path:
    return results / f"{regime}-{rows}-{system.replace(':', '-')}.json"


def cell(results: Path, regime: str, rows: int, system: str, shapes: Iterable[str]) -> Cell | None:
    """What a system said of some shapes."""
    path = _answer(results, regime, rows, system)
    if not path.exists():
        return None
    counts = json.loads(path.read_text(encoding="utf-8"))["counts"]
    called, of = (sum(counts[name][place] for name in shapes) for place in (0, 1))
    return Cell(called, of) if of else None


def report(results: Path, systems: list[str], regimes: list[str], sizes: list[int]) -> str:
    """Markdown: by size over all shapes and over the numeric ones; by shape."""
    lines = ["", "Versions: " + ", ".join(_version(results, name) for name in systems)]
    head, rule = "| " + " | ".join(systems) + " |", "--:|" * len(systems)
    for regime in regimes:
        rows_of = {rows: f"{rows:,} against {reference_rows(regime, rows):,}" for rows in sizes}
        for title, shapes in (("all shapes", SHAPES), ("numbers", tuple(NUMERIC)), ("text", tuple(TEXT))):
            lines += ["", f"{title}, % of columns (95 % interval)", "", f"| rows {head}", f"|---|{rule}"]
            for rows in sizes:
                found = [cell(results, regime, rows, name, shapes) for name in systems]
                lines.append(f"| {rows_of[rows]} | " + " | ".join(str(c or "-") for c in found) + " |")
        for rows in sizes:
            lines += ["", f"{rows_of[rows]} rows, by shape", "", f"| shape {head}", f"|---|{rule}"]
            for shape in SHAPES:
                found = [cell(results, regime, rows, name, (shape,)) for name in systems]
                lines.append(f"| {shape} | " + " | ".join(str(c or "-") for c in found) + " |")
    return "\n".join(lines)


def _version(results: Path, system: str) -> str:
    for path in sorted(results.glob(f"*-{system.replace(':', '-')}.json")):
        return f"{system} {json.loads(path.read_text(encoding='utf-8'))['version']}"
    return f"{system} -"


def main() -> None:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="rows of the current table")
    parser.add_argument("--regimes", nargs="+", default=["fixed", "tenfold"], choices=["fixed", "tenfold"])
    parser.add_argument("--peers", help="the folder of the environments; default: $FAIRLEAD_PEERS")
    parser.add_argument("--results", help="where answers are kept; default: a temporary folder")
    parser.add_argument("--nice", type=int, default=0, help="run the systems at a lower priority")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = Path(chosen.results or temporary)
        results.mkdir(parents=True, exist_ok=True)
        run(chosen, results)
        print(report(results, chosen.systems, chosen.regimes, chosen.sizes))


if __name__ == "__main__":
    main()
