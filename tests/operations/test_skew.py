"""Serving features against training features, from a log and a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace as with_parts
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from msgspec import Raw
from msgspec.structs import replace

from fairlead.adapters.bundle_folder import BundleFolder, file_sha256
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.core.bundle import PROFILE
from fairlead.core.record import Prediction
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, TableError, UsageError
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.skew import Matching, distribution_skew, value_skew
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.candidate import CITIES, Parts, draw, write_candidate
from fairlead.testing.registry import MemoryRegistry

ROWS = 1_200


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A home with stay@1, the champion, registered with 2,000 drawn rows."""
    registry = MemoryRegistry()
    opened = with_parts(open_context(tmp_path / "home"), open_registry=lambda: registry)
    draft = tmp_path / "draft"
    draft.mkdir()
    manifest = write_candidate(draft, Parts())
    ages, nights, cities = zip(*draw(2_000, seed=3)[0], strict=True)
    codes = np.array([CITIES.index(city) for city in cities], np.int32)
    columns = (
        NumericColumn("age", np.array(ages)),
        NumericColumn("nights", np.array(nights, float)),
        CategoricalColumn("city", codes, CITIES),
        NumericColumn("__score__", np.array(ages) / 100),
    )
    (draft / PROFILE).write_bytes(msgspec.json.encode(profile(columns)))
    manifest = replace(manifest, files={**manifest.files, PROFILE: file_sha256(draft / PROFILE)})
    digest = BundleFolder(opened.home / "bundles").put(draft, manifest)
    registry.register(manifest, digest, opened.bundles.path(digest))
    registry.set_alias("stay", "champion", 1)
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


def frame(rows: int = ROWS, seed: int = 11) -> pd.DataFrame:
    """Training rows, with the ids and times of the requests that they were."""
    made = pd.DataFrame(draw(rows, seed)[0], columns=["age", "nights", "city"])
    made["request_id"] = [f"r{at}" for at in range(rows)]
    made["guest"] = [f"u{at % 7}" for at in range(rows)]
    made["at"] = [datetime.fromtimestamp(1_000_000.25 + at, UTC) for at in range(rows)]
    made["y"] = 1
    return made


def serve(context: Context, rows: pd.DataFrame, **changes: Any) -> list[Prediction]:
    """Logs the rows as requests, some features changed."""
    sent = rows.assign(**changes)
    records = []
    for at, row in enumerate(sent[["age", "nights", "city"]].to_dict("records")):
        features = {name: value for name, value in row.items() if value is not ...}
        records.append(
            Prediction(f"r{at}", "stay", 1, "champion", f"u{at % 7}", 1.0, 1_000_000.25 + at, 2e6,
                       Raw(msgspec.json.encode(features)), 1, 0.5, 1.0)
        )  # fmt: skip
    log = context.open_writer()
    log.predictions(records)
    log.close()
    return records


def test_the_same_values_hold(context: Context) -> None:
    """Whatever the columns' types are; what is no feature is left aside."""
    training = frame()
    serve(context, training)
    report = value_skew(context, "stay", training.astype({"age": "float32", "nights": "float64"}))
    assert report.verdict.outcome is Outcome.HOLDS
    assert (report.served, report.joined, report.ambiguous, report.absent) == (ROWS, ROWS, 0, ())
    assert {one.found.name for one in report.features} == {"age", "nights", "city"}
    assert all(one.found.unequal == 0 for one in report.features)


def test_a_feature_that_differs_is_named_with_examples(context: Context) -> None:
    """A fifth of the ages are off by one: breached, worst first, with both sides' values."""
    training = frame()
    ages = training.age.where(training.index % 5 != 0, training.age + 1)
    serve(context, training, age=ages)
    report = value_skew(context, "stay", training)
    assert report.verdict.outcome is Outcome.BREACHED
    worst = report.features[0]
    assert (worst.found.name, worst.found.unequal, worst.found.pairs) == ("age", 240, ROWS)
    assert worst.found.low < 0.2 < worst.found.high
    first = worst.examples[0]
    assert first.request_id == "r0"
    assert float(first.served) == pytest.approx(float(first.trained) + 1)
    assert report.to_frame().name.tolist()[0] == "age"
    assert json.loads(report.to_json())["features"][0]["share"] == 0.2


def test_a_feature_that_came_late_was_null_before(context: Context) -> None:
    """A request that leaves a feature out sent no value for it, also before any request had it."""
    training = frame()
    serve(context, training, city=[... if at < 600 else city for at, city in enumerate(training.city)])
    found = {one.found.name: one.found for one in value_skew(context, "stay", training).features}
    assert (found["city"].unequal, found["city"].pairs) == (600, ROWS)


def test_few_requests_are_not_enough(context: Context) -> None:
    """It is said, and how many would do; none at all is unmeasured."""
    training = frame()
    assert value_skew(context, "stay", training).verdict.reason == "no request is in the log: nothing was served yet"
    serve(context, training[:100])
    report = value_skew(context, "stay", training)
    assert report.verdict.outcome is Outcome.UNDECIDED
    assert "not enough data yet" in report.verdict.reason
    other = training.assign(request_id=[f"x{at}" for at in range(ROWS)])
    assert value_skew(context, "stay", other).verdict.outcome is Outcome.UNMEASURED


def test_each_request_counts_once(context: Context) -> None:
    """A shadow's record, a fallback's and a retry are the same request; rows that share a key are left out."""
    training = frame(50)
    records = serve(context, training)
    log = context.open_writer()
    log.predictions([replace(one, arm="shadow", shadow_of=1, model_version=2) for one in records])
    log.predictions([replace(one, arm="fallback") for one in records[:10]])
    log.predictions([replace(one, model_name="other") for one in records])
    log.close()
    twice = pd.concat([training, training[:5]])
    report = value_skew(context, "stay", twice)
    assert (report.served, report.joined, report.ambiguous) == (50, 45, 10)


def test_units_and_times_will_do_as_well(context: Context) -> None:
    """Where the training data have no request ids: a unit at an instant."""
    training = frame().drop(columns="request_id")
    serve(context, training)
    report = value_skew(context, "stay", training, Matching("guest", "at"))
    assert (report.verdict.outcome, report.joined, report.key) == (Outcome.HOLDS, ROWS, "guest with at")


@pytest.mark.parametrize(
    ("matching", "options", "kind", "why"),
    [
        (Matching("nothing"), {}, TableError, "no column 'nothing'"),
        (Matching("guest", "city"), {}, TableError, "'city' holds text"),
        (Matching(), {"limit": 1.0}, UsageError, "share below 1"),
        (Matching(), {"alpha": 0.5}, UsageError, "below 0.5"),
    ],
)
def test_what_cannot_be_compared_is_told(
    context: Context, matching: Matching, options: Any, kind: type[FairleadError], why: str
) -> None:
    """With what would do."""
    with pytest.raises(kind) as caught:
        value_skew(context, "stay", frame(20), matching, **options)
    assert why in caught.value.line


def test_the_log_is_compared_with_the_reference(context: Context) -> None:
    """The library's own drift report, over the features and not the score: calm, then moved."""
    serve(context, frame())
    calm = distribution_skew(context, "stay")
    assert calm.verdict.outcome in (Outcome.HOLDS, Outcome.UNDECIDED)
    assert {column.name for column in calm.columns} == {"age", "nights", "city"}
    later = frame()
    log = context.open_writer()
    log.predictions(
        [
            replace(one, request_id=f"s{one.request_id}", timestamp=3e6)
            for one in serve(context, later, age=later.age + 40)
        ]
    )
    log.close()
    moved = distribution_skew(context, "stay", since=2e6)
    assert moved.verdict.outcome is Outcome.BREACHED
    assert moved.columns[0].name == "age"
    assert moved.current.rows == ROWS


def test_rows_that_were_scored_are_no_requests(context: Context) -> None:
    """What `fairlead score` wrote is left out of both forms, and they say how many rows that is."""
    training = frame()
    records = serve(context, training)
    alone = distribution_skew(context, "stay")
    assert "left out" not in alone.verdict.reason
    log = context.open_writer()
    log.predictions([replace(one, request_id=f"b{one.request_id}", arm="batch") for one in records[:300]])
    log.close()
    found = distribution_skew(context, "stay")
    assert (found.current, found.columns) == (alone.current, alone.columns)
    said = f"{alone.verdict.reason}; 300 rows scored by `fairlead score` left out"
    assert found.verdict == replace(alone.verdict, reason=said)
    report = value_skew(context, "stay", training)
    assert (report.served, report.joined) == (ROWS, ROWS)
    assert report.verdict.reason.endswith("; 300 rows scored by `fairlead score` left out")


def test_an_empty_log_is_unmeasured(context: Context) -> None:
    """It is no success."""
    assert distribution_skew(context, "stay").verdict.outcome is Outcome.UNMEASURED


def cli(context: Context, *arguments: str) -> int:
    """The command line over an opened home."""
    return run(build(lambda *_: context, "0"), ["--home", str(context.home), *arguments])


def test_the_verb_leaves_with_the_verdict(context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both forms; 2 for what is asked wrongly."""
    training = frame()
    training.to_parquet(tmp_path / "training.parquet")
    assert cli(context, "skew", "stay", "--training", str(tmp_path / "training.parquet")) == 3
    told = capsys.readouterr().out
    assert "nothing was served yet" in told
    assert "unequal" not in told  # no table of nothing
    serve(context, training, age=training.age + 1)
    assert cli(context, "skew", "stay", "--training", str(tmp_path / "training.parquet")) == 1
    out = capsys.readouterr().out
    assert "1 of 3 features differ in more than 1.00% of the requests: age (100.00% unequal)" in out
    assert cli(context, "skew", "stay", "--training", str(tmp_path / "training.parquet"), "--json") == 1
    assert json.loads(capsys.readouterr().out)["features"][0]["name"] == "age"
    assert cli(context, "skew", "stay", "--html", str(tmp_path / "page.html"), "--json") in (0, 1, 3)
    assert "columns" in json.loads(capsys.readouterr().out)
    assert (tmp_path / "page.html").stat().st_size > 1000
    for wrong in (
        ["nobody"],
        ["stay", "--time", "at"],
        ["stay", "--training", "no.parquet"],
        ["stay", "--window", "soon"],
        ["stay", "--training", str(tmp_path / "training.parquet"), "--at-most", "200%"],
        ["stay", "--training", str(tmp_path / "training.parquet"), "--html", "x.html"],
    ):
        assert cli(context, "skew", *wrong) == 2, wrong
        said = capsys.readouterr().err
        assert said.startswith("fairlead: ")
        assert said.count("\n") == 1
