"""The log into its table: rows a second and bytes a row, against plain JSON lines to one Parquet file by pyarrow.

A row is a prediction with `--features` features, about 1 kB as JSON. Ours reads the segments with their checksums,
parses the feature snapshot, writes a partitioned table and syncs it; it also remembers how far it came. The plain way
reads JSON lines that are already stripped of their frames and writes what pyarrow infers, in one thread and in as many
as there are cores. CPU and wall time; the median of the repeats, in alternation.

    python benchmarks/compaction.py --rows 100000
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.adapters.delta_log import DeltaLog
from fairlead.adapters.segment_frame import PREDICTIONS
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_scan import Scan
from fairlead.adapters.segment_store import SegmentStore
from fairlead.adapters.system_clock import SystemClock
from fairlead.flows.compact import Compactor
from fairlead.testing.log import make_prediction

CHUNK = 1_000


def write_segments(folder: Path, rows: int, features: int) -> None:
    """Predictions of two versions on one day."""
    rng = np.random.default_rng(3)
    log = SegmentLog(folder, 0)
    for start in range(0, rows, CHUNK):
        values = rng.normal(size=(CHUNK, features)).round(4)
        records = []
        for row in range(CHUNK):
            snapshot: dict[str, object] = {f"feature_{n}": float(value) for n, value in enumerate(values[row])}
            snapshot |= {"segment": ("online", "agent", "phone")[row % 3], "country": "PRT", "is_new": bool(row % 2)}
            at = 1.7e9 + (start + row) * 0.01
            features_json = Raw(msgspec.json.encode(snapshot))
            score = float(rng.random())
            changes = {"score": score, "probabilities": (1.0 - score, score), "features": features_json}
            place = f"018f{start + row:028x}"
            records.append(make_prediction(place, unit_id=f"u{row}", timestamp=at, received_at=at, **changes))
        log.predictions(records)
    log.close()


def ours(folder: Path, table: Path) -> None:
    """One round of the compactor."""
    Compactor(SegmentStore(folder), DeltaLog(str(table)), SystemClock()).move()


def plain(lines: Path, target: Path, *, threads: bool) -> None:
    """What one would write on an afternoon."""
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    read = pj.read_json(lines, pj.ReadOptions(use_threads=threads, block_size=8 * 2**20))
    pq.write_table(read, target, compression="zstd", compression_level=3)


def strip(folder: Path, lines: Path) -> None:
    """The segments as JSON lines."""
    with lines.open("wb") as file:
        for path in sorted((folder / PREDICTIONS).iterdir()):
            for _, payload in Scan(path, 0).records():
                file.write(payload + b"\n")


def timed(act: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def size_of(folder: Path) -> int:
    """Bytes of data files."""
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    root = Path(mkdtemp(prefix="fairlead-compaction-"))
    try:
        write_segments(root / "log", arguments.rows, arguments.features)
        strip(root / "log", root / "lines.json")
        ours(root / "log", root / "warm")
        names = ("fairlead: segments to Delta", "pyarrow: JSON lines to Parquet", "the same, one thread")
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        sizes = dict.fromkeys(names, 0)
        for repeat in range(arguments.repeats):
            table, one = root / f"table{repeat}", root / f"plain{repeat}"
            one.mkdir()
            times[names[0]].append(timed(lambda table=table: ours(root / "log", table)))  # type: ignore[misc]
            for name, threads in ((names[1], True), (names[2], False)):
                target = one / f"{threads}.parquet"
                act = lambda to=target, many=threads: plain(root / "lines.json", to, threads=many)  # noqa: E731
                times[name].append(timed(act))
                sizes[name] = target.stat().st_size
            sizes[names[0]] = size_of(table)
        raw = (root / "lines.json").stat().st_size
        print(f"{arguments.rows:,} rows, {raw / arguments.rows:.0f} bytes a row as JSON")
        for name in names:
            wall, cpu = (median(each[part] for each in times[name]) for part in (0, 1))
            rate = f"{arguments.rows / wall:>10,.0f} rows/s {arguments.rows / cpu:>10,.0f} rows/CPU s"
            print(f"{name:<32}{rate}{sizes[name] / arguments.rows:>8.0f} bytes/row")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
