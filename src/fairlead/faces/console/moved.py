"""What moved in any time of a model: a form, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from fairlead.core.report import SCORE
from fairlead.errors import NotFound, UsageError
from fairlead.operations.drift_model import Asked, ModelDrift
from fairlead.stats.drift import ColumnDrift, Level

SHOWN = ("psi", "ks", "js", "wasserstein", "chi_squared")
STATES = {Level.NONE: "holds", Level.WARNING: "undecided", Level.CRITICAL: "breached"}
Drift = Callable[[str, Asked], ModelDrift]  # of `name`, or of a version: `name@3`


class Row(Struct, frozen=True):
    """A column: its name, the verdict's word, its level, and what its distances are, None for one that it has not."""

    name: str
    state: str
    level: str
    cells: tuple[float | None, ...]


class Found(Struct, frozen=True):
    """What the page shows: what was asked, and what was found, or what is wrong with it and the answer's status."""

    asked: Asked
    moved: ModelDrift | None = None
    problem: str = ""
    status: int = 200

    @property
    def values(self) -> dict[str, Any]:
        """For the template. The page stays as it is while somebody writes."""
        rows = [] if self.moved is None else [_row(column) for column in self.moved.report.columns]
        return {"asked": self.asked, "moved": self.moved, "problem": self.problem, "rows": rows, "still": True}


def _row(column: ColumnDrift) -> Row:
    known = {one.name: one.corrected for one in column.distances}
    name = "model score" if column.name == SCORE else column.name
    cells = tuple(known.get(each) for each in SHOWN)
    if column.unmeasured:
        return Row(name, "unmeasured", "unmeasured", cells)
    return Row(name, STATES[column.level], "still" if column.level is Level.NONE else str(column.level), cells)


def found(drift: Drift, model: str, query: Mapping[str, str]) -> Found:
    """Asks as the form says, from what is kept by the hour alone. What was asked wrongly is said beside the form."""
    reference = query.get("reference") or "training"
    window, until = query.get("window") or None, query.get("to") or None
    asked = Asked(window, query.get("segment", ""), reference, None, until, at_once=True)
    try:
        return Found(asked, drift(model, asked))
    except UsageError as error:
        return Found(asked, None, error.line, 404 if isinstance(error, NotFound) else 400)
