"""Slots of windows that slide: each row is counted into one slot, and a window is the sum of its last few slots.

A slot is frozen when the window that ends with it is judged. What comes for it later is late: in no window of those
that follow either, or the order in which records come would decide what they hold.
"""

# ruff: noqa: SLF001 - a cohort is made of cohorts

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import reduce
from math import inf, nan
from operator import add

from fairlead.core.compared import Slide
from fairlead.core.report import WindowReport
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort, Labelled
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.span import Span


class Slot(Span):
    """`report` is the last judgement of the window that ends with it, in short; `told` what the first said of it."""

    def __init__(self, window: Window, report: WindowReport | None, told: Slide | None) -> None:
        super().__init__(window, report)
        self.told = told

    def takes(self, version: int) -> bool:
        """Whether an answer of a version still counts: a restart reads the log again."""
        if self.told is None:
            return True
        held = self.cohorts[version].rows if version in self.cohorts else 0
        return held < self.told.of(version)

    @property
    def complete(self) -> bool:
        """Whether it is frozen, and holds all that it held then."""
        held = {**{version: cohort.rows for version, cohort in self.cohorts.items()}, **self.unreadable}
        return self.told is not None and all(held.get(int(one), 0) >= rows for one, rows in self.told.rows.items())

    @property
    def answered(self) -> dict[int, int]:
        """Answers by version, as they were when it was frozen."""
        return super().answered if self.told is None else {int(one): rows for one, rows in self.told.rows.items()}

    @property
    def bare(self) -> bool:
        """Whether nothing at all came for it."""
        return not any(self.answered.values()) and not self.failed

    @property
    def failed(self) -> int:
        """Requests that got no answer."""
        return len(self.failures) if self.told is None else self.told.failed

    def judged(self, report: WindowReport) -> None:
        """Takes the judgement of the window that ends with it in, and is frozen by the first."""
        self.report = report
        if self.told is None and isinstance(report.slide, Slide):
            self.told = report.slide

    @property
    def counts(self) -> bool:
        """Its features count in each window that it is part of."""
        return True

    def too_late(self, request_id: str, version: int) -> None:
        """As of a window; what was answered while it is not settled is known by its name."""
        cohort = self.cohorts.get(version)
        known = cohort is not None and not cohort.settled and request_id in cohort.ids
        if not known:
            super().too_late(request_id, version)

    def slide(self, version: int) -> Slide:
        """What is told of it in a report on a version."""
        cohort = self.cohorts.get(version)
        labels = 0 if cohort is None else int(cohort.labelled().truth.size)
        rows = {f"{one}": count for one, count in sorted(self.answered.items())}
        return Slide(self.window.starts_at, rows, self.failed, labels)


class Joined(Cohort):
    """The answers of several slots as one cohort. `newest` are those of the window's last slot, which alone have not
    been in a window before; `units` is what was counted at its close, where that is past."""

    def __init__(
        self, reference: Reference, parts: Sequence[Cohort], newest: Cohort | None, units: int | None = None
    ) -> None:
        super().__init__(reference, profiled=False)
        self._newest = newest
        self._told_units = units
        for part in parts:
            self._join(part)
        if units is None:
            profiles = [found for part in parts if (found := part.profile()) is not None]
            self._profile = reduce(add, profiles) if profiles else None
            sums = [one for part in parts if (one := part.sums()) is not None]
            self._sums = reduce(add, sums) if sums else None
        self._counted = self.rows

    @property
    def units(self) -> int:
        """How many different units got an answer."""
        return len(set(self._unit)) if self._told_units is None else self._told_units

    def staked(self) -> Labelled:
        """The labelled rows that feed the test of the live loss: those of the newest slot."""
        return Cohort(self.reference, profiled=False).labelled() if self._newest is None else self._newest.labelled()

    def _join(self, part: Cohort) -> None:
        rows, labelled = part.rows, len(part._truth) == part.rows
        self._at += part._at
        self._score += part._score
        self._decided += part._decided
        self._unit += part._unit
        self._known += part._known
        self._truth += part._truth if labelled else array("d", [nan]) * rows
        self._observed_at += part._observed_at if labelled else array("d", [-inf]) * rows
        self._received_at += part._received_at if labelled else array("d", [-inf]) * rows
        part._count()
        self._cells += part._cells
        self._groups += part._groups


def joined(slots: Iterable[Slot], version: int, reference: Reference, newest: Slot, units: int | None = None) -> Joined:
    """One version's answers in the slots of a window."""
    parts = [slot.cohorts[version] for slot in slots if version in slot.cohorts]
    return Joined(reference, parts, newest.cohorts.get(version), units)
