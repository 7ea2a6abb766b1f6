"""Facts: what happened. The journal holds nothing else; rollouts, histories and incidents are folds over them."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from fairlead.core.fact import Fact
from fairlead.core.facts_act import ActFact
from fairlead.core.rollout import Plan


class VersionRegistered(Fact, frozen=True, tag="version_registered"):
    """A version got its bundle and its number."""

    version: int
    bundle: str  # digest
    dataset: str
    reason: str = ""


class StatusChanged(Fact, frozen=True, tag="status_changed"):
    """A version's status in the registry changed."""

    version: int
    status: str  # none | staging | production | archived
    reason: str = ""


class AliasMoved(Fact, frozen=True, tag="alias_moved"):
    """An alias points to another version, or to none."""

    alias: str  # champion | challenger | staging
    version: int | None
    previous: int | None
    reason: str = ""


class GateMeasured(Fact, frozen=True, tag="gate_measured"):
    """A version's gate was measured; the report is stored under its digest."""

    version: int
    bundle: str
    passed: bool
    failed: tuple[str, ...]  # names of the checks that did not hold
    report: str  # SHA-256 of the stored report
    environment: str = "production"  # dev | staging | production: whose policy it was measured by


class GateWaived(Fact, frozen=True, tag="gate_waived"):
    """Somebody answers for a check that does not hold, for one bundle in one environment, until a day."""

    version: int
    bundle: str
    environment: str
    check: str
    until: float  # seconds since 1970
    reason: str


class ItemAttested(Fact, frozen=True, tag="item_attested"):
    """An answer to an item of a checklist that no machine can know."""

    item: str
    answer: str
    owner: str
    link: str = ""
    until: float | None = None  # when it has to be answered again
    version: int | None = None  # None: of every version of the model


class EnvironmentEntered(Fact, frozen=True, tag="environment_entered"):
    """A version may be deployed in an environment: its gate passed by that environment's policy."""

    version: int
    bundle: str
    environment: str  # dev | staging | production
    reason: str = ""


class DeployAsked(Fact, frozen=True, tag="deploy_asked"):
    """An operator (or a retraining) asked for a rollout; the controller starts it when no other is running."""

    rollout: str
    version: int
    bundle: str
    plan: Plan
    reason: str = ""
    environment: str = "production"  # by whose policy the gate was passed


class DeployRefused(Fact, frozen=True, tag="deploy_refused"):
    """A deploy that was asked for cannot be started; it leaves the queue."""

    rollout: str
    version: int
    reason: str


class RolloutStarted(Fact, frozen=True, tag="rollout_started"):
    """A rollout began, with its plan and what it will be measured against."""

    rollout: str
    version: int
    bundle: str
    champion: int | None
    plan: Plan
    baseline: Raw  # what the evidence is measured against (core.rollout.Baseline)


class EvidenceSeen(Fact, frozen=True, tag="evidence_seen"):
    """What the log added to a rollout's evidence since the last look."""

    rollout: str
    evidence: Raw  # core.rollout.Evidence: what the log added since the last look


class RolloutDecided(Fact, frozen=True, tag="rollout_decided"):
    """What a rollout decided on the evidence before it."""

    rollout: str
    decision: Raw  # core.rollout.Decision, canonical


class OperatorAsked(Fact, frozen=True, tag="operator_asked"):
    """An operator's wish for a rollout; the controller performs it."""

    verb: str  # promote | pause | resume | abort | rollback
    reason: str = ""
    rollout: str | None = None
    seen: str = ""  # the rollout that the operator saw when asking: no other may be meant
    by: str = ""  # who asked, where no operator did


class GoldenTested(Fact, frozen=True, tag="golden_tested"):
    """A served version's answers to its golden rows changed between right and wrong on a worker."""

    version: int
    worker: int
    holds: bool
    reason: str = ""


class PromotionSeen(Fact, frozen=True, tag="promotion_seen"):
    """What the log and the outcomes added to the evidence on a promoted version since the last look."""

    rollout: str
    evidence: Raw  # core.after's evidence, canonical


class PromotionDecided(Fact, frozen=True, tag="promotion_decided"):
    """What the watch over a promoted version decided on the evidence before it."""

    rollout: str
    decision: Raw  # core.after's decision, canonical


class SelfTested(Fact, frozen=True, tag="self_tested"):
    """Rollouts of a version against itself were replayed over the model's own logged traffic."""

    runs: int
    rolled_back: int
    upper: float  # upper bound (95 %) of the share that is rolled back
    alpha: float  # the budget
    digest: str  # SHA-256 of plan and traffic: what it was tested on
    reason: str = ""
    plan: str = ""  # SHA-256 of what decides a rollback: `core.selftest.plan_digest`


class ExperimentStarted(Fact, frozen=True, tag="experiment_started"):
    """An experiment began, with the plan that it is read by."""

    experiment: str
    rollout: str  # the group of its A/B rollout
    plan: Raw  # core.experiment's plan, canonical


class ExperimentStopped(Fact, frozen=True, tag="experiment_stopped"):
    """An experiment ended, with its last reading."""

    experiment: str
    decision: str  # ship | investigate | extend | stop
    report: Raw
    reason: str = ""
    read_at: float | None = None  # until when the log was read for it
    units: str = ""  # SHA-256 of the units that were read


class PipelineStep(Fact, frozen=True, tag="pipeline_step"):
    """A step of a pipeline's run began, ended or was passed over; `model` is empty where it concerns none."""

    run: str
    stage: str
    step: str
    state: str  # started | passed | failed | skipped
    reason: str = ""


class BundleRemoved(Fact, frozen=True, tag="bundle_removed"):
    """A version's bundle was deleted: nothing that may still be served needs it."""

    version: int
    bundle: str
    reason: str = ""


class RouteChanged(Fact, frozen=True, tag="route_changed"):
    """A route was published: who answers which share."""

    generation: int
    reason: str
    champion: int
    canary: int | None = None
    share: float = 0.0
    rollout: str | None = None
    decided_at: float | None = None


class RouteApplied(Fact, frozen=True, tag="route_applied"):
    """The last worker runs a published route."""

    generation: int
    workers: int
    seconds: float  # from the decision until the last worker had it
    rollout: str | None = None


class WorkerChanged(Fact, frozen=True, tag="worker_changed"):
    """The fact of a worker's start, exit or failure; `model` is empty."""

    worker: int
    state: str  # started | exited | failed
    detail: str = ""


class WindowJudged(Fact, frozen=True, tag="window_judged"):
    """One closed window of one model: what the watch saw, as known then."""

    window: str  # its name: the start's date
    starts_at: float
    ends_at: float
    rows: int
    verdict: str
    report: Raw  # flows.watch's window report
    evidence: str = ""  # SHA-256 of what it was judged from, where that is kept


class AlertRaised(Fact, frozen=True, tag="alert_raised"):
    """An alert went out to its channels."""

    alert: str  # its key: what the throttle groups by
    severity: str  # critical | high | medium | low
    title: str
    reason: str
    owner: str
    runbook: str
    event_at: float | None = None
    paged: bool = True  # whether the budget of pages had room for it; otherwise it went out as medium
    details: tuple[tuple[str, str], ...] = ()  # what a reader wants to know, in order: ("money", "120 a day")
    dashboard: str = ""
    channels: tuple[str, ...] = ()  # those that are told, whatever they take; empty: all that take its severity
    benign: bool = False  # it is on record only, and told to nobody
    seen: Raw | UnsetType = UNSET  # core.alert_evidence: what it was told from


class AlertQuieted(Fact, frozen=True, tag="alert_quieted"):
    """An alert was held back, or its condition is over."""

    alert: str
    reason: str
    event_at: float | None = None
    recovered: bool = False  # the condition is over: the next notice is a new one
    seen: Raw | UnsetType = UNSET  # core.alert_evidence: what it was decided from


class IncidentOpened(Fact, frozen=True, tag="incident_opened"):
    """An incident began."""

    incident: str
    severity: str
    title: str
    category: str  # data | model | infrastructure | integration
    reason: str
    owner: str = ""
    began_at: float | None = None  # when the harm began, as far as the evidence tells
    rollout: str | None = None
    detected_at: float | None = None  # on the clock of `began_at`
    window: str = ""  # the window that showed it, for drift
    alert: str = ""  # the key of the alert that opened it


class IncidentNoted(Fact, frozen=True, tag="incident_noted"):
    """Something was seen or done in an incident."""

    incident: str
    note: str
    state: str = ""  # acknowledged | mitigated | resolved, when the note changes it
    alert: str = ""  # the key of an alert that joined it
    severity: str = ""  # when the note changes it


class PostmortemWritten(Fact, frozen=True, tag="postmortem_written"):
    """A postmortem's draft was written."""

    incident: str
    path: str  # relative to the home folder
    digest: str


class RetrainDecided(Fact, frozen=True, tag="retrain_decided"):
    """Whether a window asks for a retraining, and why."""

    run: str  # idempotent run key
    triggered: bool
    reason: str
    window: str = ""


class RetrainFinished(Fact, frozen=True, tag="retrain_finished"):
    """A retraining came back, with or without a version."""

    run: str
    version: int | None
    beats_champion: bool
    reason: str
    report: Raw


class SubjectErased(Fact, frozen=True, tag="subject_erased"):
    """A subject was erased from the log; `model` is empty, and nothing here says whom."""

    predictions: int
    outcomes: int
    reason: str = ""


AnyFact = (
    VersionRegistered
    | StatusChanged
    | AliasMoved
    | GateMeasured
    | GateWaived
    | ItemAttested
    | EnvironmentEntered
    | GoldenTested
    | PromotionSeen
    | PromotionDecided
    | SelfTested
    | ExperimentStarted
    | ExperimentStopped
    | PipelineStep
    | BundleRemoved
    | DeployAsked
    | DeployRefused
    | RolloutStarted
    | EvidenceSeen
    | RolloutDecided
    | OperatorAsked
    | RouteChanged
    | RouteApplied
    | WorkerChanged
    | WindowJudged
    | AlertRaised
    | AlertQuieted
    | IncidentOpened
    | IncidentNoted
    | PostmortemWritten
    | RetrainDecided
    | RetrainFinished
    | SubjectErased
    | ActFact
)


class Entry(Struct, frozen=True):
    """A fact in the journal: its place, when it was written (seconds since 1970, UTC), by whom, and the chain."""

    seq: int
    at: float
    actor: str
    fact: AnyFact
    previous: str  # digest of the entry before
    digest: str


GENESIS = "0" * 64


def canonical(value: object) -> bytes:
    """The one byte string of a value: what is stored, hashed and compared by `replay`."""
    return msgspec.json.encode(value, order="deterministic")


def link(previous: str, at: float, actor: str, fact_bytes: bytes) -> str:
    """The digest that chains an entry to the one before it."""
    head = f"{previous}\n{at!r}\n{actor}\n".encode()
    return sha256(head + fact_bytes).hexdigest()
