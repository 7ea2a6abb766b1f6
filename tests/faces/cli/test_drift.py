from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.main import main

START = 1_704_067_200.0  # Monday, 1 January 2024


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A reference, and twelve days of which the last four moved."""
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(12), 300)
    known = {"age": rng.normal(40, 5, 3_000), "plan": rng.choice(["basic", "pro"], 3_000)}
    at = pa.array((1_000 * (START + day * 86_400.0 + 60)).astype(np.int64), pa.timestamp("ms"))
    now = {"at": at, "age": rng.normal(np.where(day < 8, 40, 50), 5), "plan": rng.choice(["basic", "pro"], day.size)}
    names = tmp_path / "known.parquet", tmp_path / "now.parquet"
    for name, data in zip(names, (known, now), strict=True):
        pq.write_table(pa.table(data), name)
    return str(names[0]), str(names[1])


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_a_table_over_time_is_told_window_by_window(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 where a window is breached; each window with its rows and what moved; how a column changed, since when."""
    page = tmp_path / "page.html"
    options = ["--timestamp", "at", "--window", "1d", "--html", str(page)]
    code, out, err = run(["drift", "--reference", files[0], "--current", files[1], *options], capsys)
    assert (code, err) == (1, "")
    assert out.startswith(
        "breached: breached in 4 of 12 windows, first in 2024-01-09 00:00: 1 of 2 columns drifted: age"
    )
    assert "age: sudden from 2024-01-09 00:00; " in out
    assert "critical-cell" in page.read_text()


def test_windows_are_json_too(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """One document, with every window."""
    options = ["--timestamp", "at", "--window", "1d", "--json"]
    code, out, _ = run(["drift", "--reference", files[0], "--current", files[1], *options], capsys)
    assert code == 1
    assert [window["rows"] for window in json.loads(out)["windows"]] == [300] * 12


def test_reading_in_parts_says_the_same(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """`--engine local` gives the report of the tables in memory, to the last byte."""
    verb = ["drift", "--reference", files[0], "--current", files[1], "--column", "age", "--json"]
    assert run(verb, capsys) == run([*verb, "--engine", "local"], capsys)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--window", "1d"], "windows need both --timestamp COL and --window LENGTH"),
        (["--timestamp", "at"], "windows need both --timestamp COL and --window LENGTH"),
        (["--timestamp", "at", "--window", "soon"], "window: 'soon' is not a duration such as 30s, 5m, 4h or 7d"),
        (["--timestamp", "plan", "--window", "1d"], "column 'plan' holds text"),
        (["--timestamp", "at", "--window", "1d", "--engine", "ray"], "windows are cut in memory: leave --engine out"),
        (["--engine", "spark"], "there is no engine 'spark': use memory, local, ray"),
    ],
)
def test_wrong_options_are_one_line(
    files: tuple[str, str], options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, what was wrong and the fix, and nothing on stdout."""
    code, out, err = run(["drift", "--reference", files[0], "--current", files[1], *options], capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"fairlead: {says}")
    assert err.count("\n") == 1
