"""backtest, as typed of a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.operations.test_backtest import log

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run

MISSING = "not measured here: unequal-treatment: no column with protected groups is named, nor looks like one"
COLUMNS = ("--timestamp", "at", "--target", "y", "--score", "p")


def fairlead(*arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), list(arguments))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A log of twelve days, of which the last five did harm."""
    pq.write_table(pa.table(log(worse_on=7, a_day=300)), tmp_path / "log.parquet")
    return str(tmp_path / "log.parquet")


def test_a_file_within_the_budget_leaves_with_0_and_a_page(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict, every rule, and the page beside it."""
    page = tmp_path / "r.html"
    assert fairlead("backtest", file, *COLUMNS, "--budget", "1/30d", "--html", str(page)) == 0
    said = capsys.readouterr().out
    assert said.startswith("holds: 0 false pages of ")
    for part in ("harmful-drift", "the watch's alerts", "any column p < 0.05", "found", "1 of 1", MISSING):
        assert part in said
    assert "<h1>Backtest</h1>" in page.read_text()


def test_all_of_it_is_one_document(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Windows, rules and budget in JSON."""
    assert fairlead("backtest", file, *COLUMNS, "--reference", "2024-10-07", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["harmful"] for one in found["windows"]][-5:] == [True] * 5
    assert found["budget"] == {"pages": 1.0, "per_seconds": 2_592_000.0}


def test_columns_by_which_answers_are_told_apart_are_named(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A protected column is judged, and the document says how many pages each rule made, and of which severity."""
    assert fairlead("backtest", file, *COLUMNS, "--protected", "plan", "--segment", "x", "--json") == 0
    rules = {one["rule"]: one for one in json.loads(capsys.readouterr().out)["rules"]}
    assert rules["unequal-treatment"]["windows"] > 0
    assert rules["unequal-treatment"]["missing"] == ""
    assert rules["pages"]["pages"] == rules["pages"]["notices"] == sum(rules["pages"]["severities"].values()) > 0
    assert {one["kind"] for one in rules.values()} == {"watch", "practice"}


def test_too_little_to_say_leaves_with_3(tmp_path: Path) -> None:
    """Four days are no backtest."""
    pq.write_table(pa.table(log(days=4)), tmp_path / "short.parquet")
    assert fairlead("backtest", str(tmp_path / "short.parquet"), *COLUMNS) == 3


def test_false_pages_beyond_the_budget_leave_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores that are surest where they are wrong, while decisions stay as right as they were: the watch pages, the
    loss says that nobody was harmed, and the usual budget of a page in 30 days is overdrawn."""
    data = log(days=16, a_day=600)
    rng = np.random.default_rng(1)
    late = data["at"] > data["at"][0] + 6 * 86_400
    above, right = data["p"] >= 0.5, rng.random(late.size) < 0.75
    sure = np.where(right, 0.05, 0.15) + 0.01 * rng.random(late.size)
    score = np.where(late, np.where(above, 0.5 + sure, 0.5 - sure), data["p"])
    data |= {"p": score, "y": np.where(late, above == right, data["y"] > 0).astype(int)}
    pq.write_table(pa.table(data), tmp_path / "calm.parquet")
    code = fairlead("backtest", str(tmp_path / "calm.parquet"), *COLUMNS, "--json")
    found = json.loads(capsys.readouterr().out)
    assert not any(one["harmful"] for one in found["windows"])
    assert found["rules"][0]["false_notices"] >= 2
    assert (code, found["verdict"]["outcome"]) == (1, "breached")


@pytest.mark.parametrize(
    "arguments",
    [
        ("gone.parquet", *COLUMNS),
        ("{file}", "--target", "y", "--score", "p"),
        ("{file}", *COLUMNS, "--budget", "few"),
        ("{file}", *COLUMNS, "--budget", "1/0s"),
        ("{file}", *COLUMNS, "--window", "soon"),
        ("{file}", *COLUMNS, "--column", "nope"),
        ("{file}", *COLUMNS, "--segment", "nope"),
        ("{file}", *COLUMNS, "--protected", "y"),
        ("{file}", *COLUMNS, "--html", "/nowhere/at/all.html"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    arguments: tuple[str, ...], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and no traceback."""
    assert fairlead("backtest", *(one.format(file=file) for one in arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("fairlead: ")
    assert said.count("\n") == 1
