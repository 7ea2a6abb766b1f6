"""A past window as it was known when it was judged, and as it is known at another instant."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.report import MetricReading, Performance, WindowReport


class AsKnown(Struct, frozen=True):
    """One window twice. `then` is what the journal holds, and never changes; `performance` is recomputed from the log
    with what was known at `as_of` (event time; None: everything in the log).

    `late` labels came after the judgement; `corrected` rows had another label by then. `rows` are the answers known at
    that instant; `forgotten` counts answers that the journal judged and the log no longer has.
    """

    window: str
    version: int
    starts_at: float
    ends_at: float
    judged_at: float
    as_of: float | None
    rows: int
    then: Performance | None
    performance: Performance
    late: int = 0
    corrected: int = 0
    forgotten: int = 0

    @property
    def changed(self) -> bool:
        """Whether the primary metric comes out differently from what was judged."""
        before = None if self.then is None else self.then.realised
        return before != self.performance.realised


def readings(performance: Performance) -> dict[str, MetricReading]:
    """Every metric by name, the primary one first."""
    return {each.metric: each for each in (performance, *performance.also)}


def last_reports(found: list[WindowReport]) -> list[WindowReport]:
    """Each window's last judgement, oldest window first; windows without answers left out."""
    known = {report.starts_at: report for report in found}
    return [known[at] for at in sorted(known) if known[at].rows]
