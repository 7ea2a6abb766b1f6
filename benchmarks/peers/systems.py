"""The systems that are compared, each in its own environment, and how one measurement of one is run.

A system is a runner, `run_<name>.py`, and an environment, `$FAIRLEAD_PEERS/dp_<name>`, that `install.py` builds.
fairlead's own environment is the interpreter that runs the benchmark. A job is a folder with `job.json` and two Parquet
files (see `harness.py`); a measurement is one fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
PEERS = ("evidently", "nannyml", "alibi", "deepchecks", "whylogs", "popmon", "frouros", "scipy")
SYSTEMS = ("fairlead", *PEERS)
SERVING = ("bentoml", "mlserver", "mlflow", "ray")  # other systems than these, see `serving_systems.py`
FOLDER = "FAIRLEAD_PEERS"
QUIET = {  # four of the peers tell their makers about each use unless told not to
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "NML_DISABLE_USER_ANALYTICS": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY": "1",
    "DEEPCHECKS_DISABLE_LATEST": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "Agg",
}


def peers_folder(chosen: str | None = None) -> Path:
    """Where the environments are: an argument, the variable, or a folder in the cache of the checkout."""
    return Path(chosen or os.environ.get(FOLDER) or ROOT / ".cache" / "peers").resolve()


def python_of(system: str, folder: Path) -> Path:
    """The interpreter of a system's environment."""
    return Path(sys.executable) if system == "fairlead" else folder / f"dp_{system}" / "bin" / "python"


def installed(folder: Path, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted systems (without their variant) that can run; says which cannot."""
    there = [name for name in wanted if python_of(name.partition(":")[0], folder).exists()]
    for name in wanted:
        if name not in there:
            print(f"{name}: no environment in {folder}; run python -m benchmarks.peers.install", file=sys.stderr)
    return there


def write_job(folder: Path, reference: pa.Table, current: pa.Table, **options: Any) -> Path:
    """Writes a job. Options: `numeric`, `categorical` (lists of columns), `pairs`, `windows` (see `harness.py`)."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(reference, folder / "reference.parquet", compression="lz4")
    pq.write_table(current, folder / "current.parquet", compression="lz4")
    (folder / "job.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


def measure(system: str, job: Path, folder: Path, *, timeout: float = 900.0, nice: int = 0) -> dict[str, Any]:
    """Runs a system, as `name` or `name:variant`, on a job in a fresh process. A failure is a result: `error`."""
    name, _, variant = system.partition(":")
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = ["nice", "-n", str(nice), str(python_of(name, folder)), "-W", "ignore"]
        command += ["-m", f"benchmarks.peers.run_{name}", str(job), answer.name, variant or "default"]
        environment = {**os.environ, **QUIET}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return {"system": system, "error": f"stopped after {timeout:g} s"}
        said = Path(answer.name).read_text(encoding="utf-8")
    if done.returncode or not said:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["?"]
        return {"system": system, "error": f"exit {done.returncode}: {last[0][:300]}"}
    return {"system": system, **json.loads(said)}
