"""An incident on one line: when what happened."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fairlead.core.listing import counted
from fairlead.faces.console.charts.scale import linear
from fairlead.faces.console.charts.svg import drawing, tag
from fairlead.faces.console.words import duration
from fairlead.operations.overview import Note

_WIDTH, _HEIGHT, _LINE = 1120.0, 68.0, 30.0
_TONES = {"plain": "is-muted", "good": "is-good", "warning": "is-warning", "bad": "is-bad"}


def timeline_strip(notes: Sequence[Note], began_at: float | None = None) -> Markup:
    """Notes as marks in proportion to time; bad news are triangles, good news full dots, the rest rings. `began_at` is
    when the harm began."""
    if not notes:
        return Markup("")
    first, last = notes[0].at, notes[-1].at
    x = linear((first, last), (12, _WIDTH - 12))
    parts = [tag("line", x1=12, x2=_WIDTH - 12, y1=_LINE, y2=_LINE, class_="axis")]
    if began_at is not None and first <= began_at <= last:
        at = x(began_at)
        anchor = "start" if at < _WIDTH / 2 else "end"
        parts.append(tag("line", x1=at, x2=at, y1=2, y2=_LINE + 10, class_="flag is-bad"))
        beside = at + (6 if anchor == "start" else -6)
        parts.append(tag("text", "harm began", x=beside, y=11, text_anchor=anchor, class_="flag-text is-bad"))
    parts += [_mark(note, x(note.at), note.at - first) for note in notes]
    parts.append(tag("text", "start", x=12, y=_HEIGHT - 8, class_="tick"))
    parts.append(
        tag("text", f"+{duration(last - first)}", x=_WIDTH - 12, y=_HEIGHT - 8, class_="tick", text_anchor="end")
    )
    return drawing(_WIDTH, _HEIGHT, f"{counted(len(notes), 'event')} over {duration(last - first)}", parts, "strip")


def _mark(note: Note, at: float, after: float) -> Markup:
    title = tag("title", f"+{duration(after)}: {note.title}")
    tone = _TONES[note.tone]
    if note.tone == "bad":
        return tag("path", title, d=f"M{at - 7:.1f} {_LINE + 6}l7 -13l7 13z", class_=f"event {tone}")
    hollow = " hollow" if note.tone == "plain" else ""
    return tag("circle", title, cx=at, cy=_LINE, r=5, class_=f"event {tone}{hollow}")
