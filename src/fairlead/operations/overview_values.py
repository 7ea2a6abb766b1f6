"""What the overview shows: frozen values, ready to be drawn or sent as JSON. Instants are seconds since 1970, UTC."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from fairlead.core import report
from fairlead.core.arms import Among
from fairlead.core.impact import ImpactReport
from fairlead.core.rollout import Call, Phase, ShadowPlan, Step
from fairlead.core.verdict import Outcome
from fairlead.operations.overview_parts import Parts
from fairlead.operations.shadow_report import ShadowReport

Tone = Literal["plain", "good", "warning", "bad"]


class Note(Struct, frozen=True):
    """One decision or event, as a sentence. `kind` is the tag of the journalled fact, `subject` what it is about."""

    seq: int
    at: float
    actor: str
    kind: str
    title: str
    reason: str = ""
    tone: Tone = "plain"
    subject: str = ""  # a rollout's or an incident's id, where the note belongs to one
    model: str = ""


class GateView(Struct, frozen=True):
    """The last gate run of a version."""

    at: float
    passed: bool
    failed: tuple[str, ...]
    report: str
    environment: str = "production"  # by whose policy


class VersionView(Struct, frozen=True):
    """A version with everything that happened to it."""

    version: int
    bundle: str
    dataset: str
    registered_at: float
    status: str = "none"
    aliases: tuple[str, ...] = ()
    gate: GateView | None = None
    history: tuple[Note, ...] = ()


class EvidencePoint(Struct, frozen=True):
    """A guardrail's evidence at one instant: the natural logarithm of its e-value."""

    at: float
    log_e: float


class SharePoint(Struct, frozen=True):
    """The canary's share of the traffic from an instant on."""

    at: float
    share: float


class GuardrailView(Struct, frozen=True):
    """A guardrail of a rollout: its evidence over time against the threshold at which the canary loses its traffic."""

    guardrail: str
    metric: str
    call: Call
    log_e: float
    log_e_max: float
    threshold_log_e: float
    champion: float | None
    canary: float | None
    reason: str
    points: tuple[EvidencePoint, ...] = ()

    @property
    def crossed(self) -> bool:
        """Whether the evidence ever reached the threshold."""
        return self.log_e_max >= self.threshold_log_e


class RolloutView(Struct, frozen=True):
    """A rollout as the journal tells it."""

    id: str
    model: str
    version: int
    champion: int | None
    strategy: str
    alpha: float
    steps: tuple[Step, ...]
    shadow: ShadowPlan | None
    started_at: float
    phase: Phase
    step: int
    share: float
    phase_at: float
    decided_at: float | None = None
    ended_at: float | None = None
    call: Call = Call.NOT_YET
    reason: str = ""
    guardrail: str | None = None  # the one that was broken
    forecast: str = ""
    forecast_seconds: float | None = None
    requests: dict[str, int] = {}
    errors: dict[str, int] = {}
    guardrails: tuple[GuardrailView, ...] = ()
    shares: tuple[SharePoint, ...] = ()
    notes: tuple[Note, ...] = ()
    applied_seconds: float | None = None  # from the last decision until every worker had it
    among: Among | None = None  # the draw that it has in common with other arms
    shadowed: ShadowReport | None = None  # where requests were answered by both versions

    @property
    def active(self) -> bool:
        """Whether the rollout still waits for evidence or for a person."""
        return self.phase not in (Phase.PROMOTED, Phase.ROLLED_BACK)


class DriftView(Struct, frozen=True):
    """One feature (or the score) in one window. `ratio` is the effect divided by its critical threshold."""

    name: str
    level: Literal["none", "warning", "critical", "unmeasured"]
    method: str = ""
    effect: float | None = None
    ratio: float | None = None
    reason: str = ""
    broken: str = ""  # what is wrong with the data itself
    metric_change: float | None = None  # how much worse the metric gets by it, with its interval
    metric_low: float | None = None
    metric_high: float | None = None
    money: float | None = None  # of that, per 1,000 predictions


class PerformanceView(Struct, frozen=True):
    """One metric of one window. Realised is known of the matured share; estimated needs no labels.

    `low` and `high` bound the realised value (the estimate, where nothing is realised yet).
    """

    metric: str
    estimated: float | None = None
    realised: float | None = None
    low: float | None = None
    high: float | None = None
    matured_share: float | None = None  # in [0, 1]
    reference: float | None = None
    outcome: Outcome = Outcome.UNMEASURED
    reason: str = ""


class CostView(Struct, frozen=True):
    """What a decision of a window costs in the mean, by labels or else estimated from scores, and what it cost on the
    held-out rows; each with its 95 % interval. `broken` is whether a column is."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    labelled: bool = False
    broken: bool = False


class WindowView(Struct, frozen=True):
    """One judged window. `readable` is false when its report could not be read: then the fact's own fields are all."""

    name: str
    starts_at: float
    ends_at: float
    judged_at: float
    rows: int
    verdict: Outcome
    reason: str = ""
    drift: tuple[DriftView, ...] = ()
    performance: PerformanceView | None = None
    version: int | None = None
    quadrant: str = "unknown"  # benign | covariate | concept | unknown
    quadrant_reason: str = ""
    data: report.Layer | None = None  # the watch's own rungs of the ladder
    model: report.Layer | None = None
    suspects: tuple[str, ...] = ()
    readable: bool = True
    change: report.Change | None = None
    segment: str = ""  # the smallest that explains the change
    evidence: tuple[str, ...] = ()  # digests of what it was judged from, oldest first
    correlation: report.Correlation | None = None
    cost: CostView | None = None  # of its decisions, where the settings state one


class HeatRow(Struct, frozen=True):
    """A feature over all windows, oldest first; None where a window did not look at it."""

    name: str
    cells: tuple[DriftView | None, ...]


class Heat(Struct, frozen=True):
    """The drift map: the worst feature first."""

    windows: tuple[str, ...] = ()
    starts: tuple[float, ...] = ()
    rows: tuple[HeatRow, ...] = ()
    features: int = 0  # in all, also those that are too calm to be among the rows


class Mark(Struct, frozen=True):
    """An event drawn into a chart over windows, after the latest window that had been judged when it happened:
    windows lie in event time, so the two agree even where an old log is replayed."""

    at: float
    kind: Literal["promoted", "rolled_back"]
    text: str
    window: str | None = None


class Rung(Struct, frozen=True):
    """One rung of the ladder: data and features, model, product, business."""

    number: int
    name: str
    outcome: Outcome
    reason: str


class IncidentView(Struct, frozen=True):
    """An incident with its timeline, oldest first."""

    id: str
    model: str
    severity: str
    title: str
    category: str
    reason: str
    owner: str
    opened_at: float
    began_at: float | None
    state: str  # open | acknowledged | mitigated | resolved
    window: str = ""  # the one that showed it, for drift
    resolved_at: float | None = None
    rollout: str | None = None
    postmortem: str | None = None  # its path in the home folder
    timeline: tuple[Note, ...] = ()


class AlertView(Struct, frozen=True):
    """The last notice of one alert, and how often it was raised and held back. `window` is the one that it is of, and
    `event_at` when that was in event time, where it is known."""

    alert: str
    severity: str
    title: str
    reason: str
    owner: str
    runbook: str
    at: float
    raised: int = 1
    quieted: int = 0
    quieted_because: str = ""
    window: str = ""
    event_at: float | None = None


class WorkerView(Struct, frozen=True):
    """A gateway worker. `outcome` holds when it answers with the published route table."""

    worker: int
    pid: int
    generation: int
    heartbeat_age_seconds: float
    outcome: Outcome
    reason: str
    versions: dict[str, list[int]] = {}


class UnseenView(Struct, frozen=True):
    """A version in shadow. `outcome` holds while it answers; it is unmeasured where nobody answers, or it hangs."""

    model: str
    version: int
    status: str
    outcome: Outcome
    reason: str


class ArmView(Struct, frozen=True):
    """A version's share of the traffic, as published."""

    name: str
    version: int
    share: float


class ModelView(Struct, frozen=True):
    """Everything the page shows of one model. Lists are newest first, except windows and charts."""

    name: str
    champion: int | None
    challenger: int | None
    arms: tuple[ArmView, ...]
    shadows: tuple[int, ...]
    ladder: tuple[Rung, ...]
    versions: tuple[VersionView, ...]
    rollouts: tuple[RolloutView, ...]
    windows: tuple[WindowView, ...]
    heat: Heat
    marks: tuple[Mark, ...]
    incidents: tuple[IncidentView, ...]
    alerts: tuple[AlertView, ...]
    notes: tuple[Note, ...]
    impact: tuple[ImpactReport, ...] = ()  # each window's figures of callers and business, oldest first
    parts: Parts = Parts()  # classes, groups and fairness over the last windows
    told: tuple[AlertView, ...] = ()  # the last notice of each alert and window, newest first

    @property
    def rollout(self) -> RolloutView | None:
        """The active rollout."""
        return next((rollout for rollout in self.rollouts if rollout.active), None)

    def arms_of(self, rollout: RolloutView) -> tuple[RolloutView, ...]:
        """All arms of an A/B rollout, oldest first; none of a rollout that is alone."""
        if rollout.among is None:
            return ()
        return tuple(one for one in reversed(self.rollouts) if one.among == rollout.among)

    @property
    def open_incidents(self) -> tuple[IncidentView, ...]:
        """Incidents that are not resolved."""
        return tuple(incident for incident in self.incidents if incident.state != "resolved")


class Overview(Struct, frozen=True):
    """Everything at a glance, as of `at`; `seq` is the last journal entry that it knows."""

    at: float
    seq: int
    generation: int
    models: tuple[ModelView, ...] = ()
    workers: tuple[WorkerView, ...] = ()
    unseen: tuple[UnseenView, ...] = ()

    def model(self, name: str) -> ModelView | None:
        """The model of that name."""
        return next((model for model in self.models if model.name == name), None)

    def rollout(self, rollout: str) -> RolloutView | None:
        """The rollout with that id."""
        return next((each for model in self.models for each in model.rollouts if each.id == rollout), None)

    def incident(self, incident: str) -> IncidentView | None:
        """The incident with that id."""
        return next((each for model in self.models for each in model.incidents if each.id == incident), None)
