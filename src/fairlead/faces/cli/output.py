"""How the command line speaks: one JSON document on stdout, or tables a person reads; everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from fairlead.core.verdict import Outcome
from fairlead.faces.cli.table_layout import drawn, laid_out

_STYLES = {
    "holds": "green",
    "passed": "green",
    "promoted": "green",
    "safe": "green",
    "resolved": "green",
    "undecided": "yellow",
    "waived": "yellow",
    "proven": "green",
    "attested": "green",
    "expired": "yellow",
    "not_yet": "yellow",
    "held": "yellow",
    "mitigated": "yellow",
    "unmeasured": "magenta",
    "breached": "red",
    "failed": "red",
    "regress": "red",
    "rolled_back": "red",
    "open": "red",
}
_PIPE_WIDTH = 10_000  # a file has no edge to wrap at, and grep finds a cell only whole
_EXITS = {Outcome.HOLDS: 0, Outcome.BREACHED: 1, Outcome.UNDECIDED: 3, Outcome.UNMEASURED: 3}


def console() -> Console:
    """Standard output, looked up when it is used: tests and pipes replace it."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, highlight=False, soft_wrap=not terminal, width=None if terminal else _PIPE_WIDTH)


def say(text: str) -> None:
    """A line for the person, on stdout."""
    console().print(Text(text))


def progress_note(text: str) -> None:
    """A line about the work, on stderr, and only when a person watches."""
    if sys.stderr.isatty():
        Console(file=sys.stderr, highlight=False).print(Text(text, style="dim"))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr while a person watches; in a pipe there is none. What it yields is told (done, in all)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def emit_json(value: object) -> None:
    """One JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def state(word: str) -> Text:
    """A state's word in its colour."""
    return Text(word.replace("_", " "), style=_STYLES.get(word, ""))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Sequence[str] = ()) -> None:
    """A table; the columns named in `right` are aligned to the right. On a terminal that is too narrow for it,
    sentences go below their row; in a pipe each row is a line."""
    # What comes from users is text, never markup.
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    to = console()
    to.print(drawn(title, laid_out(columns, cells, right, to.width), cells, right))


def instant(at: float | None) -> str:
    """An instant as a person reads it, UTC."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many digits after the point; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def probability(value: float | None) -> str:
    """A p-value; one too small for a float is told as such."""
    if value is None:
        return ""
    return f"{value:.2g}" if value > 0 else "<1e-300"


def leave(outcome: Outcome) -> typer.Exit:
    """The exit that a verdict calls for."""
    return typer.Exit(_EXITS[outcome])
