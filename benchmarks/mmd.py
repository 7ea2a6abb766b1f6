"""Maximum mean discrepancy: fairlead against a peer's real package, and the growth of the linear-time estimate.

Embeddings of 384 numbers, N(0, 1) against N(0.02, 1), float32. The peer runs in its own interpreter:
`--peer-python`, or `$FAIRLEAD_PEERS/dp_<peer>/bin/python` (`python -m benchmarks.peers.install alibi` builds it). Each
run is a fresh process, runs alternate, figures are medians; imports, reading the files and a warm-up are not timed.
`alibi` (alibi-detect on PyTorch) is the fastest peer known; `frouros` takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

PEER = Path(__file__).with_name("mmd_peer.py")
FOLDER = "FAIRLEAD_PEERS"
WIDTH = 384


def embeddings(folder: Path, rows: int) -> tuple[Path, Path]:
    """Both sides as files."""
    rng = np.random.default_rng(0)
    sides = (folder / f"reference_{rows}.npy", folder / f"current_{rows}.npy")
    for side, mean in zip(sides, (0.0, 0.02), strict=True):
        np.save(side, rng.normal(mean, 1.0, (rows, WIDTH)).astype(np.float32))
    return sides


def measure(python: str, system: str, sides: tuple[Path, Path], permutations: int) -> dict[str, Any]:
    """One run in a fresh process."""
    command = [python, "-W", "ignore", str(PEER), system, *map(str, sides), str(permutations)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{system} failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no message'}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peer_python(chosen: argparse.Namespace) -> str:
    """The peer's interpreter; exits where there is none."""
    folder = os.environ.get(FOLDER)
    if chosen.peer_python is None and folder is None:
        sys.exit(f"name the peer's interpreter by --peer-python, or the folder of environments by {FOLDER}")
    found = Path(chosen.peer_python or Path(str(folder)) / f"dp_{chosen.peer}" / "bin" / "python")
    return str(found) if found.exists() else sys.exit(f"{found} does not exist: install {chosen.peer} there")


def middle(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Medians."""
    return {key: median(run[key] for run in runs) for key in ("wall", "cpu", "p_value", "added_mib")}


def line(name: str, one: dict[str, float], base: dict[str, float]) -> str:
    """One row of what is printed."""
    times = f"{one['wall']:9.3f} s wall {one['cpu']:9.3f} s CPU {one['added_mib']:7.0f} MiB added"
    return f"{name:28s} {times}   {one['wall'] / base['wall']:7.1f}x wall {one['cpu'] / base['cpu']:7.1f}x CPU"


def exact(chosen: argparse.Namespace, folder: Path) -> None:
    """Alternating runs of the exact test."""
    sides = embeddings(folder, chosen.rows)
    contenders = {"fairlead": sys.executable, chosen.peer: peer_python(chosen)}
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(chosen.repeats):
        for name, python in contenders.items():
            runs[name].append(measure(python, name, sides, chosen.permutations))
    print(
        f"{chosen.rows:,} + {chosen.rows:,} rows x {WIDTH}, {chosen.permutations} permutations, {chosen.repeats} runs"
    )
    found = {name: middle(some) for name, some in runs.items()}
    for name, one in found.items():
        print(line(name, one, found["fairlead"]), f"  p = {one['p_value']:.4f}")


def linear(chosen: argparse.Namespace, folder: Path) -> None:
    """The linear-time estimate at growing sizes, in turn; the ratio is to the first."""
    sizes = chosen.linear
    files = {rows: embeddings(folder, rows) for rows in sizes}
    runs: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for _ in range(chosen.repeats):
        for rows in sizes:
            runs[rows].append(measure(sys.executable, "fourier", files[rows], 0))
    print(f"linear time, {chosen.repeats} runs")
    found = {rows: middle(some) for rows, some in runs.items()}
    for rows, one in found.items():
        print(line(f"{rows:,} + {rows:,} rows", one, found[sizes[0]]))


def main() -> None:
    """Prints medians of alternating runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=("alibi", "frouros"), default="alibi")
    parser.add_argument("--peer-python", help="the interpreter that has the peer installed")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--permutations", type=int, default=100)
    parser.add_argument("--linear", type=int, nargs="*", default=[25_000, 50_000, 100_000], help="rows on each side")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        if chosen.rows:
            exact(chosen, Path(held))
        if chosen.linear:
            linear(chosen, Path(held))


if __name__ == "__main__":
    main()
