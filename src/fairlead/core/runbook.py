"""Runbooks as values: what raises an alert, who answers by when, and the steps, each with the command that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from msgspec import Struct

from fairlead.core.triage import FIRST_RESPONSE


class RunStep(Struct, frozen=True):
    """One step: what it is for, the command, and the rehearsal that proves it (empty: only a person can do it)."""

    text: str
    command: str = ""
    rehearsal: str = ""


class Rehearsed(Struct, frozen=True):
    """How a step went when it was last tried."""

    at: float
    passed: bool
    seconds: float
    reason: str = ""

    @property
    def said(self) -> str:
        """In words."""
        day = f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d %H:%M}Z"
        word = "works" if self.passed else "did not work"
        return f"tried {day}, {self.seconds:.1f} s: {word}" + (f": {self.reason}" if self.reason else "")


class Runbook(Struct, frozen=True):
    """A page. `raised` is the condition with its figures as configured; `model` is empty where it is for all."""

    name: str
    title: str
    raised: str
    severity: str
    category: str
    owner: str
    answer_within: float
    channels: tuple[str, ...]
    escalation: tuple[str, ...]
    steps: tuple[RunStep, ...]
    model: str = ""


NAME = "NAME"  # stands for the model in a command of a page for all models
_LOOK = (
    RunStep("See what stands and since when.", "fairlead alerts", "alerts"),
    RunStep("Take the incident, so that the clock stops.", "fairlead incident acknowledge ID 'I look at it'"),
    RunStep(
        "Run the triage: machines, panels, golden rows, timeline, decision.", "fairlead incident triage ID", "triage"
    ),
)
_CLOSE = (
    RunStep("Tell those who are to be told; the drafts are there.", "fairlead incident message ID product"),
    RunStep("Say that it is over, and how that is known.", "fairlead incident resolve ID 'three windows hold'"),
    RunStep("Complete the postmortem within five working days.", "fairlead incident postmortem ID", "postmortems"),
)
_BY_CATEGORY: Mapping[str, tuple[RunStep, ...]] = MappingProxyType(
    {
        "data": (
            RunStep("Which column, which reading?", f"fairlead drift {NAME}", "windows"),
            RunStep("Note what its producer changed, so that the triage lays it beside the beginning.",
                    f"fairlead timeline note 'what changed' --source WHERE --model {NAME}"),
            RunStep("Ask for the mending, with an owner and a date.", "fairlead incident act ID fix_data"),
        ),
        "model": (
            RunStep("What moved, and is anybody worse off?", f"fairlead drift {NAME}", "windows"),
            RunStep("Does what serves answer as it was registered?", "fairlead incident triage ID", "golden"),
            RunStep("Go back to the version before; seconds.", "fairlead incident act ID rollback", "rollback"),
            RunStep("Or mend the scores, where the ranking is kept; minutes.", "fairlead incident act ID recalibrate"),
            RunStep("Or train a challenger; it passes the gate first.", "fairlead incident act ID retrain", "trainer"),
        ),
        "infrastructure": (
            RunStep("Are the workers there, at the newest route?", "fairlead status", "workers"),
            RunStep("Is there room on the log's disk?", "fairlead log status", "disk"),
            RunStep("More workers: set serving.workers and start again; callers are drained.",
                    "fairlead up --workers N"),
        ),
        "integration": (
            RunStep("Which version answers whom, and why?", f"fairlead why {NAME}", "workers"),
            RunStep("Go back to the version before; seconds.", f"fairlead rollback {NAME}", "rollback"),
        ),
        "business": (
            RunStep("Which figure, since when?", "fairlead status", "alerts"),
            RunStep("What would the version before have cost?", f"fairlead show {NAME}@champion"),
        ),
    }
)  # fmt: skip


def steps_for(category: str, model: str = "") -> tuple[RunStep, ...]:
    """The steps of a page: look, do what its category asks for, close.

    >>> steps_for("data", "hotel")[3].command
    'fairlead drift hotel'
    """
    own = _BY_CATEGORY.get(category, _BY_CATEGORY["infrastructure"])
    named = model or NAME
    return tuple(
        RunStep(step.text, step.command.replace(NAME, named), step.rehearsal) for step in (*_LOOK, *own, *_CLOSE)
    )


def page(book: Runbook, rehearsed: Mapping[str, Rehearsed]) -> str:
    """The page as Markdown."""
    head = (
        f"# {book.title}",
        f"**Raised when** {book.raised}.",
        (
            f"| severity | answer within | owner | channels | category |\n|---|---|---|---|---|\n"
            f"| {book.severity} | {span(book.answer_within)} | {book.owner} | {', '.join(book.channels) or 'none'} | "
            f"{book.category} |"
        ),
        f"**First response:** {FIRST_RESPONSE.get(book.category, 'look by hand')}.",
    )
    lines = [line for number, step in enumerate(book.steps, 1) for line in _step(number, step, rehearsed)]
    parts = [*head, "\n".join(lines)]
    if book.escalation:
        parts.append("**Escalation:**\n\n" + "\n".join(f"- {line}" for line in book.escalation))
    return "\n\n".join(parts) + "\n"


def index(books: Sequence[Runbook], rehearsed: Mapping[str, Mapping[str, Rehearsed]]) -> str:
    """The first page: every alert, how bad it is, and where to read on."""
    rows = [
        f"| [{book.title}]({book.name}.md) | {book.severity} | {span(book.answer_within)} | {book.owner} | "
        f"{_proved(book, rehearsed.get(book.name, {}))} |"
        for book in books
    ]
    head = "| alert | severity | answer within | owner | rehearsed |\n|---|---|---|---|---|"
    return (
        "# Runbooks\n\nMade from the settings: what is here is what is configured.\n\n"
        + "\n".join([head, *rows])
        + "\n"
    )


def _step(number: int, step: RunStep, rehearsed: Mapping[str, Rehearsed]) -> list[str]:
    lines = [f"{number}. {step.text}"]
    if step.command:
        lines.append(f"   `{step.command}`")
    known = rehearsed.get(step.rehearsal) if step.rehearsal else None
    if known is not None:
        lines.append(f"   ({known.said})")
    return lines


def _proved(book: Runbook, rehearsed: Mapping[str, Rehearsed]) -> str:
    wanted = {step.rehearsal for step in book.steps if step.rehearsal}
    known = [rehearsed[name] for name in wanted if name in rehearsed]
    if not known:
        return "never"
    passed = sum(one.passed for one in known)
    return f"{passed} of {len(wanted)} steps, {datetime.fromtimestamp(min(one.at for one in known), UTC):%Y-%m-%d}"


def span(seconds: float) -> str:
    """
    >>> span(0.0), span(900.0), span(86400.0)
    ('at once', '15 min', '1 day')
    """
    if seconds < 60:
        return "at once" if seconds == 0 else f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    days = seconds / 86_400
    return f"{seconds / 3600:.0f} h" if days < 1 else f"{days:.0f} day{'s' * (days >= 1.5)}"
