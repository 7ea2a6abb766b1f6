"""The log's verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from fairlead.adapters.segment_log import SegmentLog
from fairlead.app.compose import open_context
from fairlead.faces.cli import log
from fairlead.faces.cli.app import run
from fairlead.faces.cli.session import Session
from fairlead.testing.log import make_prediction


def call(home: Path, *arguments: str) -> int:
    """Runs one verb in a home, as the command line does."""
    app = typer.Typer(rich_markup_mode=None)

    @app.callback()
    def shared(context: typer.Context) -> None:
        context.obj = Session(home, None, "", open_context)

    log.add_to(app)
    return run(app, ["log", *arguments])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with three predictions of two units."""
    open_context(tmp_path)
    writer = SegmentLog(tmp_path / "log", 0)
    writer.predictions([make_prediction(f"r{number}", unit_id=("anna", "ben")[number % 2]) for number in range(3)])
    writer.close()
    return tmp_path


def test_the_log_is_moved_told_and_erased_from(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three verbs, one after the other, for a person and for a program."""
    assert call(home, "compact") == 0
    assert "3 predictions and 0 outcomes are in the table" in capsys.readouterr().out
    assert call(home, "erase", "anna", "--reason", "asked", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"predictions": 2, "outcomes": 0, "refused": 0}
    assert call(home, "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["trouble"], told["waiting_bytes"]) == ({"predictions": 1}, "", 0)
    assert call(home, "status") == 0
    assert "1 predictions" in capsys.readouterr().out


def test_trouble_is_an_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that cannot be written: exit 2 and one line when compacting, exit 1 in the status."""
    (home / "log" / "table").write_text("in the way")
    assert call(home, "compact") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert call(home, "status") == 1


@pytest.mark.parametrize("arguments", [("erase",), ("erase", ""), ("compact", "now"), ("forget", "anna")])
def test_what_is_typed_wrongly_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """No subject, an empty one, a word too many, no such verb."""
    assert call(home, *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
