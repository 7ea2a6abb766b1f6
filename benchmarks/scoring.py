"""Batch inference: rows a second and peak memory, against plain loops over the same model.

A million rows of 20 numeric columns in one Parquet file, and a gradient boosting classifier of 100 trees, served as
ONNX. Each figure is a fresh process; the seconds are those of the work, without imports and loading.

`fairlead` scores with one thread (and with all cores), without and with the prediction log; `pandas + onnxruntime`
reads the whole file, feeds one matrix in chunks of 8,192 rows and writes Parquet; `pandas + scikit-learn` calls
`predict_proba` on the frame. Neither checks a contract, survives a kill or logs anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COLUMNS, TREES = 20, 100


def prepare(folder: Path, rows: int) -> None:
    """The table, the model and a home with the model in it."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.ensemble import HistGradientBoostingClassifier
    from skops import io as skops

    from fairlead.app.compose import open_context
    from fairlead.operations.models import Registration, register

    rng = np.random.default_rng(0)
    names = [f"x{place}" for place in range(COLUMNS)]
    small = pd.DataFrame(rng.normal(size=(20_000, COLUMNS)), columns=names)
    truth = (small.sum(axis=1) + rng.normal(size=20_000) > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=TREES, random_state=0).fit(small, truth)
    (folder / "model.skops").write_bytes(skops.dumps(model))
    small.assign(y=truth).to_parquet(folder / "reference.parquet", index=False)
    pq.write_table(pa.table({name: rng.normal(size=rows) for name in names}), folder / "rows.parquet")
    said = Registration("m", str(folder / "model.skops"), folder / "reference.parquet", "y")
    register(open_context(folder / "home"), said)


def fairlead(folder: Path, workers: int, *, log: bool) -> float:
    """Seconds of one batch."""
    from fairlead.app.compose import open_context
    from fairlead.operations.scoring import score
    from fairlead.operations.scoring_values import Scoring

    context = open_context(folder / "home")
    asked = Scoring("m@1", str(folder / "rows.parquet"), str(folder / "out.parquet"), workers=workers, log=log,
                    overwrite=True)  # fmt: skip
    return score(context, asked).seconds


def onnx_loop(folder: Path) -> float:
    """The same model by hand: pandas, ONNX Runtime with one thread, pandas."""
    import numpy as np
    import onnxruntime
    import pandas as pd

    model = next((folder / "home" / "bundles").rglob("model.onnx"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = [one.name for one in session.get_inputs()]
    began = time.perf_counter()
    frame = pd.read_parquet(folder / "rows.parquet")
    found = []
    for start in range(0, len(frame), 8192):
        block = frame.iloc[start : start + 8192].to_numpy(np.float32)
        feed = {inputs[0]: block} if len(inputs) == 1 else {n: block[:, [at]] for at, n in enumerate(inputs)}
        found.append(session.run(None, feed)[1])
    values = np.vstack(found)
    pd.DataFrame({"p0": values[:, 0], "p1": values[:, 1]}).to_parquet(folder / "loop.parquet")
    return time.perf_counter() - began


def sklearn_loop(folder: Path) -> float:
    """The original model on the whole frame."""
    import pandas as pd

    from fairlead.adapters.predictors.formats import load_sklearn

    model: Any = load_sklearn("model.skops", "skops", (folder / "model.skops").read_bytes(), ())
    began = time.perf_counter()
    values = model.predict_proba(pd.read_parquet(folder / "rows.parquet"))
    pd.DataFrame({"p0": values[:, 0], "p1": values[:, 1]}).to_parquet(folder / "loop.parquet")
    return time.perf_counter() - began


RUNS = {
    "fairlead, 1 thread": "fairlead(folder, 1, log=False)",
    "fairlead, 2 threads": "fairlead(folder, 2, log=False)",
    "fairlead, 2 threads, logged": "fairlead(folder, 2, log=True)",
    "pandas + onnxruntime, 1 thread": "onnx_loop(folder)",
    "pandas + scikit-learn": "sklearn_loop(folder)",
}


def measured(folder: Path, call: str) -> tuple[float, float]:
    """Seconds and peak MiB of a process of its own."""
    code = (
        f"from pathlib import Path; from benchmarks.scoring import *; folder = Path({str(folder)!r}); "
        f"seconds = {call}; import json; "
        "print(json.dumps([seconds, int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def main() -> None:
    """Prints the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, options.rows)
        found = {}
        for name, call in RUNS.items():
            rounds = [measured(folder, call) for _ in range(options.rounds)]
            found[name] = min(seconds for seconds, _ in rounds), max(peak for _, peak in rounds)
            print(f"{name:32} {found[name][0]:7.2f} s {found[name][1]:7,.0f} MiB", flush=True)
    base = found["pandas + onnxruntime, 1 thread"]
    for name, (seconds, peak) in found.items():
        speed = options.rows / seconds
        print(f"{name:32} {seconds:7.2f} s {speed:12,.0f} rows/s {peak:7,.0f} MiB "
              f"{base[0] / seconds:5.2f}x as fast, {peak / base[1]:4.2f} of the memory")  # fmt: skip


if __name__ == "__main__":
    main()
