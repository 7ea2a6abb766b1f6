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

    def takes(self, version: int) -> bool:
        """Whether an answer of a version still counts."""
        if self.report is None:
            return True
        held = self.cohorts[version].rows if version in self.cohorts else 0
        return version == self.report.version and held < self.report.rows

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
