"""The last calm window of each version, found again in the journal after a restart.

A report says of each column what it did since the last calm window, so which window was calm follows from reports. Its
counts are in the evidence that was kept of it; where none was, its answers are counted again as the log is read again.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import decompress
from zlib import error as ZlibError  # noqa: N812 - zlib spells its class in lower case

from msgspec import UNSET, Struct

from fairlead.core.compared import SEASON, Against
from fairlead.core.record import Prediction
from fairlead.core.report import WindowReport
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.previous import PATIENCE, Calm
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.references import Recount
from fairlead.stats.drift import Level
from fairlead.stats.habit import unpacked
from fairlead.stats.profile import TableProfile
from fairlead.stats.sparse import TableCounts, sparse


class _Last(Struct):
    """What `Calm` remembers, without the counts. `newest` and `habit` are of the last window of all: the digest of its
    evidence, and what its report says where it has none."""

    window: str = ""
    digest: str = ""
    newest: str = ""
    habit: bytes = b""
    since: dict[str, str] = {}
    waited: int = 0
    span: tuple[float, float] = (0.0, 0.0)
    rows: int = 0


class _Rows:
    """The answers that a window was judged from, read again."""

    def __init__(self, last: _Last) -> None:
        self.last = last
        self._seen: set[str] = set()
        self._cohort: Cohort | None = None

    def take(self, record: Prediction, reference: Reference) -> TableProfile | None:
        """Takes an answer in; the window's profile, once it was the last of them."""
        start, end = self.last.span
        if record.status != 200 or not start <= record.timestamp < end or record.request_id in self._seen:
            return None
        self._seen.add(record.request_id)
        self._cohort = self._cohort or Cohort(reference, profiled=True)
        self._cohort.add(record)
        return self._cohort.profile() if self._cohort.rows >= self.last.rows else None


class Calms:
    """Of one model. `place` tells the windows of a slide apart that do not overlap: 0 for those one after another."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], _Last] = {}
        self._held: dict[tuple[int, int], Calm] = {}
        self._read: dict[int, _Rows] | None = None  # by version: what a start must read again; None before it

    def follow(self, report: WindowReport, digest: str, place: int = 0) -> None:
        """Takes the first judgement of a window in, as `Calm.follow` did when it was made."""
        seasonal = isinstance(report.against, Against) and report.against.kind == SEASON
        if not report.drift or seasonal:  # what a season is compared with follows from the season
            return
        last = self._last.setdefault((report.version, place), _Last())
        jumps = [one for one in report.drift if one.jump_level or one.symptom]
        broken = any(one.symptom for one in jumps)
        leapt = any(one.jump_level == Level.CRITICAL and one.surprise is not None for one in jumps)
        last.newest, last.habit = digest, b"" if report.habit is UNSET else report.habit
        if (broken or leapt) and last.waited < PATIENCE:
            last.waited += 1
            last.since = {one.name: one.since for one in jumps}
            return
        last.window, last.digest, last.since, last.waited = report.window, digest, {}, 0
        last.span, last.rows = (report.starts_at, report.ends_at), report.rows if report.slide is UNSET else 0

    def restore(self, calm: Calm, version: int, recount: Recount | None, place: int = 0) -> None:
        """Lets what was loaded anew remember what its predecessor did. Where no evidence holds the counts of that
        window, its answers do, which `take` is given; without either it begins again."""
        last = self._last.get((version, place))
        if last is None or calm.counts is not None:
            return
        kept = recount(last.digest) if recount is not None and last.digest else None
        if kept is None and last.window:
            return
        _resume(calm, last, None if kept is None else kept.window, recount)

    def take(self, record: Prediction, load: Callable[[int], Reference | str], recount: Recount | None) -> None:
        """After a start: an answer, in the order of the log. Those of the last calm windows that no evidence holds are
        counted once more."""
        if self._read is None:
            alone = {version: last for (version, place), last in self._last.items() if not place and last.rows}
            self._read = {version: _Rows(last) for version, last in alone.items() if recount is None or not last.digest}
        wanted = self._read.get(record.model_version) if self._read else None
        if wanted is None:
            return
        reference = load(record.model_version)
        found = None if isinstance(reference, str) else wanted.take(record, reference)
        if found is not None and not isinstance(reference, str):
            del self._read[record.model_version]
            if reference.calm.counts is None:
                _resume(reference.calm, wanted.last, sparse(found), recount)

    def of(self, version: int, place: int, recount: Recount | None) -> Calm:
        """The last calm window among those of a place."""
        held = self._held.get((version, place))
        if held is None:
            held = self._held[version, place] = Calm()
            self.restore(held, version, recount, place)
        return held


def _resume(calm: Calm, last: _Last, counts: TableCounts | None, recount: Recount | None) -> None:
    calm.window, calm.counts, calm.since, calm.waited = last.window, counts, dict(last.since), last.waited
    newest = recount(last.newest) if recount is not None and last.newest else None
    kept = _unzipped(last.habit) if last.habit else b"" if newest is None else newest.habit
    calm.habit = unpacked(kept, int.from_bytes(kept[:4], "little"))


def _unzipped(text: bytes) -> bytes:
    try:
        return decompress(text)
    except ZlibError:
        return b""
