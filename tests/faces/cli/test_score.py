"""score, from the command line: real bookings, a registered model, and what a stranger types."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops import io as skops

import fairlead as library
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run

BOOKINGS = Path(library.__file__).parent / "faces/demo/data/hotel_bookings.parquet"
ASIDE = ("booking_id", "arrival_date", "known_at", "is_canceled")


@dataclass(frozen=True)
class Hotel:
    """A home with hotel@1 in it, later bookings as Parquet and CSV, and what the fitted model says of them."""

    home: Path
    later: Path
    expected: Any


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Hotel:
    """Trained on summer 2015, registered by the command line."""
    folder = tmp_path_factory.mktemp("hotel")
    bookings = pq.read_table(BOOKINGS).to_pandas()
    training = bookings[bookings.arrival_date < datetime(2015, 10, 1)]  # noqa: DTZ001  # the data's days have no zone
    later = bookings[bookings.arrival_date >= datetime(2017, 8, 1)]  # noqa: DTZ001  # as above
    features = [name for name in bookings.columns if name not in ASIDE]
    texts = [name for name in features if not pd.api.types.is_numeric_dtype(bookings[name])]
    encode = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts)], remainder="passthrough"
    )
    fitted = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=15, random_state=0))
    fitted.fit(training[features], training.is_canceled)
    (folder / "model.skops").write_bytes(skops.dumps(fitted))
    training.to_parquet(folder / "reference.parquet", index=False)
    later.to_parquet(folder / "later.parquet", index=False)
    later.to_csv(folder / "later.csv", index=False)
    register = ["register", "hotel", "--model", "model.skops", "--reference", "reference.parquet"]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert fairlead(folder / "home", *register, "--target", "is_canceled", "--time-column", "arrival_date") == 0
    return Hotel(folder / "home", folder / "later.parquet", fitted.predict_proba(later[features])[:, 1])


def fairlead(home: Path, *arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), ["--home", str(home), *arguments])


def test_real_bookings_are_scored_as_the_model_was_fitted(
    hotel: Hotel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON document, exit 0; from Parquet and CSV the same bytes; each answer within 1e-5 of scikit-learn's; and
    the log has them as arm batch."""
    document = {}
    for suffix in ("parquet", "csv"):
        source, output = hotel.later.with_suffix(f".{suffix}"), tmp_path / f"{suffix}.csv"
        options = ["--id", "booking_id", "--keep", "is_canceled", "--timestamp", "arrival_date", "--json"]
        options += [] if suffix == "parquet" else ["--no-log"]
        assert fairlead(hotel.home, "score", "hotel@1", str(source), str(output), *options) == 0
        told = capsys.readouterr()
        document = json.loads(told.out)
        assert told.err == ""
        assert document["rows"] == len(hotel.expected)
        assert document["refused"] == document["failed"] == 0
        assert document["output"] == str(output)
        assert (document["model"], document["version"], document["logged"]) == ("hotel", 1, suffix == "parquet")
        assert document["rows_per_second"] > 0
    one, two = (csv.read_csv(tmp_path / f"{suffix}.csv") for suffix in ("parquet", "csv"))
    assert one.to_pylist() == two.to_pylist()
    assert max(abs(one.column("probability_1").to_numpy() - hotel.expected)) < 1e-5
    known = pq.read_table(hotel.later)
    assert one.column("request_id").to_pylist() == known.column("booking_id").to_pylist()
    assert one.column("is_canceled").to_pylist() == known.column("is_canceled").to_pylist()
    context = open_context(hotel.home)
    records, _ = context.open_log().poll(100_000)
    assert isinstance(context.journal, SqliteJournal)
    context.journal.close()
    assert {record.arm for record in records} == {"batch"}
    assert len(records) == len(hotel.expected)


def test_a_person_reads_what_it_came_to(hotel: Hotel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, speed, what was let through and where it is; exit 1 where too many rows have no answer."""
    bookings = pq.read_table(hotel.later).to_pandas().head(200)
    bookings.loc[[bookings.index[7]], "adr"] = float("inf")
    bookings.to_parquet(tmp_path / "some.parquet", index=False)
    command = ["score", "hotel@challenger", str(tmp_path / "some.parquet"), "--no-log"]
    assert fairlead(hotel.home, *command, str(tmp_path / "a.parquet")) == 0
    told = capsys.readouterr().out
    assert "hotel@1" in told
    assert "answered 200 rows" in told
    assert "1 refused by the contract, 0 failed in the model (0.500%)" in told
    assert "rows/s" in told
    assert f"{tmp_path}/a.parquet is written; not logged" in told
    assert fairlead(hotel.home, *command, str(tmp_path / "b.parquet"), "--max-errors", "0.1%") == 1
    assert "more than the 0.1% that --max-errors allows" in capsys.readouterr().out
    assert fairlead(hotel.home, *command, str(tmp_path / "c.parquet"), "--strict") == 2
    told = capsys.readouterr().err
    assert "some.parquet, row 8: features.adr: expected a number, came Infinity" in told
    assert not (tmp_path / "c.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["motel@1", "later.parquet", "out.csv"], "motel"),
        (["hotel@7", "later.parquet", "out.csv"], "hotel has no version 7: there are 1, challenger"),
        (["hotel@1", "nope.parquet", "out.csv"], "nope.parquet does not exist"),
        (["hotel@1", "later.parquet", "later.csv"], "exists: name another output, or replace it with --overwrite"),
        (["hotel@1", "later.parquet", "out.xlsx"], "is no output that can be written"),
        (["hotel@1", "later.parquet", "out.csv", "--max-errors", "many"], "--max-errors: 'many' is not a share"),
        (["hotel@1", "later.parquet", "out.csv", "--engine", "spark"], "there is no engine 'spark'"),
        (["hotel@1", "later.parquet", "out.csv", "--id", "nope"], "no column 'nope' for --id"),
        (["hotel@1", "later.parquet", "out.csv", "--workers", "0"], "at least one has to do the work"),
        (["hotel@1", "later.parquet", "out.csv", "--nope"], "No such option: --nope"),
        (["hotel@1", "later.parquet"], "Missing argument 'OUTPUT'"),
        (["hotel@1", "reference.parquet", "out.csv", "--keep", "status", "--strict"], "no column 'status' for --keep"),
    ],
)
def test_what_is_typed_wrongly_is_one_line_and_exit_2(
    hotel: Hotel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """On stderr, nothing on stdout, and nothing is written."""
    monkeypatch.chdir(hotel.later.parent)
    before = {one.name for one in hotel.later.parent.iterdir()}
    assert fairlead(hotel.home, "score", *arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert {one.name for one in hotel.later.parent.iterdir()} == before


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says how to begin."""
    assert fairlead(tmp_path / "home", "score", "hotel@1", "a.parquet", "b.parquet") == 2
    assert "there is no home folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_terminal_sees_a_bar_and_a_pipe_does_not(hotel: Hotel, tmp_path: Path) -> None:
    """The bar is on stderr, where a person watches."""
    main, other = pty.openpty()
    command = [sys.executable, "-c", "from fairlead.app.main import main; main()", "--home", str(hotel.home), "score"]
    command += ["hotel@1", str(hotel.later), str(tmp_path / "a.csv"), "--no-log", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other, text=True) as process:
        os.close(other)
        seen = b""
        while True:  # a terminal that nobody reads stops who writes
            try:
                seen += os.read(main, 4096)
            except OSError:
                break
        assert process.stdout is not None
        document = json.loads(process.stdout.read())
    os.close(main)
    assert b"scoring" in seen
    assert document["rows"] == len(hotel.expected)


@pytest.mark.slow
def test_ray_answers_as_threads_do(hotel: Hotel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes, and the same log."""
    for engine in ("local", "ray"):
        arguments = ["score", "hotel@1", str(hotel.later), str(tmp_path / f"{engine}.csv"), "--id", "booking_id"]
        assert fairlead(hotel.home, *arguments, "--engine", engine, "--workers", "2") == 0
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert "scored" not in capsys.readouterr().err
