"""How the command line speaks."""

from __future__ import annotations

import json
import sys

import pytest
from rich.text import Text

from fairlead.core.rollout import Phase
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.output import emit_json, figure, instant, leave, progress_note, say, state, table


def test_each_verdict_has_its_exit_code() -> None:
    """0 holds, 1 is bad, 3 is not decided or not measured: silence is never success."""
    codes = {outcome: leave(outcome).exit_code for outcome in Outcome}
    assert codes == {Outcome.HOLDS: 0, Outcome.BREACHED: 1, Outcome.UNDECIDED: 3, Outcome.UNMEASURED: 3}


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are no markup, and a long line in a pipe is one line."""
    said = "[red]adr[/red] in [0, 1] [/] " + "x" * 400
    say(said)
    assert capsys.readouterr().out == said + "\n"


def test_a_piped_table_keeps_its_cells_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell with brackets, or longer than any terminal, can be found with grep."""
    table("", ("a", "b"), [("[0, 1]", Text("[/]")), ("y" * 300, "[red]end[/red] [/]")], ("b",))
    said = capsys.readouterr().out
    for cell in ("[0, 1]", "[/]", "y" * 300, "[red]end[/red] [/]"):
        assert cell in said


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Values of ours included."""
    emit_json({"phase": Phase.ROLLED_BACK, "rows": [1, None]})
    assert json.loads(capsys.readouterr().out) == {"phase": "rolled_back", "rows": [1, None]}


def test_progress_is_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, and not at all in a pipe."""
    progress_note("working")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress_note("working")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "working" in captured.err


def test_figures_instants_and_states() -> None:
    """A dash for what is not known, nothing for what never was, words without underscores."""
    assert [figure(0.12345), figure(2.0, 1), figure(None)] == ["0.123", "2.0", "–"]
    assert [instant(0.0), instant(None)] == ["1970-01-01 00:00:00", ""]
    assert (state("rolled_back").plain, state("rolled_back").style, state("odd").style) == ("rolled back", "red", "")
