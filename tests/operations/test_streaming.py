from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from fairlead.errors import TableError, UsageError
from fairlead.operations.drift import drift, profile
from fairlead.operations.streaming import drift_sources, open_engine, profile_source
from fairlead.stats.profile import TableProfile
from fairlead.testing.engine import SerialEngine

ROWS = 4_000


def table(shift: float = 0.0, rows: int = ROWS, seed: int = 1) -> pa.Table:
    """Numbers, counts, instants, nulls and text."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "price": rng.lognormal(3, 0.8, rows) + shift,
            "nights": rng.poisson(3, rows),
            "score": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1),
            "at": pa.array(rng.integers(0, 10**12, rows), pa.timestamp("us")),
            "city": pa.array(np.array(["Oslo", "Rome", "Lima"])[rng.integers(0, 3, rows)]),
            "repeated": rng.random(rows) < 0.5,
            "void": pa.nulls(rows),
        }
    )


def same(one: TableProfile, two: TableProfile) -> bool:
    """Byte for byte."""
    return msgspec.json.encode(one) == msgspec.json.encode(two)


def folder_of(folder: Path, data: pa.Table, files: int, **options: Any) -> Path:
    """A table in several files."""
    folder.mkdir()
    step = -(-data.num_rows // files)
    for place in range(files):
        pq.write_table(data.slice(place * step, step), folder / f"{place:03}.parquet", **options)
    return folder


def test_every_source_has_the_profile_of_memory(tmp_path: Path) -> None:
    """Up to a million rows it does not matter where a table lies, nor how it is cut."""
    data = table()
    known = profile(data)
    pq.write_table(data, tmp_path / "one.parquet", row_group_size=333)
    write_deltalake(str(tmp_path / "delta"), data.drop_columns("void"))
    sources: list[Any] = [
        data,
        data.to_pandas(),
        tmp_path / "one.parquet",
        folder_of(tmp_path / "many", data, 7),
        str(tmp_path / "many" / "*.parquet"),
        ds.dataset(tmp_path / "one.parquet"),
        ds.dataset(data),
        data.to_reader(500),
        iter(data.to_batches(1_000)),
    ]
    for source in sources:
        assert same(profile_source(source), known)
    some = [name for name in data.column_names if name != "void"]
    assert same(profile_source(tmp_path / "delta", columns=some), profile_source(data, columns=some))


def test_a_batch_on_a_references_grids_has_the_profile_of_memory(tmp_path: Path) -> None:
    """In one pass, streams included."""
    like, data = profile(table()), table(5.0, seed=2)
    known = profile(data, like)
    for source in (data, folder_of(tmp_path / "many", data, 5, row_group_size=100), data.to_reader(300)):
        assert same(profile_source(source, like), known)


def test_drift_of_sources_is_drift_of_tables(tmp_path: Path) -> None:
    """The same report, byte for byte, from files, threads or one job after the other."""
    one, two = table(), table(4.0, seed=2)
    known = drift(one, two)
    left, right = folder_of(tmp_path / "a", one, 3), folder_of(tmp_path / "b", two, 1)
    for engine in ("local", SerialEngine()):
        assert drift_sources(left, right, engine=engine).to_json() == known.to_json()
    some = drift_sources(left, right, columns=["city", "price"], alpha=0.05)
    assert some.to_json() == drift(one, two, columns=["city", "price"], alpha=0.05).to_json()


def test_what_cannot_be_compared_is_unmeasured_as_in_memory() -> None:
    """A missing column, another kind, nested values, nothing but nulls."""
    left = pa.table(
        {"a": [1, 2], "b": [1, 2], "c": ["x", "y"], "d": [[1], [2]], "e": pa.nulls(2), "f": [1, 2], "g": [1, 2]}
    )
    right = pa.table(
        {"a": [1, 2], "b": ["x", "y"], "c": ["x", "y"], "d": [1, 2], "e": ["x", "y"], "f": pa.nulls(2), "h": [1, 2]}
    )
    found, known = drift_sources(left, right), drift(left, right)
    assert found.verdict.outcome == known.verdict.outcome
    reasons = [{one.name: one.unmeasured for one in report.columns} for report in (found, known)]
    assert reasons[0].keys() == reasons[1].keys()
    assert {name for name, reason in reasons[0].items() if reason} == {name for name, r in reasons[1].items() if r}
    assert reasons[0]["b"] == reasons[1]["b"] == "numbers in the reference, text in the current data"
    assert reasons[0]["e"] == reasons[1]["e"] == "all 2 reference values are null"
    assert reasons[0]["f"] == reasons[1]["f"]
    assert reasons[0]["g"] == reasons[1]["g"] == "missing from the current data"
    assert reasons[0]["h"] == reasons[1]["h"] == "missing from the reference"
    assert reasons[0]["d"] == "holds list<item: int64>, which is no single value a row (reference)"


def test_a_column_that_its_files_disagree_on_is_unmeasured_or_refused(tmp_path: Path) -> None:
    """Left out where nobody named it, refused where somebody did; the reason names the files."""
    pq.write_table(pa.table({"a": [1, 2], "b": [1, 2]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [3]}), tmp_path / "1.parquet")
    assert profile_source(tmp_path).names == ("b",)
    with pytest.raises(TableError, match=r"column 'a' cannot be compared: it holds numbers in .*0\.parquet, text in"):
        profile_source(tmp_path, columns=["a"])
    with pytest.raises(TableError, match=r"column 'a' cannot be compared: it holds numbers in"):
        profile_source(tmp_path, profile(pa.table({"a": [1]})))
    report = drift_sources({"a": [1, 2], "b": [1, 2]}, tmp_path)
    (reason,) = [one.unmeasured for one in report.columns if one.name == "a"]
    assert "1.parquet (current data)" in reason


def test_nulls_have_no_kind(tmp_path: Path) -> None:
    """Text of nothing but nulls in one file, numbers in another; and the same on the two sides of a comparison."""
    pq.write_table(pa.table({"a": pa.nulls(2, pa.string())}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": [1.0, 2.0]}), tmp_path / "1.parquet")
    found = profile_source(tmp_path)
    assert same(found, profile(pa.table({"a": [None, None, 1.0, 2.0]})))
    assert [one.nulls for one in profile_source(tmp_path, found).columns] == [2]
    words, nulls = pa.table({"a": ["x", "y"]}), pa.table({"a": pa.nulls(2, pa.float64())})
    for left, right in ((words, nulls), (nulls, words)):
        reports = drift_sources(left, right), drift(left, right)
        assert reports[0].columns[0].unmeasured == reports[1].columns[0].unmeasured


def test_progress_counts_the_jobs(tmp_path: Path) -> None:
    """Over both tables; a stream's end is not known."""
    steps: list[tuple[int, int]] = []
    drift_sources(table(), table(), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    steps.clear()
    profile_source(table().to_reader(), profile(table()), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 0)]


def test_columns_may_be_chosen() -> None:
    """By themselves, and of a reference."""
    assert profile_source(table(), columns=["city", "price", "city"]).names == ("city", "price")
    assert profile_source(table(), profile(table()), columns=["city", "price"]).names == ("price", "city")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: profile_source(table(), columns="price"), "columns is the text 'price'"),
        (lambda: profile_source(table(), columns=["prise"]), "there is no column 'prise'"),
        (lambda: profile_source(table(), profile(table()), columns=["prise"]), "there is no column 'prise'"),
        (lambda: profile_source({"x": [1]}, profile(table())), "there is no column 'price': the table has x"),
        (lambda: profile_source({"x": [[1]]}), "no column can be profiled: the table has x"),
        (lambda: profile_source(table(rows=0)), "has no rows"),
        (lambda: profile_source(table(rows=0), profile(table())), "has no rows"),
        (lambda: drift_sources({"a": [1]}, {"b": [1]}), "share no column that can be compared"),
        (lambda: drift_sources(table(), table(), columns="price"), "columns is the text"),
        (lambda: drift_sources(table(), table(), alpha=1.0), "alpha is 1.0"),
        (lambda: profile_source(table(), engine="spark"), "there is no engine 'spark'"),
        (lambda: profile_source(table(), workers=0), "workers is 0"),
    ],
)
def test_what_is_asked_wrongly_is_refused(call: Any, message: str) -> None:
    """In one line that says what is there."""
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in caught.value.line


def test_an_engine_that_is_handed_in_stays_open() -> None:
    """Who opens it closes it; one that is opened by name is closed."""
    engine = SerialEngine()
    profile_source(table(), engine=engine)
    assert not engine.closed
    open_engine("local", 1).close()


def peak(source: Path) -> float:
    """The most memory, in MiB, that a process of its own has held while it profiled a source."""
    code = (
        "import sys; from pathlib import Path; from fairlead.operations.streaming import profile_source; "
        "profile_source(sys.argv[1], workers=2); "
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(source)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("group", [1_000_000, 20_000_000], ids=["row groups of a million", "one row group"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, group: int) -> None:
    """Twelve million rows more are 192 MB of numbers: they cost less than a quarter of that, and all stays small."""
    rng = np.random.default_rng(0)
    for rows in (2_000_000, 14_000_000):
        data = pa.table({"x": rng.normal(size=rows), "k": rng.integers(0, 10**9, rows)})
        pq.write_table(data, tmp_path / f"{rows}.parquet", row_group_size=group)
    short, long = peak(tmp_path / "2000000.parquet"), peak(tmp_path / "14000000.parquet")
    assert long - short < 48
    assert long < 512


def test_a_stream_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept to be read twice is gone afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert profile_source(table().to_reader()).rows == ROWS
    assert list(tmp_path.iterdir()) == []
