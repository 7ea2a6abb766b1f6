"""A team's checkout: settings, data, models that were trained here, and the home folder that `fairlead up` serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from fairlead.testing.candidate import draw
from fairlead.testing.loopback import own_port

PAGE = Path(__file__).parents[2] / "config" / "page.yaml"
SETTINGS = """
project: stay
models: {stay: {task: binary, unit: guest}}
gates:
  p99: 250ms
  against_champion: not_worse
  bounds: {range_times: 20, load_seconds: 2, spike_seconds: 1, log_days: 1}
rollout:
  strategy: canary
  steps: [{traffic: 1%}, {traffic: 25%, at_least: 100}, {traffic: 50%, at_least: 100}, {traffic: 100%}]
  guardrails: ["error_rate <= 1.25 * champion", "p99_latency <= 4 * champion", "prediction_psi < 0.25"]
"""
CARD = {
    "owner": "revenue",
    "intended_use": "Ranks arrivals by the risk of cancellation.",
    "out_of_scope_use": "Deciding on a single guest.",
    "ethical_considerations": "No demographic features but the age.",
    "caveats_and_recommendations": "Three cities.",
    "maintenance_plan": "Watched weekly.",
}
BIN = Path(sys.executable).parent


def pipeline_of_the_page(monitor: str = "monitor_4_seconds") -> dict[str, Any]:
    """The page's own `pipeline`, its half an hour shortened, with a command and a limit for its steps."""
    section: dict[str, Any] = yaml.safe_load(PAGE.read_text().replace("monitor_30_minutes", monitor))["pipeline"]
    return {**section, "timeout": "90s", "commands": {"unit_tests": "python -m pytest -q -p no:cacheprovider"}}


class Checkout:
    """A folder with everything in it, as `git clone` would have laid it out beside a home."""

    def __init__(self, folder: Path, pipeline: Mapping[str, Any]) -> None:
        self.folder, self.home = folder, folder / "home"
        self.port, self.control_port = own_port(), own_port()
        self.settings(pipeline)
        (folder / "requirements.txt").write_text("")
        (folder / "test_it.py").write_text("def test_it() -> None:\n    assert 1 + 1 == 2\n")
        (folder / ".gitignore").write_text("home\nkept\nnobody\n*.parquet\nup.err\n.gitlab-ci-local\n")
        (folder / "card.yaml").write_text(yaml.safe_dump(CARD))
        self.environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

    def settings(self, pipeline: Mapping[str, Any]) -> None:
        """Writes the settings file with a pipeline."""
        (self.folder / "fairlead.yaml").write_text(SETTINGS + yaml.safe_dump({"pipeline": dict(pipeline)}))

    def run(self, *words: str, code: int | None = 0, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """What is typed, and its exit code, which must be `code` where one is given."""
        done = subprocess.run(
            ["fairlead", "--home", "home", *words], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    def pipeline(self, *words: str, code: int) -> dict[str, Any]:
        """The report of a run."""
        report: dict[str, Any] = json.loads(self.run("pipeline", "run", *words, "--json", code=code).stdout)
        return report

    def register(self, name: str, unit: float = 1.0, *, knows: bool = True) -> int:
        """Trains a model on rows whose ages are in `1 / unit` years, and registers it; its number. One that does not
        know has learnt nothing of the ages and nights."""
        import pandas as pd
        import skops.io
        from sklearn.compose import ColumnTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        tables = []
        for part, count, seed in (("train", 4000, 1), ("held", 1500, 2)):
            rows, outcomes = draw(count, seed=seed + 10 * len(name))
            table = pd.DataFrame(rows, columns=["age", "nights", "city"])
            table["age"] *= unit
            table["guest"] = [f"{part}-{number}" for number in range(count)]
            table["canceled"] = outcomes
            table.to_parquet(self.folder / f"{name}-{part}.parquet")
            tables.append(table)
        numbers = [] if not knows else ["age", "nights"]
        shaped = ColumnTransformer(
            [
                ("numbers", StandardScaler(), numbers),
                ("city", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"]),
            ]
        )
        model = make_pipeline(shaped, LogisticRegression())
        features = tables[0][["age", "nights", "city"]].astype({"age": float, "nights": float, "city": object})
        model.fit(features, tables[0]["canceled"])
        skops.io.dump(model, self.folder / f"{name}.skops")
        words = ["register", "stay", "--model", f"{name}.skops", "--reference", f"{name}-train.parquet"]
        words += ["--heldout", f"{name}-held.parquet", "--target", "canceled", "--unit", "guest", "--segment", "city"]
        said = json.loads(self.run(*words, "--card", "card.yaml", "--json").stdout)
        return int(said["version"])

    @contextmanager
    def up(self) -> Iterator[None]:
        """`fairlead up` while the block runs."""
        words = ["fairlead", "--home", "home", "up", "--port", str(self.port), "--control-port", str(self.control_port)]
        with (self.folder / "up.err").open("ab") as errors:
            process = subprocess.Popen(
                [*words, "--workers", "2"], cwd=self.folder, env=self.environment, stdout=errors, stderr=errors
            )
            try:
                self.wait(self.answers)
                yield
            finally:
                process.terminate()
                process.wait(30)

    def answers(self) -> bool:
        """Whether the gateway is there."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/v2/health/live", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    @staticmethod
    def wait(condition: Any, seconds: float = 60.0) -> None:
        """Until it holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.05)
