"""How fast each system compares tables: fairlead and its peers' real packages, each run in a fresh process.

    W1  100,000 + 100,000 rows x 60 columns (50 of numbers, 10 of text)
    W2  1,000,000 + 1,000,000 rows x 60 columns
    W3  100 windows of 20,000 rows against a reference of 100,000, x 25 columns (20 of numbers, 5 of text)
    W4  the first 10 windows of W3, for systems that take minutes for 100: their cost is one window's, again and again

The columns are those of `drift_report.py`, every third shifted (in windows from the 50th on). Each peer runs its
default report; `name:variant` picks another (see its runner). Timed are the calls into the library: imports and reading
the files are apart. Runs alternate; figures are medians, and the ratio is that of the peer's median to fairlead's.
`peak` is the most memory the process held while it worked, data included, `work` is that less what it held before. A
system whose run took longer than a minute is not repeated.

    python -m benchmarks.peers.install evidently nannyml whylogs scipy
    python -m benchmarks.peer_speed
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.drift_report import categories, numbers, shift_of
from benchmarks.peers.systems import SYSTEMS, installed, measure, peers_folder, write_job

WINDOWS, WINDOW_ROWS, SHIFTED_FROM = 100, 20_000, 50
LONG = 60.0  # seconds from which one run is enough
HEADLINE_WORK = ("W1", "W3", "W4")
HEADLINE = ("fairlead", "evidently", "nannyml", "whylogs", "scipy")
NO_WINDOWS = ("alibi", "deepchecks", "popmon")
SLOW_WINDOWS = ("evidently", "whylogs")  # run on W3 only where W3 is asked for by name
SLOWEST = 900.0


def table(rng: np.random.Generator, rows: int, wide: tuple[int, int], moved: bool) -> dict[str, pa.Array]:
    """One side, by column."""
    found = {f"num_{i:02d}": pa.array(numbers(rng, i, rows, shift_of(i, moved))) for i in range(wide[0])}
    return found | {f"cat_{j:02d}": pa.array(categories(rng, j, rows, shift_of(j, moved))) for j in range(wide[1])}


def make(workload: str, folder: Path) -> Path:
    """Writes a workload's job, unless it is there."""
    job = folder / workload
    if (job / "job.json").exists():
        return job
    rng = np.random.default_rng(0)
    many = {"W3": WINDOWS, "W4": WINDOWS // 10}.get(workload, 0)
    wide = (20, 5) if many else (50, 10)
    options: dict[str, Any] = {}
    if many:
        reference = pa.table(table(rng, 100_000, wide, False))
        parts = [table(rng, WINDOW_ROWS, wide, at >= SHIFTED_FROM) for at in range(many)]
        window = pa.array(np.repeat(np.arange(many), WINDOW_ROWS))
        current = pa.concat_tables([pa.table(part) for part in parts]).append_column("window", window)
        options["windows"] = "window"
    else:
        rows = 100_000 if workload == "W1" else 1_000_000
        reference, current = (pa.table(table(rng, rows, wide, moved)) for moved in (False, True))
    names = reference.column_names
    options |= {side: [name for name in names if name[:3] == side[:3]] for side in ("numeric", "categorical")}
    return write_job(job, reference, current, **options)


def runs_on(system: str, workload: str, headline: bool) -> bool:
    """Whether a system takes part: not all have windows, and the slow ones are left out of W3 unless it was named."""
    name = system.partition(":")[0]
    if workload == "W3" and headline and name in SLOW_WINDOWS:
        return False
    return workload not in ("W3", "W4") or name not in NO_WINDOWS


def rounds(chosen: argparse.Namespace, jobs: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """Every run, systems in turn within a round."""
    systems = installed(folder, chosen.systems)
    runs: list[dict[str, Any]] = []
    over: set[tuple[str, str]] = set()
    for _ in range(chosen.runs):
        for workload, job in jobs.items():
            for system in systems:
                if (workload, system) in over or not runs_on(system, workload, chosen.workloads is None):
                    continue
                run = measure(system, job, folder, timeout=SLOWEST) | {"workload": workload}
                run["flagged"] = sum(c[0] for _, columns in run.pop("found", []) for c in columns.values())
                run.pop("pairs", None)
                runs.append(run)
                if run.get("error") or run["wall_s"] > LONG:
                    over.add((workload, system))
                print(json.dumps(run), flush=True) if chosen.verbose else None
    return runs


def report(runs: list[dict[str, Any]], workloads: list[str]) -> str:
    """Markdown tables, one for each workload."""
    lines = []
    for workload in workloads:
        of: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in runs:
            if run["workload"] == workload:
                of[run["system"]].append(run)
        lines += ["", f"{workload}", "", "| system | wall s | CPU s | peak MiB | work MiB | import s | ratio: wall | CPU | peak | work | flagged | runs |"]  # fmt: skip  # noqa: E501
        lines.append("|---|" + "--:|" * 11)
        middle = {name: _medians(some) for name, some in of.items() if not some[0].get("error")}
        ours = middle.get("fairlead")
        for name, some in of.items():
            lines.append(_row(name, some, middle.get(name), ours))
    return "\n".join(lines)


def _medians(runs: list[dict[str, Any]]) -> dict[str, float]:
    middle = {key: median(run[key] for run in runs) for key in ("wall_s", "cpu_s", "peak_mib", "data_mib", "import_s")}
    return middle | {"work_mib": median(run["peak_mib"] - run["data_mib"] for run in runs)}


def _row(name: str, runs: list[dict[str, Any]], middle: dict[str, float] | None, ours: dict[str, float] | None) -> str:
    if middle is None:
        return f"| {name} | {runs[0]['error']} |" + " |" * 10
    cells = [f"{middle['wall_s']:.3f}", f"{middle['cpu_s']:.3f}", f"{middle['peak_mib']:.0f}"]
    cells += [f"{middle['work_mib']:.0f}", f"{middle['import_s']:.2f}"]
    keys = ("wall_s", "cpu_s", "peak_mib", "work_mib")
    cells += [f"{middle[key] / max(ours[key], 1e-9):.1f}" if ours else "-" for key in keys]
    return f"| {name} {runs[0]['version']} | " + " | ".join([*cells, str(runs[0]["flagged"]), str(len(runs))]) + " |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--systems", nargs="+", default=list(HEADLINE), help=f"of {', '.join(SYSTEMS)}, or name:variant"
    )
    parser.add_argument("--workloads", nargs="+", choices=["W1", "W2", "W3", "W4"], help="default: W1 W3 W4")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", help="the folder of the environments; default: $FAIRLEAD_PEERS")
    parser.add_argument("--data", help="where the tables are written once; default: a temporary folder")
    parser.add_argument("--verbose", action="store_true", help="each run as a line of JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(chosen.data or temporary)
        jobs = {workload: make(workload, folder) for workload in chosen.workloads or HEADLINE_WORK}
        print(report(rounds(chosen, jobs, peers_folder(chosen.peers)), list(jobs)))


if __name__ == "__main__":
    main()
