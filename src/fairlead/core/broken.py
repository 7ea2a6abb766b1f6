"""Which windows' data are broken: what was learned from them would be the fault."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from fairlead.core.event import Entry
from fairlead.core.listing import first_of
from fairlead.core.report import SCORE, WindowReport, reports

_NAMED = 3


class Broken(Struct, frozen=True):
    """The broken columns of a window, of so many columns; `since` is the first of the windows in a row with any.
    `now`: no later window's columns hold."""

    columns: tuple[str, ...]
    of: int
    since: str
    now: bool = True

    @property
    def sentence(self) -> str:
        """Why nothing is learned from them.

        >>> Broken(("adr", "city"), 9, "w3").sentence
        '2 of 9 columns are broken since window w3: retraining would learn the fault (adr, city)'
        """
        one = len(self.columns) == 1
        was = ("is" if one else "are") if self.now else ("was" if one else "were")
        since = "since" if self.now else "in"
        return (
            f"{len(self.columns)} of {self.of} columns {was} broken {since} window {self.since}: retraining would "
            f"learn the fault ({first_of(self.columns, _NAMED)})"
        )


def broken_by(facts: Sequence[Entry], model: str, report: WindowReport | None = None) -> Broken | None:
    """What is broken in the data that a run would learn from: in the newest window with answers, or else in the judged
    one (`report`, which counts as the last word on its window). None where both hold."""
    known = _windows(facts, model, report)
    if not known:
        return None
    newest = known[-1]
    if newest.broken:
        return _told(newest, _since(known), now=True)
    if report is not None and report.broken:
        return _told(report, report.window, now=False)
    return None


def broken_spans(facts: Sequence[Entry], model: str) -> tuple[tuple[float, float], ...]:
    """From when until when (event time, the end excluded) the windows last judged as broken reach, in order."""
    return tuple((one.starts_at, one.ends_at) for one in _windows(facts, model) if one.broken)


def _windows(facts: Sequence[Entry], model: str, report: WindowReport | None = None) -> list[WindowReport]:
    """The last report of each window with answers, in the order of time."""
    known = {one.window: one for _, one in reports(facts) if one.model == model and one.rows}
    if report is not None and report.rows:
        known[report.window] = report
    return sorted(known.values(), key=lambda one: (one.starts_at, one.ends_at))


def _since(known: Sequence[WindowReport]) -> str:
    """The first of the last windows in a row that are broken."""
    first = known[-1]
    for one in reversed(known):
        if not one.broken:
            break
        first = one
    return first.window


def _told(report: WindowReport, since: str, *, now: bool) -> Broken:
    columns = [one.name for one in report.drift if one.name != SCORE]
    return Broken(tuple(one.name for one in report.broken), len(columns), since, now)
