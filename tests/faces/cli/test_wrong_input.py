"""Wrong files and options, by every verb that reads a table: one line on stderr, exit 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run

FILES = {
    "missing.parquet": (None, "missing.parquet does not exist: check the path"),
    "sheet.xlsx": (b"PK", "sheet.xlsx has no known suffix: use .parquet"),
    "empty.csv": (b"", "empty.csv is empty"),
    "head.csv": (b"y,p,arm\n", "head.csv has no rows"),
    "broken.parquet": (b"PAR1 and no more", "broken.parquet cannot be read as parquet"),
    "ragged.csv": (b"y,p\n1,2,3\n", "ragged.csv cannot be read as csv"),
    "array.json": (b'[{"y": 1}]', "array.json cannot be read as json"),
    "folder.parquet": (None, "is a folder: name one data file"),
}
READS = {
    "drift from": ["drift", "--reference", "FILE", "--current", "good.parquet"],
    "drift to": ["drift", "--reference", "good.parquet", "--current", "FILE"],
    "timeline": ["drift", "--reference", "good.parquet", "--current", "FILE", "--timestamp", "at", "--window", "7d"],
    "performance": ["performance", "FILE", "--target", "y", "--score", "p"],
    "performance against": ["performance", "good.parquet", "--target", "y", "--score", "p", "--reference", "FILE"],
    "experiment": ["experiment", "read", "FILE", "--arm", "arm", "--metric", "y"],
}
DRIFT = ["drift", "--reference", "good.parquet", "--current", "good.parquet"]
PERFORMANCE = ["performance", "good.parquet", "--target", "y", "--score", "p"]
READ = ["experiment", "read", "good.parquet", "--arm", "arm", "--metric", "y", "--control", "old"]
PLAN = ["experiment", "plan", "--baseline", "10%", "--detect", "11%"]
OPTIONS = [
    *[
        ([*verb, *more], said)
        for verb in (DRIFT, PERFORMANCE, READ)
        for more, said in (
            (["--html", "good/page.html"], "good/page.html cannot be written"),
            (["--html", "folder.parquet"], "folder.parquet cannot be written: Is a directory"),
            (["--html", ""], "cannot be written"),
            (["--nope"], "No such option: --nope"),
        )
    ],
    ([*PLAN, "--nope"], "No such option: --nope"),
    *[([*DRIFT, "--alpha", alpha], "a false discovery rate lies between 0 and 1") for alpha in ("2", "0", "nan")],
    ([*DRIFT, "--alpha", "much"], "Invalid value for '--alpha'"),
    ([*DRIFT, "--column", "nope"], "there is no column 'nope'"),
    ([*DRIFT, "--column", "l"], "which is no single value a row"),
    ([*DRIFT, "--timestamp", "nope", "--window", "7d"], "there is no column 'nope'"),
    ([*DRIFT, "--timestamp", "arm", "--window", "7d"], "column 'arm' holds text"),
    ([*DRIFT, "--timestamp", "at", "--window", "soon"], "window: 'soon' is not a duration"),
    ([*DRIFT, "--timestamp", "at", "--window", "1s"], "at most 20,000"),
    ([*PERFORMANCE, "--score", "arm"], "column 'arm' holds text: a score is a number"),
    ([*PERFORMANCE, "--segment", "nope"], "there is no column 'nope'"),
    ([*PERFORMANCE, "--metric", "nope"], "metric is 'nope'"),
    ([*READ, "--metric", "arm"], "column 'arm' holds text"),
    ([*READ, "--arm", "p"], "an arm column has 2 to 20"),
    ([*READ, "--unit", "l"], "not one value a row"),
    ([*READ, "--alpha", "2"], "--alpha: '2' is not a share"),
    ([*PLAN, "--alpha", "2"], "'2' is not a share"),
    ([*PLAN, "--baseline", "nan"], "--baseline: 'nan' is not a share"),
    ([*PLAN, "--traffic", "nan/day"], "write units and time"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good file, in which commands are typed."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    columns = {
        "y": (rng.random(300) < 0.4).astype(int),
        "p": rng.random(300),
        "arm": np.where(np.arange(300) % 2, "new", "old"),
        "at": np.arange(300) * 3_600.0,
        "l": [[1]] * 300,
    }
    pq.write_table(pa.table(columns), "good.parquet")
    (tmp_path / "folder.parquet").mkdir()
    return tmp_path


def refused(arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that leaves with 2 and writes nothing."""
    before = sorted(place.rglob("*"))
    assert run(build(open_context, "0.0.0"), ["--home", str(place / "home"), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert sorted(place.rglob("*")) == before
    return captured.err


@pytest.mark.parametrize("verb", READS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_named(
    name: str, verb: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with it, whichever verb reads it, on either side."""
    content, said = FILES[name]
    if content is not None:
        (place / name).write_bytes(content)
    assert said in refused([name if word == "FILE" else word for word in READS[verb]], place, capsys)


@pytest.mark.parametrize(("arguments", "said"), OPTIONS)
def test_an_option_that_does_not_fit_is_named(
    arguments: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What, where and the fix; no page is begun that cannot be finished."""
    assert said in refused(arguments, place, capsys)
