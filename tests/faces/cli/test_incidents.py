"""incident, as typed: each verb answers in a line, and `show` says what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.core.event import VersionRegistered
from fairlead.faces.cli.app import build, run
from fairlead.operations.incidents import list_incidents

Typed = Callable[..., int]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """`fairlead incident …` on a home that knows a model."""
    context = open_context(tmp_path / "home")
    context.journal.append([VersionRegistered("hotel", 1, "d" * 64, "drawn")], actor="ana", at=1.0)
    app = build(lambda *_: context, "0")
    return lambda *words: run(app, ["--home", str(context.home), "incident", *words])


def test_an_incident_by_hand_says_what_to_do_next(
    typed: Typed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken up, looked into, noted, resolved, read: each step names the next one, with the words to type."""
    assert typed("open", "hotel", "Guests complain") == 0
    (one,) = list_incidents(open_context(tmp_path / "home"))
    assert capsys.readouterr().out == f"{one.id} is open\n"

    def shown() -> str:
        assert typed("show", one.id) == 0
        return " ".join(capsys.readouterr().out.split())

    said = shown()
    assert f"take it up: fairlead incident acknowledge {one.id}" in said
    assert f"find out where it lies: fairlead incident triage {one.id}" in said
    assert typed("acknowledge", one.id) == 0
    assert capsys.readouterr().out == f"{one.id} is acknowledged: its clock has stopped\n"
    assert "take it up" not in shown()
    assert typed("note", one.id, "called the front desk") == 0
    assert capsys.readouterr().out == f"noted; {one.id} is acknowledged\n"
    assert typed("message", one.id, "users") == 0
    told = capsys.readouterr().out
    assert "we have been looking into something that was reported to us" in told
    assert "unknown" not in told
    assert typed("resolve", one.id, "the feed is mended") == 2
    assert f"run `fairlead incident triage {one.id}`, or say why none is needed" in capsys.readouterr().err
    assert typed("resolve", one.id, "the feed is mended", "--without-triage", "a false call") == 0
    assert capsys.readouterr().out == f"{one.id} is resolved\n"
    assert shown().endswith(f"read it: fairlead incident postmortem {one.id}")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "inc-none"), 2, "there is no incident 'inc-none'"),
        (("message", "ID", "press"), 2, "'press' is no audience"),
        (("open", "nope", "It fails"), 2, "there is no model 'nope'"),
    ],
)
def test_a_wrong_word_gets_a_line(
    typed: Typed, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    """What was typed, and what there is."""
    assert typed("open", "hotel", "Guests complain") == 0
    (one,) = list_incidents(open_context(tmp_path / "home"))
    assert typed(*(one.id if word == "ID" else word for word in words)) == code
    assert said in capsys.readouterr().err
