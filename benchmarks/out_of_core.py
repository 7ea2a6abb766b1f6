"""Profiles of Parquet that grows past memory: time should grow with the rows, memory should not.

100 million rows of 16 numeric columns (normal, prices in cents, Student t with 2.5 degrees of freedom, Poisson,
exponential with 3 % nulls, identifiers, zero-inflated gamma, timestamps) and 4 of text (5 to 5,000 categories,
Zipf-like), in 8 files of 12.5 million rows and row groups of a million: 9 GiB. They are written once into `--folder`
and kept there; without it, into a temporary folder.

Each figure is a fresh process. `reference` fixes the grids and counts on them (two passes), `current` counts on grids
that are there (one pass), `read` only reads, as `current` does. Beside them, on the first file, the same counts on the
same cuts by a loop of pyarrow and numpy and by polars' streaming engine, and by pandas, which reads it all.
Peak memory is the process's resident set, not what one library says of itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILES, ROWS, GROUP = 8, 12_500_000, 1_000_000
SIZES = (1, 2, 4, 8)
VOCABULARY = (5, 30, 200, 5_000)


# -- the data ------------------------------------------------------------------------------------------------------


def numbers(rng: np.random.Generator, place: int, rows: int) -> Any:
    """One numeric column; its distribution cycles through eight."""
    import pyarrow as pa

    scale = 1.0 + place
    makers: list[Callable[[], Any]] = [
        lambda: rng.normal(10.0 * place, scale, rows),
        lambda: np.round(rng.lognormal(3.0, 0.8, rows), 2),
        lambda: rng.standard_t(2.5, rows) * scale,
        lambda: rng.poisson(3.0 + place, rows).astype(np.int32),
        lambda: pa.array(rng.exponential(scale, rows), mask=rng.random(rows) < 0.03),
        lambda: rng.integers(0, 10**9, rows),
        lambda: np.where(rng.random(rows) < 0.7, 0.0, rng.gamma(2.0, scale, rows)),
        lambda: pa.array(1_700_000_000_000_000 + rng.integers(0, 10**13, rows), pa.timestamp("us")),
    ]
    return makers[place % len(makers)]()


def words(rng: np.random.Generator, place: int, rows: int) -> Any:
    """One column of text."""
    import pyarrow as pa

    size = VOCABULARY[place % len(VOCABULARY)]
    weights = np.arange(1, size + 1) ** -1.1
    codes = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(rows)).clip(0, size - 1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(codes, [f"c{place}_{value:04d}" for value in range(size)]).cast(pa.string())


def write(folder: Path) -> None:
    """Writes the files that are not there yet, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number in range(FILES):
        path = folder / f"part-{number}.parquet"
        if path.exists():
            continue
        unfinished, writer = path.with_suffix(".unfinished"), None
        for start in range(0, ROWS, GROUP):
            rows = min(GROUP, ROWS - start)
            rng = np.random.default_rng([number, start])
            columns = {f"num_{i:02d}": numbers(rng, i, rows) for i in range(16)}
            columns |= {f"cat_{j:02d}": words(rng, j, rows) for j in range(4)}
            table = pa.table(columns)
            if writer is None:
                writer = pq.ParquetWriter(unfinished, table.schema, use_dictionary=[f"cat_{j:02d}" for j in range(4)])
            writer.write_table(table, row_group_size=GROUP)
        if writer is not None:
            writer.close()
        unfinished.rename(path)


# -- what is measured, each in a process of its own ------------------------------------------------------------------


def reference(folder: Path, files: int) -> None:
    """Two passes; the grids are left for the others."""
    import msgspec

    from fairlead.operations.streaming import profile_source

    found = profile_source(_pattern(folder, files), workers=2)
    (folder / "grids.json").write_bytes(msgspec.json.encode(found))


def current(folder: Path, files: int) -> None:
    """One pass."""
    from fairlead.operations.streaming import profile_source

    profile_source(_pattern(folder, files), _grids(folder), workers=2)


def read(folder: Path, files: int) -> None:
    """What is read for that pass, by as many threads, and dropped."""
    from fairlead.adapters.engines.local import LocalEngine
    from fairlead.adapters.sources.opening import open_source

    source = open_source(_pattern(folder, files))
    names = list(source.kinds)
    for _ in LocalEngine(2).map(lambda part: sum(column.rows for column in part.read(names)), source.parts()):
        pass


def loop(folder: Path, files: int) -> None:
    """The same counts, row group by row group, with what pyarrow and numpy offer."""
    import pyarrow.parquet as pq

    grids = {grid.name: grid for grid in _grids(folder).grids}
    cuts = {name: np.asarray(grid.cuts) for name, grid in grids.items() if hasattr(grid, "cuts")}
    counts = {name: np.zeros(edges.size + 1, dtype=np.int64) for name, edges in cuts.items()}
    totals: dict[str, dict[str, int]] = {name: {} for name in grids if name not in cuts}
    for path in _paths(folder, files):
        file = pq.ParquetFile(path, read_dictionary=list(totals))
        for batch in file.iter_batches(batch_size=GROUP):
            for name, edges in cuts.items():
                column = batch.column(name)
                if str(column.type).startswith("timestamp"):
                    column = column.cast("int64")
                values = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
                cells = np.searchsorted(edges, values / 1e6 if name in ("num_07", "num_15") else values)
                counts[name] += np.bincount(cells, minlength=edges.size + 1)
            for name, total in totals.items():
                for pair in batch.column(name).value_counts().to_pylist():
                    total[pair["values"]] = total.get(pair["values"], 0) + pair["counts"]


def polars(folder: Path, files: int) -> None:
    """The same counts by the streaming engine: every column cut, then counted by groups."""
    import polars as pl

    frame = pl.scan_parquet(_paths(folder, files))
    for grid in _grids(folder).grids:
        column = pl.col(grid.name)
        if hasattr(grid, "cuts"):
            column = column.cast(pl.Float64).cut(list(grid.cuts))
        frame.select(column).group_by(grid.name).len().collect(engine="streaming")


def pandas(folder: Path, files: int) -> None:
    """All in memory: quantiles, a histogram between them, counts of values."""
    import pandas as pd

    frame = pd.concat([pd.read_parquet(path) for path in _paths(folder, files)], ignore_index=True)
    for name in frame.columns:
        if name.startswith("cat"):
            frame[name].value_counts()
            continue
        values = frame[name].dropna().to_numpy().astype(np.float64)
        np.histogram(values, np.unique(np.quantile(values, np.linspace(0, 1, 1_023))))


WORK = {work.__name__: work for work in (reference, current, read, loop, polars, pandas)}


def _paths(folder: Path, files: int) -> list[Path]:
    return [folder / f"part-{number}.parquet" for number in range(files)]


def _pattern(folder: Path, files: int) -> str:
    return str(folder / f"part-[0-{files - 1}].parquet")


def _grids(folder: Path) -> Any:
    import msgspec

    from fairlead.stats.profile import TableProfile

    return msgspec.json.decode((folder / "grids.json").read_bytes(), type=TableProfile)


def measure(folder: Path, name: str, files: int) -> dict[str, float]:
    """Wall and CPU seconds of the work, and the process's peak resident set in MiB."""
    code = [sys.executable, __file__, "--folder", str(folder), "--measure", name, "--files", str(files)]
    done = subprocess.run(
        code, capture_output=True, text=True, check=False, env={**os.environ, "POLARS_MAX_THREADS": "2"}
    )
    if done.returncode:
        raise SystemExit(f"{name} of {files} files failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(folder: Path, name: str, files: int) -> None:
    """The other side of `measure`."""
    wall, cpu = time.perf_counter(), time.process_time()
    WORK[name](folder, files)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    status = Path("/proc/self/status").read_text()
    spent["mib"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps(spent))


def report(folder: Path, sizes: list[int]) -> None:
    """Prints every figure as it comes."""
    size = sum(path.stat().st_size for path in folder.glob("part-*.parquet"))
    print(f"{FILES * ROWS:,} rows x 20 columns, {size / 2**30:.1f} GiB, 2 threads", flush=True)
    spent: dict[tuple[str, int], dict[str, float]] = {}
    for files in sizes:
        for name in ("reference", "current", "read"):
            spent[name, files] = one = measure(folder, name, files)
            print(f"{files * ROWS:>12,} rows  {name:10s} {said(one, files * ROWS)}", flush=True)
    for name in ("reference", "current"):
        rows = np.array([files * ROWS for files in sizes], dtype=np.float64)
        for clock in ("wall", "cpu"):
            taken = np.array([spent[name, files][clock] for files in sizes])
            slope = float(np.polyfit(np.log(rows), np.log(taken), 1)[0]) if len(sizes) > 1 else float("nan")
            print(f"{name}: {clock} time grows as rows^{slope:.2f}")
        print(f"{name}: peak memory {max(spent[name, files]['mib'] for files in sizes):,.0f} MiB")
    most = sizes[-1]
    share = spent["read", most]["cpu"] / spent["current", most]["cpu"]
    print(f"reading is {share:.0%} of the CPU time of `current`")
    ours = spent["current", sizes[0]]
    for name in ("loop", "polars", "pandas"):
        one = measure(folder, name, sizes[0])
        times = f"{one['wall'] / ours['wall']:5.1f}x wall {one['cpu'] / ours['cpu']:5.1f}x CPU"
        ratio = f"{times} {one['mib'] / ours['mib']:5.1f}x memory"
        print(
            f"{sizes[0] * ROWS:>12,} rows  {name:10s} {said(one, sizes[0] * ROWS)}   {ratio} of `current`", flush=True
        )


def said(one: dict[str, float], rows: int) -> str:
    """One line."""
    rate = rows / one["wall"] / 1e6
    return f"{one['wall']:8.1f} s wall {one['cpu']:8.1f} s CPU {one['mib']:7,.0f} MiB {rate:6.2f}M rows/s"


def main() -> None:
    """Writes the data where they are missing, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the data are, or will be; kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="how many of the 8 files")
    parser.add_argument("--write-only", action="store_true")
    parser.add_argument("--measure", choices=list(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--files", type=int, default=1, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measured(chosen.folder, chosen.measure, chosen.files)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)
        if not chosen.write_only:
            report(folder, chosen.sizes)


if __name__ == "__main__":
    main()
