"""The parts of a model in a terminal: each class, each group, fairness; the last window in figures, the others as a
line of bars."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from fairlead.faces.cli.output import emit_json, say, state, table
from fairlead.operations.overview import ModelView
from fairlead.operations.overview_parts import Kind, Line

_BARS = "▁▂▃▄▅▆▇█"
_TITLES: Sequence[tuple[Kind, str, str]] = (
    ("fairness", "Groups that must be treated alike", "column"),
    ("class", "By class", "class"),
    ("group", "By group", "group"),
)


def show_parts(view: ModelView, *, json: bool) -> None:
    """All lines, what is worse first within its kind."""
    parts = view.parts
    if json:
        emit_json(parts)
        return
    if not parts.lines:
        say("no window was judged by class or by group yet: it takes answers, and held-out rows in the bundle")
        return
    for kind, title, noun in _TITLES:
        rows = [_row(line) for line in parts.of(kind)]
        if rows:
            table(title, (noun, "figure", "last window", "held-out", "rows", "over time", "", ""), rows)
    if parts.left_out:
        say(f"{parts.left_out:,} more lines are in the windows' reports")


def _row(line: Line) -> tuple[str | Text, ...]:
    last = line.last
    value = "–" if last.value is None else line.shown(last.value)
    if last.value is not None and last.low is not None and last.high is not None:
        value += f" ({line.shown(last.low)} to {line.shown(last.high)})"
    before = "–" if last.before is None else line.shown(last.before)
    said = last.reason if last.outcome.value != "holds" else ""
    return line.part, line.what, value, before, f"{last.rows:,}", bars(line), state(last.outcome.value), said


def bars(line: Line) -> str:
    """The windows' values, the least as the lowest bar and the most as the highest; a blank where there is none.

    >>> from fairlead.core.verdict import Outcome
    >>> from fairlead.operations.overview_parts import Seen
    >>> seen = [Seen(str(n), Outcome.HOLDS, value) for n, value in enumerate((0.1, None, 0.2, 0.3))]
    >>> bars(Line("group", "a = b", "accuracy", tuple(seen)))
    '▁ ▄█'
    """
    known = [one.value for one in line.seen if one.value is not None]
    if not known:
        return ""
    least, room = min(known), max(known) - min(known)

    def bar(value: float | None) -> str:
        if value is None:
            return " "
        return _BARS[int((value - least) / room * (len(_BARS) - 1))] if room else _BARS[3]

    return "".join(bar(one.value) for one in line.seen)
