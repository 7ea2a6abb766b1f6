"""Facts: what happened. The journal holds nothing else; rollouts, histories and incidents are folds over them."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec import Raw, Struct

from fairlead.core.rollout import Plan


class Fact(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Something that happened to a model. The entry around it says when, and who did it."""

    model: str


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

    alias: str  # champion | challenger
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


class DeployAsked(Fact, frozen=True, tag="deploy_asked"):
    """An operator (or a retraining) asked for a rollout; the controller starts it when no other is running."""

    rollout: str
    version: int
    bundle: str
    plan: Plan
    reason: str = ""


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


class AlertRaised(Fact, frozen=True, tag="alert_raised"):
    """An alert went out to its channels."""

    alert: str  # its key: what the throttle groups by
    severity: str  # critical | high | medium | low
    title: str
    reason: str
    owner: str
    runbook: str
    event_at: float | None = None


class AlertQuieted(Fact, frozen=True, tag="alert_quieted"):
    """An alert was held back, or its condition is over."""

    alert: str
    reason: str
    event_at: float | None = None
    recovered: bool = False  # the condition is over: the next notice is a new one


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


class IncidentNoted(Fact, frozen=True, tag="incident_noted"):
    """Something was seen or done in an incident."""

    incident: str
    note: str
    state: str = ""  # acknowledged | mitigated | resolved, when the note changes it


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
