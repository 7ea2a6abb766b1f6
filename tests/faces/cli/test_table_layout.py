"""Tables in a terminal: nothing is cut off, names stay whole, and no sentence becomes a ladder of words."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from tests.faces.cli.test_alerts import note, opened, typed

from fairlead.core.event import AlertRaised
from fairlead.faces.cli.table_layout import drawn, laid_out

WHY = (
    "window 2026-11-20T00:00Z (12,482 rows): lead_time broken: 41 % nulls where the reference has 0.3 %, PSI 2.14 "
    "beyond 0.25; the estimated AUROC falls from 0.912 to 0.842 (95 %: 0.829 to 0.856), about 1,240 a day"
)


def printed(
    width: int, headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[str, ...] = ()
) -> list[str]:
    """The lines of a table on a terminal of so many columns."""
    cells = [[Text(cell) for cell in row] for row in rows]
    to = Console(file=io.StringIO(), width=width, force_terminal=False)
    to.print(drawn("", laid_out(headers, cells, right, width), cells, right))
    assert isinstance(to.file, io.StringIO)
    return [line.rstrip() for line in to.file.getvalue().splitlines()]


def test_a_sentence_that_would_be_squeezed_goes_below_its_row() -> None:
    """Beside four columns 14 cells would be left for it; below it has the whole line."""
    rows = [("hotel-cancellation", "data-quality", "high", "2026-11-26 14:47Z", "revenue-team", WHY),
            ("taxi", "errors", "medium", "2026-11-26 14:47Z", "serving", "error_rate is 12%")]  # fmt: skip
    lines = printed(80, ("model", "alert", "severity", "since", "owner", "why"), rows)
    assert lines[0].split() == ["model", "alert", "severity", "since", "owner"]
    assert lines[1] == "hotel-cancellation  data-quality  high      2026-11-26 14:47Z  revenue-team"
    assert lines[2].startswith("    window 2026-11-20T00:00Z (12,482 rows): lead_time broken:")
    assert len(lines) == 7
    assert lines[-1] == "    error_rate is 12%"


def test_a_sentence_with_room_stays_in_its_column() -> None:
    """As in a table of two columns; and a wide terminal or a pipe changes nothing at all."""
    lines = printed(80, ("window", "because"), [("2026-11-20T00:00Z", WHY)])
    assert lines[0].split() == ["window", "because"]
    assert lines[2].startswith(" " * 19)
    assert printed(10_000, ("window", "because"), [("2026-11-20T00:00Z", WHY)])[1] == f"2026-11-20T00:00Z  {WHY}"


def test_sentences_of_several_columns_say_which_they_are() -> None:
    """An empty one says nothing."""
    rows = [("psi", "met", WHY, "a run is in progress, and one was made 3 days ago"), ("volume", "not met", WHY, "")]
    lines = printed(60, ("trigger", "", "because", "against a run"), rows)
    assert sum(line.startswith("    because: window") for line in lines) == 2
    assert sum(line.startswith("    against a run: a run is") for line in lines) == 1


def test_a_path_that_would_be_broken_goes_below_too() -> None:
    """Where names and figures would not fit beside it: it can be copied as it is."""
    path = "reports/hotel-cancellation/2026-11-20/gate-0123456789abcdef.html"
    lines = printed(70, ("when", "report", "lies in"), [("2026-11-20 00:00:00", "0123456789abcdef", path)])
    assert lines[1:] == ["2026-11-20 00:00:00  0123456789abcdef", f"    {path}"]


NAMES = st.text("abcde-_:", min_size=1, max_size=20)
SENTENCES = st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=0, max_size=40).map(" ".join)


@given(
    st.lists(st.tuples(NAMES, NAMES, SENTENCES, st.integers(0, 10**6).map(str), SENTENCES), min_size=1, max_size=5),
    st.integers(20, 130),
)
def test_nothing_is_cut_off_and_no_line_is_too_long(rows: list[tuple[str, ...]], width: int) -> None:
    """Whatever is in the cells and however narrow the terminal: every word is there; and where the names and figures
    fit side by side, each stands whole."""
    lines = printed(width, ("model", "alert", "why", "rows", "more"), rows, ("rows",))
    text = "\n".join(lines)
    assert "…" not in text
    assert all(len(line) <= width for line in lines)
    squeezed = "".join(text.split())
    assert all(letter in squeezed for row in rows for cell in row for letter in cell if letter != " ")
    taken = sum(
        max(len(head), *(len(row[place]) for row in rows)) for head, place in (("model", 0), ("alert", 1), ("rows", 3))
    )
    if taken + 4 <= width and any(len(row[2]) > 60 for row in rows) and any(len(row[4]) > 60 for row in rows):
        for row in rows:
            assert any(line.startswith(row[0]) and row[1] in line and row[3] in line for line in lines), row


@pytest.mark.parametrize("width", [80, 100])
def test_alerts_fit_a_narrow_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """As a person sees them: the alert's name can be copied, and its reason has lines of the terminal's width."""
    context = opened(tmp_path)
    fact = AlertRaised(
        "shop", "promotion-regressed:ro-20261120", "high", "It is worse", WHY, "revenue-team", "r.md", 5.0
    )
    context.journal.append([fact], actor="respond", at=time.time())
    note(context, time.time())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    assert typed(context)("alerts") == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= width
    assert any("promotion-regressed:ro-20261120" in line for line in lines)
    below = [line for line in lines if re.match(r"    (why: )?window 2026-11-20", line)]
    assert len(below) == 1
    assert len(below[0]) > width - 12
