"""performance, as typed: of a file, and of a served model's judged windows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import VersionRegistered
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Layer, Performance, Stage, WindowReport, fact_of
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.app import build, run
from fairlead.testing.bundles import example
from fairlead.testing.registry import MemoryRegistry

DAY = 86_400.0


def fairlead(*arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), list(arguments))


def write(path: Path, n: int = 3_000, slope: float = 1.0, seed: int = 0) -> str:
    """Predictions of four weeks with their truths; `slope` 1 is what the scores promise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.5, 1.2, n)
    made = 1_782_864_000 + np.sort(rng.random(n)) * 28 * DAY
    seen = made + rng.exponential(DAY, n)
    there = seen < made.max()
    truth = (rng.random(n) < 1 / (1 + np.exp(-slope * x))).astype(float)
    columns = {
        "y": pa.array(np.where(there, truth, np.nan), from_pandas=True),
        "p": 1 / (1 + np.exp(-x)),
        "region": rng.choice(["north", "south"], n),
        "made": made,
        "seen": np.where(there, seen, np.nan),
    }
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A data file."""
    return write(tmp_path / "now.parquet")


def test_a_file_is_measured(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every metric with its interval on a terminal; measuring is done, so the exit is 0."""
    assert fairlead("performance", file, "--target", "y", "--score", "p") == 0
    said = capsys.readouterr().out
    assert said.startswith("measured: AUROC is 0.")
    for part in (
        "95 % interval",
        "Brier score",
        "by class",
        "read as binary: a score was named",
        "rows without a label",
    ):
        assert part in said


def test_all_of_it_is_one_document_and_one_page(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Slices, windows, maturity and money in JSON, and the page beside it."""
    page = tmp_path / "r.html"
    times = ["--predicted-at", "made", "--observed-at", "seen", "--window", "7d", "--as-of", "2026-07-26"]
    money = ["--cost", "false_negative=200", "--cost", "false_positive=5"]
    code = fairlead(
        "performance",
        file,
        "--target",
        "y",
        "--score",
        "p",
        "--segment",
        "region",
        *times,
        *money,
        "--html",
        str(page),
        "--json",
    )
    document = json.loads(capsys.readouterr().out)
    assert code == {"holds": 0, "breached": 1}.get(document["verdict"]["outcome"], 3)
    assert [row["name"] for row in document["segments"]] == ["north", "south"]
    assert document["maturity"]["as_of"] == 1_785_024_000
    assert document["money"]["total"]["value"] > 0
    assert len(document["windows"]) == 4
    assert "<svg" in page.read_text()


def test_slices_windows_and_reference_are_tables(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the same as the document holds; the fall against the reference is exit 1."""
    before = write(tmp_path / "before.parquet", 6_000, slope=2.5, seed=1)
    times = ["--predicted-at", "made", "--observed-at", "seen", "--window", "7d"]
    asked = ["--target", "y", "--score", "p", "--segment", "region", *times, "--reference", before]
    assert fairlead("performance", file, *asked) == 1
    said = capsys.readouterr().out
    assert said.startswith("breached: AUROC 0.")
    for part in ("against the reference", "by slice", "region = north", "by window", "2026-07-06", "not matured"):
        assert part in said


def test_exit_codes_answer_the_question(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 holds, 3 undecided, 3 where there was nothing to measure."""
    same = write(tmp_path / "same.parquet", 6_000, seed=2)
    assert fairlead("performance", file, "--target", "y", "--score", "p", "--reference", same) == 0
    few = write(tmp_path / "few.parquet", 50, seed=3)
    assert fairlead("performance", few, "--target", "y", "--score", "p", "--reference", same) == 3
    pq.write_table(pa.table({"y": pa.array([None, None], pa.int64()), "p": [0.1, 0.2]}), tmp_path / "no.parquet")
    assert fairlead("performance", str(tmp_path / "no.parquet"), "--target", "y", "--score", "p") == 3
    assert "unmeasured: none of 2 rows has a label" in capsys.readouterr().out


def test_several_classes_by_probability(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One option for each class."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 300)
    labels = np.array(["cat", "dog", "owl"])[[rng.choice(3, p=each) for each in p]]
    (tmp_path / "t.csv").write_text(
        "y,a,b,c\n" + "\n".join(f"{y},{','.join(map(str, each))}" for y, each in zip(labels, p.tolist(), strict=True))
    )
    named = ["--probability", "cat=a", "--probability", "dog=b", "--probability", "owl=c"]
    assert fairlead("performance", str(tmp_path / "t.csv"), "--target", "y", *named, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["macro_auroc"]["value"] > 0.6


WRONG = {
    "missing.parquet": (["missing.parquet", "--target", "y", "--score", "p"], "does not exist"),
    "no target": (["FILE"], "--target COL"),
    "nothing predicted": (["FILE", "--target", "y"], "name what was predicted"),
    "no such column": (["FILE", "--target", "z", "--score", "p"], "no column 'z'"),
    "a model with columns": (["churn", "--target", "y"], "'churn' is no data file"),
    "a model with slices": (["churn", "--segment", "a=b", "--segment", "c=d"], "one segment at a time"),
    "half a cost": (["FILE", "--target", "y", "--score", "p", "--cost", "fn"], "is no pair"),
    "a cost in words": (["FILE", "--target", "y", "--score", "p", "--cost", "false_negative=much"], "--cost"),
    "half a probability": (["FILE", "--target", "y", "--probability", "cat"], "--probability cat=p_cat"),
    "a window without time": (["FILE", "--target", "y", "--score", "p", "--window", "7d"], "predicted_at"),
    "a folder": (["FOLDER", "--target", "y"], "is no data file"),
    "no reference": (["FILE", "--target", "y", "--score", "p", "--reference", "gone.csv"], "gone.csv does not exist"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_typed_wrongly_is_one_line_and_exit_2(
    case: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What, where and the fix, on stderr alone."""
    arguments, said = WRONG[case]
    places = {"FILE": file, "FOLDER": str(tmp_path)}
    assert fairlead("performance", *(places.get(word, word) for word in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


# -- a served model ------------------------------------------------------------------------------------------------


def judged(day: int, outcome: Outcome) -> WindowReport:
    """The report of one day of July 2026."""
    starts = 1_782_864_000 + day * DAY
    seen = Performance(
        "auroc", 0.8, 0.78, 0.82, 0.79, 0.77, 0.81, 0.78, 0.75, 0.81, matured_share=1.0, labels=500, verdict=outcome
    )
    return WindowReport(
        "hotel", 1, f"2026-07-{day + 1:02d}", starts, starts + DAY, starts + DAY, Stage.MATURED, 500, outcome, "so",
        layers=(Layer("model", outcome, "so"),), performance=seen, quadrant=Quadrant.BENIGN,
    )  # fmt: skip


@pytest.fixture
def typed(tmp_path: Path) -> list[str]:
    """Ten judged days in a home; the last one is breached."""
    registry = MemoryRegistry()
    context = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    place = tmp_path / "draft"
    manifest = example(place)
    digest = context.bundles.put(place, manifest)
    facts = [fact_of(judged(day, Outcome.BREACHED if day == 9 else Outcome.HOLDS)) for day in range(10)]
    context.journal.append([VersionRegistered("hotel", 1, digest, "data"), *facts], actor="ana", at=context.clock.now())
    return ["--home", str(tmp_path / "home"), "performance", "hotel"]


@pytest.mark.parametrize(("window", "days"), [(None, 10), ("7d", 7), ("1d", 1), ("2026-07-03", 1), ("52w", 10)])
def test_windows_are_chosen_by_time_or_name(
    typed: list[str], window: str | None, days: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last seven days, one day, or all; the last one shown decides the exit."""
    code = fairlead(*typed, *(["--window", window] if window else []))
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 1 + days
    assert code == (0 if window == "2026-07-03" else 1)
    assert fairlead(*typed, *(["--window", window] if window else []), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == days


@pytest.mark.parametrize(
    ("window", "said"), [("June", "no judged window"), ("1h", "as short as 1h"), ("0", "no duration")]
)
def test_a_window_that_is_none_is_exit_2(
    typed: list[str], window: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a name nor a duration, or shorter than any."""
    assert fairlead(*typed, "--window", window) == 2
    assert said in capsys.readouterr().err
