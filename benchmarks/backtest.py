"""A backtest of 90 days of a million rows: how long, how much CPU, how much memory.

    python -m benchmarks.backtest [--days 90] [--rows 1000000] [--folder DIR] [--keep]

Writes one Parquet file a day (ten numbers, a score, a label: 86 MiB each, 7.6 GiB in all, every day drawn anew), runs
`fairlead backtest` over them in a fresh process, prints what it said, and deletes the files. From two thirds on, one
feature shifts and the relation to the label weakens: a real harm, which the pages must find.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = 10
FIRST_DAY = 20_000
REFERENCE_ROWS = 100_000


def main() -> None:
    """Generates, measures, deletes."""
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="backtest-", dir=asked.folder))
    try:
        write(folder, asked.days, asked.rows)
        wall, cpu, peak, report = measure(folder)
        pages = report["rules"][0]
        print(f"{asked.days} days x {asked.rows:,} rows, {FEATURES} features, {size(folder):.1f} GiB of Parquet")
        print(f"wall {wall:.1f} s, CPU {cpu:.1f} s, peak memory {peak:.0f} MiB")
        print(f"{report['verdict']['outcome']}: {report['verdict']['reason']}")
        print(f"pages: {pages['notices']}, false {pages['false_notices']}, delay {pages['delay_median']} s")
    finally:
        if not asked.keep:
            shutil.rmtree(folder)


def write(folder: Path, days: int, rows: int) -> None:
    """One file a day, and a reference."""
    (folder / "days").mkdir()
    changed = days * 2 // 3
    pq.write_table(_day(-1, min(rows, REFERENCE_ROWS), late=False), folder / "reference.parquet", compression="zstd")
    for day in range(days):
        name = folder / "days" / f"day-{day:03}.parquet"
        pq.write_table(_day(day, rows, late=day >= changed), name, compression="zstd")


def measure(folder: Path) -> tuple[float, float, float, dict[str, Any]]:
    """Wall and CPU seconds, MiB, and the report."""
    command = [sys.executable, "-m", "fairlead.app.main", "backtest", str(folder / "days"), "--timestamp", "at"]
    command += ["--target", "label", "--score", "score", "--reference", str(folder / "reference.parquet"), "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"exit {done.returncode}: {done.stderr[-500:]}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, json.loads(done.stdout)


def size(folder: Path) -> float:
    """GiB of the days."""
    return sum(path.stat().st_size for path in (folder / "days").iterdir()) / 2**30


def _day(day: int, rows: int, *, late: bool) -> pa.Table:
    rng = np.random.default_rng(day + 10)
    x = rng.normal(size=(FEATURES, rows))
    x[0] += 0.8 * late
    logit = x[:3].sum(axis=0) - 0.5
    label = rng.random(rows) < 1 / (1 + np.exp(-logit * (0.3 if late else 1.0)))
    at = (FIRST_DAY + day) * 86_400.0 + np.sort(rng.random(rows)) * 86_399
    columns = {f"f{place}": x[place] for place in range(FEATURES)}
    instants = pa.array((at * 1e6).astype(np.int64), pa.timestamp("us", "UTC"))
    return pa.table({"at": instants, **columns, "score": 1 / (1 + np.exp(-logit)), "label": label.astype(np.int8)})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", default=None, help="where the files are written")
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
