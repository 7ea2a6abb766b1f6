"""watch: window -> profile -> check -> verdict.

One object watches one model. It reads the same log as everyone, cuts it into windows of event time, and judges each
twice: when it closes, from data and estimated performance, and once its labels have matured, from what really happened.
Both judgements are facts in the journal, from which a restarted watch knows what it need not judge again.

What comes for a window that has been judged is counted, and changes nothing.

It holds 56 bytes a row and the row's request id while a window is open, its features counted into profiles as they
come; of a window that was judged and waits for its labels 36 bytes a row, and 24 more once some are there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from math import inf
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fairlead.core import fallback
from fairlead.core.event import VersionRegistered, WindowJudged
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport, fact_of
from fairlead.core.window import Window, WindowPlan
from fairlead.errors import FairleadError
from fairlead.flows.maturing import Maturing
from fairlead.flows.watching.calms import Calms
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.harms import load_light
from fairlead.flows.watching.journalled import JUDGED, read, remarkable, short_of, unreadable, whole, with_habit
from fairlead.flows.watching.judge import Policy, Seen, empty, measured, measured_again
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.references import Recount, References
from fairlead.flows.watching.slots import SlotKeeping
from fairlead.flows.watching.span import Span
from fairlead.flows.watching.truths import Truths
from fairlead.flows.watching.verdicts import WindowEvidence, judged, text_of
from fairlead.flows.watching.versions import Versions
from fairlead.ports import BundleStore, Clock, Journal
from fairlead.ports.dataset import Dataset
from fairlead.stats.sequential.betting import LossWatch
from fairlead.stats.sparse import TableCounts, sparse

_LOG = logging.getLogger("fairlead.watch")
ACTOR = "watch"
UNWATCHED = ("shadow", fallback.ARM)
_LAST_INSTANT = 2.5e11  # in the year 9892: what lies beyond, or before 1970, is no event time


class Watch:
    """Watches `model`. `open_dataset` reads a bundle's held-out Parquet file."""

    def __init__(
        self,
        model: str,
        journal: Journal,
        bundles: BundleStore,
        open_dataset: Callable[[Path], Dataset],
        clock: Clock,
        plan: WindowPlan = WindowPlan(),  # noqa: B008 - a frozen value
        policy: Policy = Policy(),  # noqa: B008 - a frozen value
    ) -> None:
        self.model = model
        self._journal = journal
        self._bundles = bundles
        self._open_dataset = open_dataset
        self._clock = clock
        self._plan = plan
        self._policy = policy
        self._versions = Versions(model, self._load)
        self._spans: dict[float, Span] = {}
        self._places: dict[str, tuple[Cohort, int]] = {}
        self._judged: dict[float, WindowReport | None] = {}  # in short; None for those that have matured
        self._last: WindowReport | None = None
        self._tests: dict[int, LossWatch] = {}
        self._truths = Truths()
        self._lag = -inf
        self._read = 0
        self._calms = Calms()
        self._compares = References(policy.reference, plan)
        self._recount: Recount | None = None
        self.keep: Callable[[bytes], str] | None = None  # keeps what a window was judged from; returns its digest
        self.slots: SlotKeeping | None = None  # keeps what answers were like, by the hour
        self.late: Callable[[Prediction], None] = lambda _: None  # is told of answers that no window takes any more
        self.keeps = "all"  # or "breached": what of windows that are more than calm
        self._seqs: dict[float, int] = {}  # where the journal holds the reports of windows that wait for their labels
        self._kept: dict[tuple[float, Stage], str] = {}  # digests that no fact holds yet
        self._fresh: dict[float, TableCounts] = {}  # what of them a season may be made of
        self.matures: Maturing | None = None  # reads off the log when labels have come; else the policy says
        self.on_label: Callable[[float, float, float], None] | None = None  # when, truth, decision; each request once
        self._follow()

    def observe(self, predictions: Iterable[Prediction], outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes log records in, in any order. Shadows' answers and other models' are passed over, and so are answers
        that were given in a version's place: a default is no model's, and rows that only the champion took are no
        sample of its traffic. The same fact twice is one fact; an outcome counts once it has been observed."""
        for record in predictions:
            if record.model_name == self.model and record.shadow_of is None and record.arm not in UNWATCHED:
                self._calms.take(record, self._reference, self._recount)
                self._take(record)
                if self.matures is not None:
                    self.matures.answered(record)
        if self.matures is not None:
            outcomes = tuple(outcomes)
            self.matures.labelled(outcomes)
        self._truths.add(outcomes)

    def event_now(self, now: float) -> float:
        """The watermark at an instant of the wall clock: `now`, minus how far event times have lagged behind their
        arrival at the least. Live traffic has no lag; a replayed history carries its own clock. No event time in the
        future moves it past `now`."""
        return now + min(0.0, self._lag) if self._lag > -inf else now

    def reference_rows(self, version: int) -> int | None:
        """How many rows a version was profiled on when it was registered; None where that cannot be read."""
        reference = self._reference(version)
        return (
            None if isinstance(reference, str) else max((one.rows for one in reference.profile.columns), default=None)
        )

    def judge(self, now: float) -> tuple[WindowReport, ...]:
        """Judges what has closed, and what has matured, at the watermark `now` (event time: see `event_now`). Each
        report is in the journal before it is returned."""
        self._follow()
        for outcome in self._truths.due(now):
            place = self._find(outcome.request_id)
            if place is None:
                self._truths.keep(outcome)
            else:
                self._learn(*place, outcome)
        return tuple(self._keep(report) for report in self._reports(now))

    def recall(self, recount: Recount) -> None:
        """Lets windows be compared with earlier ones, whose counts `recount` reads from the evidence of a digest."""
        self._recount = self._compares.recount = recount

    @property
    def waits_seconds(self) -> float:
        """For how long after an answer its outcome may still count."""
        return self._plan.longest + self._plan.lateness_seconds + self._policy.maturity_seconds

    def next_look(self) -> float:
        """The instant of the wall clock at which `judge` next has something to do, as far as is known now."""
        waits = [self._truths.next_at]
        for span in self._spans.values():
            if self._has_matured(span.window):  # yet a part of windows that slide
                continue
            matures = span.window.ends_at + (self.matures.last if self.matures else self._policy.maturity_seconds)
            waits.append(span.window.ends_at + self._plan.lateness_seconds if span.report is None else matures)
        if self._last is not None and self._last.rows:
            waits.append(self._plan.window_of(self._last.ends_at).ends_at + self._plan.lateness_seconds)
        return min(waits) - min(0.0, self._lag if self._lag > -inf else 0.0)

    # -- taking in -----------------------------------------------------------------------------------------------

    def _take(self, record: Prediction) -> None:
        if record.request_id in self._places or not 0.0 <= record.timestamp <= _LAST_INSTANT:
            return
        self._lag = max(self._lag, record.timestamp - record.received_at)
        span = self._span(self._plan.window_of(record.timestamp))
        if span is None or not span.admits(record.request_id, record.model_version):
            self.late(record)
            return
        if record.status != 200:
            span.failures.add(record.request_id)
            return
        reference = self._reference(record.model_version)
        if isinstance(reference, str):
            span.unreadable[record.model_version] = span.unreadable.get(record.model_version, 0) + 1
            return
        cohort = span.cohorts.get(record.model_version)
        if cohort is None:
            cohort = span.cohorts[record.model_version] = self._cohort(reference, span)
        place = cohort.add(record)
        self._places[record.request_id] = (cohort, place)
        waiting = self._truths.claim(record.request_id)
        if waiting is not None:
            self._learn(cohort, place, waiting)
        if span.complete:
            self._settle(span)

    def _cohort(self, reference: Reference, span: Span) -> Cohort:
        cohort = Cohort(reference, profiled=span.counts)
        if self.slots is not None and span.report is None:
            cohort.slots = self.slots.counter(reference, span.window)
        return cohort

    def _find(self, request_id: str) -> tuple[Cohort, int] | None:
        """Where an answer is held."""
        known = self._places.get(request_id)
        if known is not None:
            return known
        for span in self._spans.values():
            for cohort in span.cohorts.values() if span.report is not None else ():
                place = cohort.place_of(request_id)
                if place is not None:
                    return cohort, place
        return None

    def _settle(self, span: Span) -> None:
        """A judged window takes no more answers in: most of what it held goes."""
        for cohort in span.unsettled:
            for request_id in cohort.ids:
                self._places.pop(request_id, None)
            cohort.settle()
        span.failures.clear()

    def _learn(self, cohort: Cohort, place: int, outcome: OutcomeRecord) -> None:
        label = cohort.learn(place, outcome)
        if label is not None and self.on_label is not None:
            self.on_label(outcome.observed_at, *label)

    def _span(self, window: Window) -> Span | None:
        """The window's span; None for a window that needs nothing more."""
        known = self._spans.get(window.starts_at)
        if known is None:
            if self._over(window):
                return None
            known = self._spans[window.starts_at] = self._begun(window)
        return known

    def _over(self, window: Window) -> bool:
        """Whether nothing more is asked of a window's answers."""
        return self._has_matured(window)

    def _has_matured(self, window: Window) -> bool:
        return window.starts_at in self._judged and self._judged[window.starts_at] is None

    def _begun(self, window: Window) -> Span:
        return Span(window, self._judged.get(window.starts_at))

    def _reference(self, version: int) -> Reference | str:
        known = self._versions.held(version)
        if known is None:
            self._follow()
            known = self._versions.loaded(version)
            if not isinstance(known, str):
                self._calms.restore(known.calm, version, self._recount)
        return known

    def _load(self, digest: str, version: int) -> Reference:
        return load_light(
            self._bundles,
            digest,
            version,
            self._open_dataset,
            self._policy.harm,
            self._policy.widest,
            self._policy.groups,
        )

    # -- judging -------------------------------------------------------------------------------------------------

    def _reports(self, now: float) -> Iterator[WindowReport]:
        """What the watermark allows to be said, oldest window first."""
        for span in sorted(self._spans.values(), key=lambda span: span.window.starts_at):
            if not self._plan.closed(span.window, now):
                break
            yield from self._silence(span.window.starts_at, now)
            if span.report is None:
                self._keep_slots(span)
            report = self._close(span, now) if span.report is None else self._mature(span, now)
            if report is not None:
                yield report
        yield from self._silence(inf, now)

    def _silence(self, until: float, now: float) -> Iterator[WindowReport]:
        """The first window after the last one in which nothing came at all; a longer silence is not told again."""
        last = self._last
        if last is None or last.rows == 0:
            return
        gap = self._plan.window_of(last.ends_at)
        if gap.starts_at < until and gap.starts_at not in self._spans and self._plan.closed(gap, now):
            yield empty(Seen(self.model, gap, now, Stage.MATURED), last.version, self._policy)

    def _keep_slots(self, span: Span) -> None:
        """Before a window is judged: one that a crash leaves unjudged is judged, and kept, again."""
        if self.slots is not None:
            self.slots.keep(self.model, span.window, span.cohorts.values(), self._versions.digests)

    def _close(self, span: Span, now: float) -> WindowReport | None:
        version = span.version
        seen = Seen(self.model, span.window, now, Stage.CLOSED, failed=len(span.failures))
        if version is None:
            last = 0 if self._last is None else self._last.version
            return empty(replace(seen, stage=Stage.MATURED), last, self._policy)
        seen = replace(seen, other_rows=sum(span.answered.values()) - span.answered[version])
        if version in span.unreadable:
            why = str(self._versions.held(version))
            seen = replace(seen, stage=Stage.MATURED)
            return unreadable(seen, version, span.unreadable[version], why, self._policy)
        cohort = span.cohorts[version]
        if self._ripe(span.window, cohort, now):
            seen = replace(seen, stage=Stage.MATURED)
        chosen = self._compares.choose(cohort.reference, (span.window,), self._reference)
        evidence, found = measured(seen, cohort, self._tests.get(version), self._policy, chosen)
        return self._decided(evidence, judged(evidence, cohort.reference.profile, found=found))

    def _mature(self, span: Span, now: float) -> WindowReport | None:
        before = span.report
        cohort = span.cohorts.get(before.version) if before else None
        if before is None or cohort is None or not self._ripe(span.window, cohort, now):
            return None
        return self._matured(span, before, cohort, now)

    def _matured(self, span: Span, short: WindowReport, cohort: Cohort, now: float) -> WindowReport:
        before = whole(self._journal, short, self._seqs.pop(short.starts_at, 1) - 1)
        window = Window(before.starts_at, before.ends_at, before.window)
        seen = Seen(self.model, window, now, Stage.MATURED, late=len(span.late))
        evidence = measured_again(before, seen, cohort, self._tests.get(before.version), self._policy)
        return self._decided(evidence, judged(evidence, None, before))

    def _decided(self, evidence: WindowEvidence, report: WindowReport) -> WindowReport:
        """Keeps what a report was judged from. A disk that refuses leaves the window without evidence, never without
        a verdict."""
        if self._compares.seasonal and evidence.profile is not None:
            self._fresh[report.starts_at] = evidence.newest or sparse(evidence.profile)
        if self.keep is not None and (self.keeps == "all" or remarkable(report)):
            try:
                text = text_of(replace(evidence, bundle=self._versions.digests.get(report.version, "")))
                self._kept[report.starts_at, report.stage] = self.keep(text)
            except (FairleadError, msgspec.MsgspecError) as error:
                _LOG.warning("what window %s was judged from is not kept: %s", report.window, error)
        return report if (report.starts_at, report.stage) in self._kept else with_habit(report, evidence)

    def _ripe(self, window: Window, cohort: Cohort, now: float) -> bool:
        policy = self._policy
        seconds = policy.maturity_seconds if self.matures is None else self.matures.seconds(now)
        return now >= window.ends_at + seconds or cohort.share >= policy.matured_share

    # -- facts ---------------------------------------------------------------------------------------------------

    def _keep(self, report: WindowReport) -> WindowReport:
        evidence = self._kept.pop((report.starts_at, report.stage), "")
        (entry,) = self._journal.append([fact_of(report, evidence)], actor=ACTOR, at=self._clock.now())
        self._remember(report, entry.seq, evidence)
        return report

    def _remember(self, report: WindowReport, seq: int, digest: str) -> None:
        key = self._key(report)
        if key not in self._judged:
            self._first(report, digest)
        short = short_of(report)
        if self._last is None or report.starts_at >= self._last.starts_at:
            self._last = short
        span = self._spans.get(key)
        if report.stage is not Stage.MATURED:
            self._judged[key] = short
            self._seqs[report.starts_at] = seq
            if span is not None:
                span.judged(short)
                if span.complete:
                    self._settle(span)
            return
        self._judged[key] = None
        self._seqs.pop(report.starts_at, None)
        if report.harm.state is not None:
            self._tests[report.version] = report.harm.state
        if span is not None:
            self._done(span, short)

    def _key(self, report: WindowReport) -> float:
        """The start of the span with which a window ends."""
        return report.starts_at

    def _first(self, report: WindowReport, digest: str) -> None:
        """A window was judged for the first time: later ones may be compared with it."""
        self._calms.follow(report, digest)
        window = Window(report.starts_at, report.ends_at)
        self._compares.meet(window, report, digest, self._fresh.pop(report.starts_at, None))

    def _done(self, span: Span, _report: WindowReport) -> None:
        self._settle(span)
        del self._spans[span.window.starts_at]

    def _follow(self) -> None:
        """Folds what the journal has that we do not know yet: registered versions, and judgements."""
        for entry in self._journal.read(self._read, model=self.model, kinds=("version_registered", *JUDGED)):
            self._read = entry.seq
            if isinstance(entry.fact, VersionRegistered):
                self._versions.register(entry.fact.version, entry.fact.bundle)
            elif isinstance(entry.fact, WindowJudged):
                self._recall(entry.fact, entry.seq)

    def _recall(self, fact: WindowJudged, seq: int) -> None:
        report = read(fact)
        if report is None:
            return
        key = self._key(report)
        if key in self._judged:
            known = self._judged[key]
            if known is None or (known.stage, known.judged_at) == (report.stage, report.judged_at):
                return
        self._remember(report, seq, fact.evidence)
