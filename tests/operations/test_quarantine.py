"""Refused rows as an operator sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace as with_settings
from pathlib import Path

import pytest
from msgspec.structs import replace

from fairlead.adapters.quarantine import QuarantineFolder, rows_of
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.quarantine import Quarantined, QuarantineLimits
from fairlead.errors import NotFound
from fairlead.faces.cli.app import build, run
from fairlead.operations import prediction_log
from fairlead.operations.context import Context
from fairlead.operations.quarantine import quarantine

ROW = Quarantined("r", "hotel", 2, "canary", "u", 1.0, 100.0, "features.age: expected a number", b'{"age":"x"}',
                  "features.age", "wrong_type", "age")  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A home with nothing in it."""
    opened = open_context(tmp_path / "home")
    yield opened
    assert isinstance(opened.journal, SqliteJournal)
    opened.journal.close()


@pytest.fixture
def filled(context: Context) -> Context:
    """Five rows of an age, one of a rule, one of another model."""
    box = QuarantineFolder(context.home / "log", 0, QuarantineLimits())
    for number in range(5):
        box.keep(replace(ROW, request_id=f"r{number}", received_at=100.0 + number, unit_id=f"u{number % 2}"))
    box.keep(replace(ROW, what="broken_rule", field="age > 1"))
    box.keep(replace(ROW, model_name="price", features=b"\xff" * 400))
    box.close()
    return context


def test_rows_are_counted_by_reason_and_field(filled: Context) -> None:
    """The commonest first, with the latest as examples."""
    found = quarantine(filled)
    assert (found.rows, found.is_on) == (7, False)
    first = found.reasons[0]
    assert (first.model, first.version, first.what, first.field, first.rows) == ("hotel", 2, "wrong_type", "age", 5)
    assert (first.first_at, first.last_at) == (100.0, 104.0)
    assert sorted(one.request_id for one in first.examples) == ["r2", "r3", "r4"]
    assert first.examples[0].features == '{"age":"x"}'
    assert [one.model for one in quarantine(filled, "price").reasons] == ["price"]
    assert quarantine(filled, "price").reasons[0].examples[0].features.endswith("...")
    with pytest.raises(NotFound, match="there is no model 'nobody' in this home"):
        quarantine(filled, "nobody")


def test_an_erasure_takes_the_refused_rows_too(filled: Context) -> None:
    """The log's own are counted apart."""
    done = prediction_log.erase(filled, "u1")
    assert (done.predictions, done.outcomes, done.refused) == (0, 0, 2)
    assert {row.unit_id for row in rows_of(filled.home / "log")} == {"u0", "u"}


def cli(context: Context, *arguments: str) -> int:
    """The command line over an opened home."""
    return run(build(lambda *_: context, "0"), ["--home", str(context.home), *arguments])


def test_the_verb_shows_them(filled: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and as JSON; a model that is not there is an error."""
    assert cli(filled, "log", "quarantine") == 0
    out = capsys.readouterr().out
    assert "7 refused rows" in out
    assert "wrong type" in out
    assert cli(filled, "log", "quarantine", "hotel", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 6
    assert cli(filled, "log", "quarantine", "nobody") == 2
    assert "there is no model 'nobody'" in capsys.readouterr().err


def test_the_verb_says_that_nothing_is_kept(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    """And how to keep rows where the settings keep none."""
    assert cli(context, "log", "quarantine") == 0
    assert "log: {quarantine: {}}" in capsys.readouterr().out
    kept = with_settings(context, settings=parse_settings("log: {quarantine: {}}"))
    assert cli(kept, "log", "quarantine") == 0
    assert capsys.readouterr().out == "no refused row is kept\n"
