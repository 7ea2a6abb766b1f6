"""The last calm window of each version, found again in the journal after a restart.

A report says of each column what it did since the last calm window, so which window was calm follows from reports; its
counts are in the evidence that was kept of it.
"""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.compared import SEASON, Against
from fairlead.core.report import WindowReport
from fairlead.flows.watching.previous import PATIENCE, Calm
from fairlead.flows.watching.references import Counted, Recount
from fairlead.stats.drift import Level
from fairlead.stats.habit import Habit, unpacked


class _Last(Struct):
    """What `Calm` remembers, without the counts."""

    window: str = ""
    digest: str = ""
    newest: str = ""  # of the last window of all: what its columns usually do
    since: dict[str, str] = {}
    waited: int = 0


class Calms:
    """Of one model. `place` tells the windows of a slide apart that do not overlap: 0 for those one after another."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], _Last] = {}
        self._held: dict[tuple[int, int], Calm] = {}

    def follow(self, report: WindowReport, digest: str, place: int = 0) -> None:
        """Takes the first judgement of a window in, as `Calm.follow` did when it was made."""
        seasonal = isinstance(report.against, Against) and report.against.kind == SEASON
        if not report.drift or seasonal:  # what a season is compared with follows from the season
            return
        last = self._last.setdefault((report.version, place), _Last())
        jumps = [one for one in report.drift if one.jump_level or one.symptom]
        broken = any(one.symptom for one in jumps)
        leapt = any(one.jump_level == Level.CRITICAL and one.surprise is not None for one in jumps)
        last.newest = digest
        if (broken or leapt) and last.waited < PATIENCE:
            last.waited += 1
            last.since = {one.name: one.since for one in jumps}
            return
        last.window, last.digest, last.since, last.waited = report.window, digest, {}, 0

    def restore(self, calm: Calm, version: int, recount: Recount | None, place: int = 0) -> None:
        """Lets what was loaded anew remember what its predecessor did. Without the counts of that window it begins
        again."""
        last = self._last.get((version, place))
        if last is None or recount is None or calm.counts is not None:
            return
        kept = recount(last.digest) if last.digest else None
        if kept is None and last.window:
            return
        counts = None if kept is None else kept.window
        calm.window, calm.counts, calm.since, calm.waited = last.window, counts, dict(last.since), last.waited
        newest = recount(last.newest) if last.newest else None
        calm.habit = _habit(newest)

    def of(self, version: int, place: int, recount: Recount | None) -> Calm:
        """The last calm window among those of a place."""
        held = self._held.get((version, place))
        if held is None:
            held = self._held[version, place] = Calm()
            self.restore(held, version, recount, place)
        return held


def _habit(newest: Counted | None) -> Habit:
    if newest is None or newest.window is None:
        return Habit()
    return unpacked(newest.habit, len(newest.window.columns))
