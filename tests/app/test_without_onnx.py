"""An installation without the onnx extra: a scikit-learn model is registered, gated and answered as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MISSING = ("onnx", "onnxruntime", "skl2onnx", "onnxmltools")
# Read by every Python process before anything else: what is None here is not installed, for it.
CUSTOM = f"import sys\nsys.modules.update(dict.fromkeys({MISSING!r}))\n"
SETTINGS = """
gates:
  p99: 5s
  production: {advise: [contents, data, model, serving]}
  bounds: {load_seconds: 1, spike_seconds: 1, log_days: 1}
"""


def run(folder: Path, *words: str, code: int = 0) -> str:
    """What a verb prints where ONNX is not installed."""
    command = [sys.executable, "-m", "fairlead.app.main", "--home", "home", "--config", "settings.yaml", *words]
    paths = os.pathsep.join(filter(None, (str(folder / "custom"), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def write_model(folder: Path) -> None:
    """A model of two numbers and a category, the rows that it was trained on, and others."""
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "age": rng.normal(45.0, 12.0, 1500),
            "nights": rng.integers(1, 14, 1500),
            "city": rng.choice(["aspen", "berlin", "cairo"], 1500),
        }
    )
    logit = 0.08 * (rows.age - 45.0) + 0.3 * (rows.nights - 7) + 0.7 * (rows.city == "cairo")
    rows["stays"] = (rng.random(1500) < 1.0 / (1.0 + np.exp(-logit))).astype(int)
    kept, heldout = rows[:1200], rows[1200:]
    columns = make_column_transformer(
        (StandardScaler(), ["age", "nights"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )
    skops.io.dump(
        make_pipeline(columns, LogisticRegression()).fit(kept.drop(columns="stays"), kept.stays), folder / "m.skops"
    )
    kept.to_parquet(folder / "train.parquet")
    heldout.to_parquet(folder / "heldout.parquet")


@pytest.mark.slow
def test_a_model_is_gated_without_onnx_and_without_a_waiver(tmp_path: Path) -> None:
    """The original is served, which is said; a failure is forced with a model of scikit-learn, and every check of how a
    version is watched and taken back holds."""
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "sitecustomize.py").write_text(CUSTOM)
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    write_model(tmp_path)
    data = ("--reference", "train.parquet", "--heldout", "heldout.parquet", "--target", "stays")
    run(tmp_path, "register", "stay", "--model", "m.skops", *data)
    (manifest,) = (tmp_path / "home" / "bundles").glob("*/manifest.json")
    bundle = json.loads(manifest.read_text())
    assert bundle["served"] == bundle["model_entry"]
    tried = [one["reason"] for one in bundle["candidates"] if one["format"] == "onnx"]
    assert tried == ["skl2onnx is not installed, which converts it to ONNX: pip install 'fairlead[onnx]'"]
    report = json.loads(run(tmp_path, "gate", "stay@1", "--json"))
    found = {check["name"]: check for check in report["checks"]}
    assert (found["errors_logged"]["outcome"], report["waived"]) == ("holds", [])
    assert "ValueError" in found["errors_logged"]["reason"]
    operation = ("logging_proven", "errors_logged", "log_volume", "monitors_alive", "rollback_rehearsed")
    assert {found[name]["outcome"] for name in operation} == {"holds"}
