"""watch, with windows that slide: one is judged at the end of each slot, over the last few slots.

Each row is counted into one slot, each label is laid on the test of the live loss once, and a window is compared with
the last calm one that it does not overlap. What is held of a slot goes once every window that it is part of was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, nextafter
from typing import Any

from msgspec.structs import replace

from fairlead.core.compared import Slide
from fairlead.core.report import Stage, WindowReport
from fairlead.core.window import Window, WindowPlan
from fairlead.flows.watch import Watch
from fairlead.flows.watching.journalled import unreadable
from fairlead.flows.watching.judge import Seen, empty, measured
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.slides import Slot, joined
from fairlead.flows.watching.span import Span
from fairlead.flows.watching.verdicts import judged
from fairlead.stats.sparse import sparse


class SlidingWatch(Watch):
    """Watches windows of `plan.slides` slots."""

    def __init__(self, *asked: Any, **named: Any) -> None:
        """As `Watch`."""
        self._frozen: dict[float, Slide] = {}  # what was told of slots that are still part of windows
        super().__init__(*asked, **named)

    # -- slots ----------------------------------------------------------------------------------------------------

    def _key(self, report: WindowReport) -> float:
        return self._last_slot(report).starts_at

    def _last_slot(self, report: WindowReport) -> Window:
        return self._plan.window_of(nextafter(report.ends_at, -inf))

    def _begun(self, window: Window) -> Span:
        return Slot(window, self._judged.get(window.starts_at), self._frozen.get(window.starts_at))

    def _over(self, window: Window) -> bool:
        """Whether every window that a slot is part of has matured."""
        return all(self._has_matured(one) for one in self._following(window))

    def _following(self, slot: Window) -> Iterator[Window]:
        """The slots with which the windows end that a slot is part of."""
        for _ in range(self._plan.slides):
            yield slot
            slot = self._plan.after(slot)

    def _slots(self, slot: Window) -> tuple[Slot, ...]:
        """What there is of the window that ends with a slot."""
        found = (self._spans.get(one.starts_at) for one in self._plan.parts(slot))
        return tuple(one for one in found if isinstance(one, Slot) and not one.bare)

    def _settle(self, span: Span) -> None:
        """Features are counted in every window: they stay until the last that a slot is part of was judged."""
        if span.complete and all(one.starts_at in self._judged for one in self._following(span.window)):
            super()._settle(span)

    def _done(self, span: Span, report: WindowReport) -> None:
        span.judged(report)
        if isinstance(span, Slot) and span.bare:
            del self._spans[span.window.starts_at]
        for slot in self._slots(span.window):
            if self._over(slot.window):
                super()._done(slot, report)

    # -- judging --------------------------------------------------------------------------------------------------

    def _reports(self, now: float) -> Iterator[WindowReport]:
        for slot in self._ends():
            if not self._plan.closed(slot, now):
                break
            yield from self._silence(slot.starts_at, now)
            if self._has_matured(slot):
                continue
            span = self._spans.get(slot.starts_at)
            if span is None:
                span = self._spans[slot.starts_at] = self._begun(slot)
            if span.report is None:
                self._keep_slots(span)
            report = self._close(span, now) if span.report is None else self._mature(span, now)
            if report is not None:
                yield report
        yield from self._silence(inf, now)
        for span in list(self._spans.values()):
            self._settle(span)

    def _ends(self) -> list[Window]:
        """The slots with which windows end in which something was answered, oldest first."""
        starts = sorted(start for start, one in self._spans.items() if isinstance(one, Slot) and not one.bare)
        found: list[Window] = []
        for start, following in zip(starts, [*starts[1:], inf], strict=True):
            for slot in self._following(self._spans[start].window):
                if slot.starts_at >= following:
                    break
                found.append(slot)
        return found

    def _silence(self, until: float, now: float) -> Iterator[WindowReport]:
        last = self._last
        if last is None or last.rows == 0:
            return
        slot = self._plan.window_of(last.ends_at)
        if slot.starts_at < until and not self._slots(slot) and self._plan.closed(slot, now):
            silent = empty(Seen(self.model, self._plan.over(slot), now, Stage.MATURED), last.version, self._policy)
            yield replace(silent, slide=Slide(slot.starts_at))

    def _close(self, span: Span, now: float) -> WindowReport | None:
        assert isinstance(span, Slot)
        slots, window = self._slots(span.window), self._plan.over(span.window)
        answered: dict[int, int] = {}
        for slot in slots:
            for version, rows in slot.answered.items():
                answered[version] = answered.get(version, 0) + rows
        seen = Seen(self.model, window, now, Stage.CLOSED, failed=sum(slot.failed for slot in slots))
        if not answered:
            last = 0 if self._last is None else self._last.version
            return self._sliding(empty(replace(seen, stage=Stage.MATURED), last, self._policy), span)
        version = max(answered, key=lambda one: (answered[one], one))
        seen = replace(seen, other_rows=sum(answered.values()) - answered[version])
        reference = self._reference(version)
        if isinstance(reference, str):
            seen = replace(seen, stage=Stage.MATURED)
            return self._sliding(unreadable(seen, version, answered[version], reference, self._policy), span)
        return self._closed(span, slots, self._placed(reference, span.window), seen)

    def _closed(self, span: Slot, slots: Sequence[Slot], reference: Reference, seen: Seen) -> WindowReport:
        version = reference.version
        cohort = joined(slots, version, reference, span)
        if self._ripe(seen.window, cohort, seen.judged_at):
            seen = replace(seen, stage=Stage.MATURED)
        chosen = self._compares.choose(reference, self._plan.parts(span.window), self._reference)
        evidence, found = measured(seen, cohort, self._tests.get(version), self._policy, chosen)
        newest = span.cohorts.get(version)
        part = None if newest is None or not self._compares.seasonal else newest.profile()
        bare = self._sliding(evidence.bare, span)
        evidence = replace(evidence, bare=bare, newest=None if part is None else sparse(part))
        return self._decided(evidence, judged(evidence, reference.profile, found=found))

    def _mature(self, span: Span, now: float) -> WindowReport | None:
        before = span.report
        assert isinstance(span, Slot)
        if before is None or not (slots := self._slots(span.window)):
            return None
        reference = self._reference(before.version)
        if isinstance(reference, str):
            return None
        cohort = joined(slots, before.version, reference, span, before.units)
        if not self._ripe(self._plan.over(span.window), cohort, now):
            return None
        return self._matured(span, before, cohort, now)

    def _sliding(self, report: WindowReport, span: Slot) -> WindowReport:
        return replace(report, slide=span.slide(report.version))

    # -- what later windows are compared with -----------------------------------------------------------------------

    def _placed(self, reference: Reference, slot: Window) -> Reference:
        """The same, with the last calm window of those that this one does not overlap."""
        place = self._plan.place(slot) % self._plan.slides
        return replace(reference, calm=self._calms.of(reference.version, place, self._recount))

    def _first(self, report: WindowReport, digest: str) -> None:
        slot = self._last_slot(report)
        if isinstance(report.slide, Slide):
            self._frozen[slot.starts_at] = report.slide
            oldest = next(iter(self._frozen))
            if self._over(self._plan.window_of(oldest)):
                del self._frozen[oldest]
        self._calms.follow(report, digest, self._plan.place(slot) % self._plan.slides)
        rows = report.slide.of(report.version) if isinstance(report.slide, Slide) else report.rows
        fresh = self._fresh.pop(report.starts_at, None)
        self._compares.meet(slot, replace(report, rows=rows), digest, fresh)


def kind_of(plan: WindowPlan) -> type[Watch]:
    """The watch that a plan wants."""
    return SlidingWatch if plan.slides > 1 else Watch
