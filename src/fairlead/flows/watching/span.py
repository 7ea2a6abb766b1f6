"""One window while it lives: the cohorts of the versions that answered in it."""

from __future__ import annotations

from fairlead.core.report import WindowReport
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort


class Span:
    """`report` is the window's last judgement, in short. Until then everything is taken in; afterwards (a restart reads
    the log again) only the judged version's rows, and no more of them than were judged: what comes later is late."""

    def __init__(self, window: Window, report: WindowReport | None = None) -> None:
        self.window = window
        self.report = report
        self.cohorts: dict[int, Cohort] = {}
        self.unreadable: dict[int, int] = {}  # answers of versions whose bundle cannot be read
        self.failures: set[str] = set()
        self.late: set[int] = set()  # hashes of the requests that were answered once it had been judged

    def takes(self, version: int) -> bool:
        """Whether an answer of a version still counts."""
        if self.report is None:
            return True
        held = self.cohorts[version].rows if version in self.cohorts else 0
        return version == self.report.version and held < self.report.rows

    def judged(self, report: WindowReport) -> None:
        """Takes its judgement in, in short."""
        self.report = report

    def admits(self, request_id: str, version: int) -> bool:
        """Whether an answer still counts; one that comes too late is counted as that."""
        if self.takes(version):
            return True
        self.too_late(request_id, version)
        return False

    def too_late(self, request_id: str, version: int) -> None:
        """Counts an answer of the judged version that no longer counts, each request once; before all that was judged
        has been read again, it may be one of the answers that do."""
        cohort = self.cohorts.get(version)
        if self.complete and cohort is not None and cohort.place_of(request_id) is None:
            self.late.add(hash(request_id))

    @property
    def counts(self) -> bool:
        """Whether its answers' features are counted: they were, of a window that was judged before a restart."""
        return self.report is None

    @property
    def unsettled(self) -> tuple[Cohort, ...]:
        """The cohorts that hold more than a judged window needs."""
        return tuple(cohort for cohort in self.cohorts.values() if not cohort.settled)

    @property
    def complete(self) -> bool:
        """Whether it was judged, and holds all that it was judged from: nothing more counts."""
        cohort = None if self.report is None else self.cohorts.get(self.report.version)
        return self.report is not None and cohort is not None and cohort.rows >= self.report.rows

    @property
    def version(self) -> int | None:
        """The version that answered most; of equals, the newest. None where nothing was answered."""
        if self.report is not None:
            return self.report.version
        answered = self.answered
        return max(answered, key=lambda version: (answered[version], version), default=None)

    @property
    def answered(self) -> dict[int, int]:
        """Answers by version."""
        return {**{version: cohort.rows for version, cohort in self.cohorts.items()}, **self.unreadable}
