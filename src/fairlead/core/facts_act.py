"""Facts of what is done about a verdict: people told, incidents worked on, labels asked for, models trained again."""

from __future__ import annotations

from msgspec import Raw

from fairlead.core.fact import Fact


class NoticeMade(Fact, frozen=True, tag="notice_made"):
    """What one or more raised alerts became. `model` is that of all of them, empty where they are of several."""

    notice: str  # its id
    group: str  # what its alerts have in common, such as "model=hotel"
    severity: str
    alerts: tuple[str, ...]  # "MODEL/ALERT", at most 50 of them
    count: int  # all of them
    channels: tuple[str, ...]  # that are to be told
    body: Raw  # the notice as it is sent
    pages: bool = False  # it counts against the budget of pages
    over: bool = False  # it says that an earlier one is over
    acknowledged: bool = False  # it says that somebody works on an earlier one
    thread: str = ""  # the id of the first notice on the same trouble; empty: it is the first
    places: tuple[tuple[int, int], ...] = ()  # the raised alerts it tells of, as runs of their places in the journal


class NoticeTried(Fact, frozen=True, tag="notice_tried"):
    """A channel was given a notice, and took it or did not."""

    notice: str
    channel: str
    delivered: bool
    attempt: int
    reason: str = ""
    next_at: float | None = None  # None: it is not tried again


class NoticeEscalated(Fact, frozen=True, tag="notice_escalated"):
    """A notice went to further channels: nobody acknowledged it, or a channel is dead."""

    notice: str
    channels: tuple[str, ...]
    reason: str
    body: Raw  # the notice as they get it
    dead: str = ""  # the channel in whose place they are told


class AlertAcknowledged(Fact, frozen=True, tag="alert_acknowledged"):
    """Somebody has seen an alert and works on it."""

    alert: str
    note: str = ""
    until: float | None = None


class SilenceSet(Fact, frozen=True, tag="silence_set"):
    """Alerts whose keys match are told to nobody for a while. An empty `model` means all models."""

    silence: str
    alerts: tuple[str, ...]  # glob patterns of alert keys; empty: all
    starts_at: float
    ends_at: float
    reason: str


class SilenceEnded(Fact, frozen=True, tag="silence_ended"):
    """A silence was ended before its time."""

    silence: str
    reason: str = ""


class BudgetCompiled(Fact, frozen=True, tag="budget_compiled"):
    """The stated budget of false pages was dealt out over a model's monitors."""

    pages: float
    per_seconds: float
    ledger: Raw
    reason: str = ""


class TriageDone(Fact, frozen=True, tag="triage_done"):
    """An incident's triage: what was checked, and what is recommended."""

    incident: str
    checks: Raw
    action: str
    reason: str
    category: str = ""  # where the trouble lies, as the checks say
    approved: bool = False  # whether the policy lets it be done without asking


class ActionTaken(Fact, frozen=True, tag="action_taken"):
    """What was done about an incident. `key` makes it happen once."""

    incident: str
    action: str  # rollback | threshold | recalibrate | retrain | fix_data | scale | none
    key: str
    automatic: bool
    version: int | None = None
    rollout: str = ""
    reason: str = ""
    failed: bool = False  # it was tried, and changed nothing


class MessageDrafted(Fact, frozen=True, tag="message_drafted"):
    """What an audience should be told of an incident, and by when."""

    incident: str
    audience: str
    due_at: float
    text: str
    channel: str = ""


class MessageSent(Fact, frozen=True, tag="message_sent"):
    """An audience was told."""

    incident: str
    audience: str
    channel: str = ""


class ItemAssigned(Fact, frozen=True, tag="item_assigned"):
    """Something to be done after an incident, by whom and by when."""

    incident: str
    item: str
    owner: str
    due_at: float
    done: bool = False


class UpstreamChanged(Fact, frozen=True, tag="upstream_changed"):
    """Something that models depend on was changed elsewhere. An empty `model` means all models."""

    source: str
    what: str
    happened_at: float
    link: str = ""


class ProcedureRehearsed(Fact, frozen=True, tag="procedure_rehearsed"):
    """A step of a runbook was carried out to see that it works."""

    runbook: str
    step: str
    passed: bool
    seconds: float
    reason: str = ""


class LabelsAsked(Fact, frozen=True, tag="labels_asked"):
    """Rows were chosen to be labelled first."""

    batch: str
    rows: int
    why: str
    digest: str
    path: str = ""


class RunSubmitted(Fact, frozen=True, tag="run_submitted"):
    """A trainer elsewhere took a training run. Written before it is waited for, so that a restart finds it again."""

    run: str
    trainer: str
    external: str  # the run's id there
    address: str = ""


class ChallengerWeighed(Fact, frozen=True, tag="challenger_weighed"):
    """A challenger was compared with the champion on the same rows."""

    run: str
    version: int
    report: Raw
    worth: float | None = None


class LoopAudited(Fact, frozen=True, tag="loop_audited"):
    """Whether a model's own decisions shape what it will learn from."""

    window: str
    verdict: str
    report: Raw
    reason: str = ""


class ImpactJudged(Fact, frozen=True, tag="impact_judged"):
    """One closed window of one model: what it was like for its callers and the business, against what is usual."""

    window: str
    starts_at: float
    ends_at: float
    verdict: str
    report: Raw  # core.impact's report


class SlotsFilled(Fact, frozen=True, tag="slots_filled"):
    """Hours of a version were counted again from the log. `late` rows had come after their windows were judged."""

    version: int
    starts_at: float
    ends_at: float
    slots: int
    rows: int
    late: int = 0
    reason: str = ""


ActFact = (
    NoticeMade
    | NoticeTried
    | NoticeEscalated
    | AlertAcknowledged
    | SilenceSet
    | SilenceEnded
    | BudgetCompiled
    | TriageDone
    | ActionTaken
    | MessageDrafted
    | MessageSent
    | ItemAssigned
    | UpstreamChanged
    | ProcedureRehearsed
    | LabelsAsked
    | RunSubmitted
    | ChallengerWeighed
    | LoopAudited
    | ImpactJudged
    | SlotsFilled
)
