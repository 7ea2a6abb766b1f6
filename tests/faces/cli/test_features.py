"""The command line of features: what is typed wrongly. What is typed rightly needs Feast, and time."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run

ROOT = Path(__file__).parents[3]
FEAST = ROOT / "tests" / "adapters" / "features" / "feast"

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types a command; its exit code, and what it printed to either side."""
    app = build(open_context, "0")

    def go(*arguments: str) -> tuple[int, str, str]:
        config = ["--config", str(tmp_path / "fairlead.yaml")]
        code = run(app, ["--home", str(tmp_path / "home"), *config, "features", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


def settings(folder: Path, python: str = "", entity: str = "[customer_id, city]") -> None:
    """A settings file that names the shop's features."""
    said = f"{{repo: {folder / 'repo'}, service: churn, entity: {entity}, python: '{python}'}}"
    (folder / "fairlead.yaml").write_text(f"models: {{churn: {{features: {said}}}}}")


def test_what_is_typed_wrongly_is_a_line_and_exit_2(typed: Typed, tmp_path: Path) -> None:
    """A model without features, no repository, no file, another suffix, no time, and no Feast."""
    (tmp_path / "fairlead.yaml").write_text("models: {other: {}}")
    code, _, err = typed("plan", "other")
    assert (code, err.count("\n")) == (2, 1)
    assert "the settings name no features of other" in err
    settings(tmp_path)
    code, _, err = typed("plan", "churn")
    assert code == 2
    assert "is no Feast repository: it has no feature_store.yaml" in err
    shutil.copytree(FEAST / "repo", tmp_path / "repo")
    code, _, err = typed("plan", "churn")
    assert (code, err.count("\n")) == (2, 1)
    assert "needs feast, which is not installed: pip install 'fairlead[feast]'" in err
    who = tmp_path / "who.csv"
    who.write_text("customer_id,city,at\n1,Oslo,2026-01-01T00:00:00Z\n")
    for arguments, what in (
        (("out.csv", "--entities", str(who)), "out.csv is no Parquet file: name it .parquet"),
        (("out.parquet", "--entities", str(tmp_path / "none.csv")), "none.csv does not exist"),
        (("out.parquet", "--entities", str(who)), "has no column 'event_timestamp'"),
        (("out.parquet", "--entities", str(who), "--time-column", "at"), "needs feast"),
    ):
        code, _, err = typed("frame", "churn", *arguments)
        assert code == 2
        assert what in err
    assert not (tmp_path / "home" / "features").exists()


@pytest.mark.slow
def test_features_are_planned_and_framed(typed: Typed, tmp_path: Path) -> None:
    """With the real Feast: the plan in the home, a frame with all its rows, and what was wrong about the keys."""
    built = subprocess.run(["sh", str(ROOT / "scripts" / "feast.sh")], capture_output=True, text=True, check=True)
    python = built.stdout.strip()
    subprocess.run([python, str(FEAST / "make.py"), str(tmp_path)], check=True, capture_output=True)
    settings(tmp_path, python, "customer_id")
    code, _, err = typed("plan", "churn")
    assert code == 2
    assert "are looked up by city, customer_id, but features.entity is customer_id" in err
    settings(tmp_path, python)
    code, out, _ = typed("plan", "churn", "--json")
    assert code == 0
    assert json.loads(out)["views"]["spending"] == ["orders", "spent"]
    assert (tmp_path / "home" / "features" / "churn.json").read_bytes() == (FEAST / "churn.json").read_bytes()
    who = tmp_path / "who.csv"
    who.write_text("customer_id,city,at,y\n1,Oslo,2026-01-04T00:00:00Z,0\n99,Oslo,2026-01-04T00:00:00Z,1\n")
    out_file = tmp_path / "out.parquet"
    asked = ("frame", "churn", str(out_file), "--entities", str(who), "--time-column", "at")
    assert json.loads(typed(*asked, "--json")[1])["known"]["orders"] == 1
    code, out, _ = typed(*asked)
    assert code == 0
    assert "2 rows written to" in out
    rows = pq.read_table(out_file).to_pylist()
    assert [(row["y"], row["orders"], row["tier"]) for row in rows] == [(0, 1, "silver"), (1, None, None)]
