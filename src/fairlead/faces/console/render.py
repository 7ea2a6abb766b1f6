"""Templates to text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec.structs import replace

from fairlead.core.listing import counted
from fairlead.core.rollout import Call, Phase
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.faces.console import charts, words
from fairlead.faces.console.assets import versions
from fairlead.faces.console.track import track
from fairlead.operations.overview import ModelView, Note, Overview
from fairlead.operations.rollouts import VERBS

_FOLLOWING = ("route_changed", "route_applied", "status_changed", "alert_quieted")
_REPEATING = ("postmortem_written", "retrain_decided", "incident_noted")
_OF_WINDOWS = (*_REPEATING, "alert_raised", "window_judged", "impact_judged", "loop_audited", "triage_done")
_WINDOW = re.compile(r"\b\d{4}-\S+")
_REFRESH_SECONDS = 10.0  # ages on the page are redrawn this often even where nothing happened


class Pages:
    """The compiled templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("fairlead.faces.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {
            "charts": charts,
            "words": words,
            "counted": counted,
            "track": track,
            "headlines": headlines,
            "chapters": chapters,
            "verdict_of": verdict_of,
            "Call": Call,
            "Phase": Phase,
            "Outcome": Outcome,
            "assets": versions(),
            "verbs": VERBS,
        }

    def draw(self, template: str, *, fragment: bool, values: dict[str, Any]) -> str:
        """A page, or only its live part."""
        name = template if fragment else "layout.html"
        return self._environment.get_template(name).render(values, content=template)

    def error(self, status: int, text: str, root: str) -> str:
        """An error page."""
        return self._environment.get_template("error.html").render(status=status, text=text, root=root)


def headlines(notes: Sequence[Note]) -> list[Note]:
    """The notes (newest first) without what others say already: the routes of a rollout follow its decisions, an alert
    that was held back is counted with the alert. Of what is said again and again, only the newest stays."""
    kept: list[Note] = []
    said: set[str] = set()
    for note in notes:
        if note.kind in _FOLLOWING or note.title in said:
            continue
        if note.kind in _REPEATING:
            said.add(note.title)
        kept.append(note)
    return kept


def chapters(notes: Sequence[Note]) -> list[Note]:
    """An incident's timeline (oldest first) without what is said again and again: the first time stays, and the last
    with how often it was said; that the postmortem follows the facts is said once."""
    times = Counter(map(_said, notes))
    seen: Counter[tuple[str, str]] = Counter()
    kept: list[Note] = []
    for note in notes:
        key = _said(note)
        seen[key] += 1
        if seen[key] == 1:
            kept.append(note)
        elif seen[key] == times[key] and note.kind != "postmortem_written":
            said = "The second time." if times[key] == 2 else f"The last of {times[key]} times."
            kept.append(replace(note, reason=f"{said} {note.reason}".strip()))
    return kept


def _said(note: Note) -> tuple[str, str]:
    """What a note says, whichever window it says it of."""
    return note.kind, _WINDOW.sub("", note.title) if note.kind in _OF_WINDOWS else f"{note.seq}"


def verdict_of(model: ModelView) -> Verdict:
    """The model's state in one word: the worst of the layers that are measured, unmeasured where none is."""
    measured = [Verdict(rung.outcome, rung.reason) for rung in model.ladder if rung.outcome is not Outcome.UNMEASURED]
    return worst(measured)


def seen_token(overview: Overview) -> str:
    """Changes when anything on the page would: a new fact, a route, a worker's state, or time."""
    workers = "".join(f"{worker.worker}{worker.outcome}{worker.generation}" for worker in overview.workers)
    workers += "".join(f"{shadow.model}{shadow.version}{shadow.status}" for shadow in overview.unseen)
    return f"{overview.seq}-{overview.generation}-{workers}-{overview.at // _REFRESH_SECONDS:.0f}"
