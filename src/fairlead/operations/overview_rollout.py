"""A rollout, folded from its facts."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fairlead.core.event import Entry, EvidenceSeen, RolloutDecided, RolloutStarted
from fairlead.core.evidence import merge
from fairlead.core.rollout import Call, Decision, Evidence, Paired, Phase, Reading
from fairlead.operations.overview_notes import percent
from fairlead.operations.overview_values import EvidencePoint, GuardrailView, Note, RolloutView, SharePoint, Tone
from fairlead.operations.shadow_report import shadow_report

MOST_POINTS = 240  # per guardrail; a longer series is thinned by halves

_PHASE_WORDS = {
    Phase.SHADOW: "in shadow",
    Phase.CANARY: "in canary",
    Phase.PROMOTED: "promoted",
    Phase.ROLLED_BACK: "rolled back",
    Phase.HELD: "held",
}
_PHASE_TONES: dict[Phase, Tone] = {Phase.PROMOTED: "good", Phase.ROLLED_BACK: "bad", Phase.HELD: "warning"}


class _Counts(Struct):
    """The part of `Evidence` that is counted here."""

    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    paired: tuple[Paired, ...] | UnsetType = UNSET


class Series:
    """A series that never holds more than `MOST_POINTS`: when full, of every two neighbours the later one stays,
    so the last point is always there. Adding is O(1) amortised."""

    def __init__(self) -> None:
        self._points: list[EvidencePoint] = []
        self._stride = 1
        self._skipped = 0
        self._last: EvidencePoint | None = None

    def add(self, point: EvidencePoint) -> None:
        """Appends a point later than all before."""
        self._last = point
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self._points.append(point)
        if len(self._points) >= MOST_POINTS:
            self._points = self._points[1::2]
            self._stride *= 2

    def points(self) -> tuple[EvidencePoint, ...]:
        """The points kept, oldest first."""
        if self._last is None or self._skipped == 0:
            return tuple(self._points)
        return (*self._points, self._last)


class RolloutFold:
    """One rollout's state."""

    def __init__(self, entry: Entry, fact: RolloutStarted) -> None:
        first = Phase.SHADOW if fact.plan.shadow else Phase.CANARY
        self.view = RolloutView(
            id=fact.rollout,
            model=fact.model,
            version=fact.version,
            champion=fact.champion,
            strategy=fact.plan.strategy,
            alpha=fact.plan.alpha,
            steps=fact.plan.steps,
            shadow=fact.plan.shadow,
            started_at=entry.at,
            phase=first,
            step=0,
            share=0.0 if fact.plan.shadow or not fact.plan.steps else fact.plan.steps[0].traffic,
            phase_at=entry.at,
            among=fact.plan.among,
        )
        self._series: dict[str, Series] = {}
        self._readings: tuple[Reading, ...] = ()
        self._shares = [SharePoint(entry.at, self.view.share)]
        self._requests: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._paired = Evidence()
        self.notes: list[Note] = []

    def evidence(self, fact: EvidenceSeen) -> None:
        """Adds up requests and errors by arm."""
        counts = msgspec.json.decode(fact.evidence, type=_Counts)
        for arm, number in counts.requests.items():
            self._requests[arm] = self._requests.get(arm, 0) + number
        for arm, number in counts.errors.items():
            self._errors[arm] = self._errors.get(arm, 0) + number
        if counts.paired:
            self._paired = merge(self._paired, Evidence(paired=counts.paired))

    def decided(self, entry: Entry, fact: RolloutDecided) -> Note | None:
        """Takes a decision in. Returns its sentence when it turned something: phase, step or share."""
        decision = msgspec.json.decode(fact.decision, type=Decision)
        before = self.view
        for reading in decision.readings:
            self._series.setdefault(reading.guardrail, Series()).add(EvidencePoint(entry.at, reading.log_e))
        self._readings = decision.readings or self._readings
        turned = (decision.after, decision.step, decision.share) != (before.phase, before.step, before.share)
        self.view = msgspec.structs.replace(
            before,
            phase=decision.after,
            step=decision.step,
            share=decision.share,
            phase_at=entry.at if turned else before.phase_at,
            decided_at=entry.at,
            ended_at=entry.at if decision.after in (Phase.PROMOTED, Phase.ROLLED_BACK) else None,
            call=decision.call,
            reason=decision.reason,
            guardrail=decision.guardrail or before.guardrail,
            forecast=decision.forecast,
            forecast_seconds=decision.forecast_seconds,
        )
        if decision.share != before.share:
            self._shares.append(SharePoint(entry.at, decision.share))
        return self._turn(entry, decision) if turned else None

    def applied(self, seconds: float) -> None:
        """Notes how long the last route change took to reach every worker."""
        self.view = msgspec.structs.replace(self.view, applied_seconds=seconds)

    def finished(self) -> RolloutView:
        """The view with its series and counts."""
        guardrails = tuple(_guardrail(reading, self._series[reading.guardrail]) for reading in self._readings)
        return msgspec.structs.replace(
            self.view,
            guardrails=guardrails,
            shares=tuple(self._shares),
            notes=tuple(reversed(self.notes)),
            requests=dict(self._requests),
            errors=dict(self._errors),
            shadowed=shadow_report(self._paired, self.view.alpha),
        )

    def _turn(self, entry: Entry, decision: Decision) -> Note:
        version, after = self.view.version, decision.after
        title = f"v{version} {_PHASE_WORDS[after]}"
        if after is Phase.CANARY:
            title = f"v{version} takes {percent(decision.share)} of the traffic"
        tone = _PHASE_TONES.get(after, "good" if decision.call is Call.SAFE else "plain")
        return Note(
            entry.seq,
            entry.at,
            entry.actor,
            "rollout_decided",
            title,
            decision.reason,
            tone,
            decision.rollout,
            self.view.model,
        )


def _guardrail(reading: Reading, series: Series) -> GuardrailView:
    return GuardrailView(
        guardrail=reading.guardrail,
        metric=reading.metric,
        call=reading.call,
        log_e=reading.log_e,
        log_e_max=reading.log_e_max,
        threshold_log_e=reading.threshold_log_e,
        champion=reading.champion,
        canary=reading.canary,
        reason=reading.reason,
        points=series.points(),
    )
