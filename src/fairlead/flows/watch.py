"""watch: window -> profile -> check -> verdict.

One object watches one model. It reads the same log as everyone, cuts it into windows of event time, and judges each
twice: when it closes, from data and estimated performance, and once its labels have matured, from what really happened.
Both judgements are facts in the journal, from which a restarted watch knows what it need not judge again.

It holds, per window that has not matured, 56 bytes a row and the row's request id; features are counted into
profiles as they come.
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
from fairlead.core.listing import counted
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Layer, Stage, WindowReport, fact_of, report_of
from fairlead.core.verdict import Outcome
from fairlead.core.window import Window, WindowPlan
from fairlead.errors import FairleadError
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.harms import load_light
from fairlead.flows.watching.judge import Policy, Seen, empty, measured, measured_again
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.span import Span
from fairlead.flows.watching.truths import Truths
from fairlead.flows.watching.verdicts import WindowEvidence, judged, text_of
from fairlead.ports import BundleStore, Clock, Journal
from fairlead.ports.dataset import Dataset
from fairlead.stats.sequential.betting import LossWatch

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
        self._digests: dict[int, str] = {}
        self._references: dict[int, Reference | str] = {}  # or why there is none
        self._spans: dict[float, Span] = {}
        self._places: dict[str, tuple[Cohort, int]] = {}
        self._judged: dict[float, WindowReport] = {}
        self._tests: dict[int, LossWatch] = {}
        self._truths = Truths()
        self._lag = -inf
        self._read = 0
        self.keep: Callable[[bytes], str] | None = None  # keeps what a window was judged from; returns its digest
        self.keeps = "all"  # or "breached": what of windows that are more than calm
        self._kept: dict[tuple[float, Stage], str] = {}  # digests that no fact holds yet
        self.on_label: Callable[[float, float, float], None] | None = None  # when, truth, decision; each request once
        self._follow()

    def observe(self, predictions: Iterable[Prediction], outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes log records in, in any order. Shadows' answers and other models' are passed over, and so are answers
        that were given in a version's place: a default is no model's, and rows that only the champion took are no
        sample of its traffic. The same fact twice is one fact; an outcome counts once it has been observed."""
        for record in predictions:
            if record.model_name == self.model and record.shadow_of is None and record.arm not in UNWATCHED:
                self._take(record)
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
            place = self._places.get(outcome.request_id)
            if place is None:
                self._truths.keep(outcome)
            else:
                self._learn(*place, outcome)
        return tuple(self._keep(report) for report in self._reports(now))

    # -- taking in -----------------------------------------------------------------------------------------------

    def _take(self, record: Prediction) -> None:
        if record.request_id in self._places or not 0.0 <= record.timestamp <= _LAST_INSTANT:
            return
        self._lag = max(self._lag, record.timestamp - record.received_at)
        span = self._span(self._plan.window_of(record.timestamp))
        if span is None or not span.takes(record.model_version):
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
            cohort = span.cohorts[record.model_version] = Cohort(reference, profiled=span.report is None)
        place = cohort.add(record)
        span.ids.append(record.request_id)
        self._places[record.request_id] = (cohort, place)
        waiting = self._truths.claim(record.request_id)
        if waiting is not None:
            self._learn(cohort, place, waiting)

    def _learn(self, cohort: Cohort, place: int, outcome: OutcomeRecord) -> None:
        label = cohort.learn(place, outcome)
        if label is not None and self.on_label is not None:
            self.on_label(outcome.observed_at, *label)

    def _span(self, window: Window) -> Span | None:
        """The window's span; None for a window that needs nothing more."""
        known = self._spans.get(window.starts_at)
        if known is None:
            report = self._judged.get(window.starts_at)
            if report is not None and report.stage is Stage.MATURED:
                return None
            known = self._spans[window.starts_at] = Span(window, report)
        return known

    def _reference(self, version: int) -> Reference | str:
        known = self._references.get(version)
        if known is None:
            self._follow()
            known = self._references[version] = self._load(version)
        return known

    def _load(self, version: int) -> Reference | str:
        digest = self._digests.get(version)
        if digest is None:
            return f"version {version} of {self.model} answers, but was never registered"
        try:
            return load_light(self._bundles, digest, version, self._open_dataset, self._policy.harm)
        except FairleadError as error:
            _LOG.exception("version %d of %s cannot be watched", version, self.model)
            return error.line

    # -- judging -------------------------------------------------------------------------------------------------

    def _reports(self, now: float) -> Iterator[WindowReport]:
        """What the watermark allows to be said, oldest window first."""
        for span in sorted(self._spans.values(), key=lambda span: span.window.starts_at):
            if not self._plan.closed(span.window, now):
                break
            yield from self._silence(span.window.starts_at, now)
            report = self._close(span, now) if span.report is None else self._mature(span, now)
            if report is not None:
                yield report
        yield from self._silence(inf, now)

    def _silence(self, until: float, now: float) -> Iterator[WindowReport]:
        """The first window after the last one in which nothing came at all; a longer silence is not told again."""
        if not self._judged:
            return
        last = self._judged[max(self._judged)]
        if last.rows == 0:
            return
        gap = self._plan.window_of(last.ends_at)
        if gap.starts_at < until and gap.starts_at not in self._spans and self._plan.closed(gap, now):
            yield empty(Seen(self.model, gap, now, Stage.MATURED), last.version, self._policy)

    def _close(self, span: Span, now: float) -> WindowReport | None:
        version = span.version
        seen = Seen(self.model, span.window, now, Stage.CLOSED, failed=len(span.failures))
        if version is None:
            last = self._judged[max(self._judged)].version if self._judged else 0
            return empty(replace(seen, stage=Stage.MATURED), last, self._policy)
        seen = replace(seen, other_rows=sum(span.answered.values()) - span.answered[version])
        if version in span.unreadable:
            return self._unreadable(seen, version, span.unreadable[version])
        cohort = span.cohorts[version]
        if self._ripe(span.window, cohort, now):
            seen = replace(seen, stage=Stage.MATURED)
        evidence, found = measured(seen, cohort, self._tests.get(version), self._policy)
        return self._decided(evidence, judged(evidence, cohort.reference.profile, found=found))

    def _mature(self, span: Span, now: float) -> WindowReport | None:
        before = span.report
        cohort = span.cohorts.get(before.version) if before else None
        if before is None or cohort is None or not self._ripe(span.window, cohort, now):
            return None
        seen = Seen(self.model, span.window, now, Stage.MATURED)
        evidence = measured_again(before, seen, cohort, self._tests.get(before.version), self._policy)
        return self._decided(evidence, judged(evidence, None, before))

    def _decided(self, evidence: WindowEvidence, report: WindowReport) -> WindowReport:
        """Keeps what a report was judged from. A disk that refuses leaves the window without evidence, never without
        a verdict."""
        if self.keep is not None and (self.keeps == "all" or _remarkable(report)):
            try:
                text = text_of(replace(evidence, bundle=self._digests.get(report.version, "")))
                self._kept[report.starts_at, report.stage] = self.keep(text)
            except (FairleadError, msgspec.MsgspecError) as error:
                _LOG.warning("what window %s was judged from is not kept: %s", report.window, error)
        return report

    def _ripe(self, window: Window, cohort: Cohort, now: float) -> bool:
        policy = self._policy
        return now >= window.ends_at + policy.maturity_seconds or cohort.labelled().share >= policy.matured_share

    def _unreadable(self, seen: Seen, version: int, rows: int) -> WindowReport:
        reason = self._references[version]
        bare = empty(replace(seen, stage=Stage.MATURED), version, self._policy)
        line = f"{counted(rows, 'answer')} cannot be judged: {reason}"
        return replace(bare, rows=rows, reason=line, layers=(Layer("data", Outcome.UNMEASURED, line),))

    # -- facts ---------------------------------------------------------------------------------------------------

    def _keep(self, report: WindowReport) -> WindowReport:
        evidence = self._kept.pop((report.starts_at, report.stage), "")
        self._journal.append([fact_of(report, evidence)], actor=ACTOR, at=self._clock.now())
        self._remember(report)
        return report

    def _remember(self, report: WindowReport) -> None:
        if report.stage is not Stage.MATURED:
            self._judged[report.starts_at] = report
            if report.starts_at in self._spans:
                self._spans[report.starts_at].report = report
            return
        # All that is left to know of it; a year of hourly windows must not fill the memory.
        self._judged[report.starts_at] = replace(report, drift=(), performance=None, layers=())
        if report.harm.state is not None:
            self._tests[report.version] = report.harm.state
        span = self._spans.pop(report.starts_at, None)
        for request_id in span.ids if span else ():
            self._places.pop(request_id, None)

    def _follow(self) -> None:
        """Folds what the journal has that we do not know yet: registered versions, and judgements."""
        for entry in self._journal.read(self._read, model=self.model, kinds=("version_registered", "window_judged")):
            self._read = entry.seq
            if isinstance(entry.fact, VersionRegistered):
                self._digests[entry.fact.version] = entry.fact.bundle
                self._references.pop(entry.fact.version, None)
            elif isinstance(entry.fact, WindowJudged):
                self._recall(entry.fact)

    def _recall(self, fact: WindowJudged) -> None:
        try:
            report = report_of(fact)
        except msgspec.MsgspecError as error:
            _LOG.warning("the report of window %s of %s cannot be read: %s", fact.window, fact.model, error)
            return
        known = self._judged.get(fact.starts_at)
        if known is None or (known.stage, known.judged_at) != (report.stage, report.judged_at):
            self._remember(report)


def _remarkable(report: WindowReport) -> bool:
    """Whether somebody may ask why: something moved, broke or did harm."""
    return report.verdict is Outcome.BREACHED or report.harmful or bool(report.moved) or bool(report.broken)
