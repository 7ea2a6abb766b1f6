"""A contract against training data: `fl.validate`, and the verb."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairlead as fl
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.core.event import AliasMoved, VersionRegistered
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound, TableError, UsageError
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.testing.candidate import Parts, write_candidate
from fairlead.testing.registry import MemoryRegistry

CONTRACT = Contract(
    (
        Feature("age", Kind.INTEGER, minimum=18.0, maximum=90.0, out_of_range=Policy.REJECT),
        Feature("plan", Kind.CATEGORY, categories=("a", "b"), missing=Policy.IMPUTE, fill="a"),
        Feature("spend", Kind.NUMBER, nullable=True),
    ),
    Task.BINARY,
    "y",
    ("0", "1"),
    rules=(Rule("spend < age * 100"),),
)
GOOD: dict[str, list[Any]] = {"age": [20, 30, 40], "plan": ["a", "b", "c"], "spend": [1.0, None, 3.0], "y": [0, 1, 0]}
BAD: dict[str, list[Any]] = {"age": [20, 99, 40, 50], "plan": ["a", None, "c", "b"], "spend": [1.0, 2.0, 1e6, None]}


def test_a_table_that_may_be_answered_holds() -> None:
    """What is warned of is told, and is no breach; the target is none of the contract's business."""
    report = fl.validate(GOOD, CONTRACT)
    assert report.verdict.outcome is Outcome.HOLDS
    assert (report.rows, report.clean, report.warned, report.refused) == (3, 2, 1, 0)
    assert report.verdict.reason == "all 3 rows may be answered, with something strange in 1 field"


def test_every_field_is_counted_with_examples() -> None:
    """By kind, with the row and the value as it came; a rule is a field of its own."""
    report = fl.validate(BAD, CONTRACT)
    assert report.verdict.outcome is Outcome.BREACHED
    assert report.verdict.reason == (
        "2 of 4 rows (50.00%) would be refused or fall back: age (1), spend < age * 100 (1)"
    )
    age, plan, spend, rule = report.fields
    assert (age.out_of_range, age.refused, age.examples[0].row, age.examples[0].value) == (1, 1, 1, "99")
    assert (plan.missing, plan.unseen, plan.refused, plan.strange) == (1, 1, 0, 2)
    assert [(one.what, one.value) for one in plan.examples] == [("missing", "null"), ("unseen", '"c"')]
    assert spend.strange == 0
    assert (rule.kind, rule.broken_rule, rule.refused, rule.examples[0].row) == ("rule", 1, 1, 2)


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_any_table_will_do(made: Any) -> None:
    """Whatever library it comes from."""
    assert fl.validate(made(GOOD), CONTRACT).warned == 1


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_any_file_will_do(tmp_path: Path, suffix: str) -> None:
    """And says the same of the same rows."""
    frame, path = pd.DataFrame(GOOD), tmp_path / f"data{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    report = fl.validate(path, CONTRACT)
    assert (report.clean, report.warned, report.refused) == (2, 1, 0)


def test_a_share_of_the_rows_may_break_it() -> None:
    """The verdict says how many do."""
    many = {name: values * 100 for name, values in GOOD.items()}
    many["age"] = [*many["age"][:-1], 17]
    assert fl.validate(many, CONTRACT, allow=0.01).verdict.outcome is Outcome.HOLDS
    assert "within the 1.00% that are allowed" in fl.validate(many, CONTRACT, allow=0.01).verdict.reason
    assert fl.validate(many, CONTRACT).verdict.outcome is Outcome.BREACHED


def test_no_rows_say_nothing() -> None:
    """Neither good nor bad."""
    empty = {name: pa.array([], kind) for name, kind in (("age", pa.int64()), ("plan", pa.string()))}
    assert fl.validate(pa.table(empty), CONTRACT).verdict.outcome is Outcome.UNMEASURED


def test_a_report_leaves_as_a_frame_and_as_json() -> None:
    """One row for each feature and rule."""
    report = fl.validate(BAD, CONTRACT)
    frame = report.to_frame()
    assert frame.name.tolist() == ["age", "plan", "spend", "spend < age * 100"]
    assert frame.refused.tolist() == [1, 0, 0, 1]
    told = json.loads(report.to_json())
    assert told["verdict"]["outcome"] == "breached"
    assert told["fields"][0]["examples"][0] == {"row": 1, "what": "out_of_range", "value": "99"}


@pytest.mark.parametrize(
    ("table", "contract", "options", "kind", "why"),
    [
        ("no.parquet", CONTRACT, {}, TableError, "no.parquet"),
        (7, CONTRACT, {}, TableError, "int"),
        (GOOD, CONTRACT, {"allow": 1.0}, UsageError, "from 0 to below 1"),
        (GOOD, "stay@1", {"home": "nowhere"}, NotFound, "no home folder at nowhere"),
    ],
)
def test_what_cannot_be_validated_is_told(
    table: Any, contract: Any, options: Any, kind: type[FairleadError], why: str
) -> None:
    """With what would do."""
    with pytest.raises(kind) as caught:
        fl.validate(table, contract, **options)
    assert why in caught.value.line


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Context]:
    """A home with stay@1, its champion."""
    registry = MemoryRegistry()
    opened = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    draft = tmp_path / "draft"
    draft.mkdir()
    manifest = write_candidate(draft, Parts())
    digest = BundleFolder(opened.home / "bundles").put(draft, manifest)
    info = registry.register(manifest, digest, opened.bundles.path(digest))
    opened.journal.append(
        [VersionRegistered("stay", 1, digest, "july"), AliasMoved("stay", "champion", 1, None, "first")],
        actor="anna",
        at=1.0,
    )
    assert info.version == 1
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


def test_a_registered_version_brings_its_contract(home: Context) -> None:
    """By number or alias, from the home's journal; one that is not there is named with those that are."""
    rows = {"age": [30.0], "nights": [2], "city": ["aspen"]}
    assert fl.validate(rows, "stay@1", home=home.home).contract == "stay@1"
    assert fl.validate(rows, "stay@champion", home=home.home).clean == 1
    with pytest.raises(NotFound, match="there is stay@1"):
        fl.validate(rows, "stay@7", home=home.home)


def cli(context: Context, *arguments: str) -> int:
    """The command line over an opened home."""
    return run(build(lambda *_: context, "0"), ["--home", str(context.home), *arguments])


def test_the_verb_leaves_with_the_verdict(home: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 where all may be answered, 1 where some would be refused, 2 for what cannot be read."""
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.csv"
    pq.write_table(pa.table({"age": [30.0, 31.0], "nights": [2, None], "city": ["aspen", "berlin"]}), good)
    bad.write_text("age,nights,city\n30,2,aspen\nold,2,aspen\n")
    assert cli(home, "validate", "stay@1", str(good)) == 0
    assert "1 clean, 1 imputed" in capsys.readouterr().out
    assert cli(home, "validate", "stay@1", str(bad)) == 1
    out = capsys.readouterr().out
    assert "breached: 1 of 2 rows (50.00%)" in out
    assert '"old" (wrong type, row 1)' in out
    assert cli(home, "validate", "stay@1", str(bad), "--allow", "60%") == 0
    capsys.readouterr()
    assert cli(home, "validate", "stay@champion", str(bad), "--json") == 1
    assert json.loads(capsys.readouterr().out)["refused"] == 1
    for wrong in (["stay@9", str(good)], ["stay@1", "no.csv"], ["stay@1", str(good), "--allow", "200%"]):
        assert cli(home, "validate", *wrong) == 2
        said = capsys.readouterr().err
        assert said.startswith("fairlead: ")
        assert said.count("\n") == 1
