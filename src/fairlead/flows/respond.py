"""respond: verdict -> alert | incident | postmortem | retraining decision.

Everything it writes is derived from the journal, under ids made of content: told twice, it answers once, and what a
stop or a failure kept from being answered is answered later. A channel that fails is reported and never stops the
others; the facts are in the journal first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.alarm import DATA, HARMFUL, alarm_of_rollback, alarms_of
from fairlead.core.alert import Alarm, AlertDecision, AlertPolicy
from fairlead.core.event import (
    AnyFact,
    Entry,
    EvidenceSeen,
    IncidentNoted,
    IncidentOpened,
    RetrainDecided,
    RolloutDecided,
    RouteApplied,
    WindowJudged,
    canonical,
)
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.incident import Incident, incidents, open_drift
from fairlead.core.listing import counted
from fairlead.core.metrics import metric
from fairlead.core.report import FeatureShift, Harm, Performance, WindowReport, report_of
from fairlead.core.retrain import RetrainPolicy, decide_by_schedule
from fairlead.core.retrain import decide as decide_retraining
from fairlead.core.rollout import Decision, Phase
from fairlead.core.story import first_failure_at
from fairlead.flows.drafting import SavePostmortem, draft
from fairlead.flows.notify import Alerts
from fairlead.flows.overtaken import still_said
from fairlead.flows.rolled_back import RolledBack, rolled_back
from fairlead.ports import Clock, Journal, Notice, Notifier

_LOG = logging.getLogger("fairlead.respond")
ACTOR = "respond"


class ResponsePolicy(Struct, frozen=True):
    """How a model's verdicts are answered."""

    alert: AlertPolicy = AlertPolicy()
    retrain: RetrainPolicy = RetrainPolicy()
    resolves: bool = True  # a window that holds resolves an incident; otherwise a person does


class Response(Struct, frozen=True):
    """What was done: the facts as they stand in the journal, the notices sent, the channels that failed, and the
    retraining decision of a window (None where there is none to make)."""

    facts: tuple[Entry, ...] = ()
    notices: tuple[Notice, ...] = ()
    failures: tuple[str, ...] = ()
    retrain: RetrainDecided | None = None


class Responder:
    """Answers for one model. `notifiers` maps each channel to the severities it takes; `save` keeps a postmortem."""

    def __init__(
        self,
        model: str,
        journal: Journal,
        notifiers: Mapping[Notifier, Sequence[str]],
        clock: Clock,
        save: SavePostmortem,
        policy: ResponsePolicy = ResponsePolicy(),  # noqa: B008 - a frozen value
        trained_rows: Callable[[int], int | None] = lambda _: None,
    ) -> None:
        self.model = model
        self._journal = journal
        self._alerts = Alerts(model, notifiers, policy.alert)
        self._clock = clock
        self._save = save
        self._policy = policy
        self._trained_rows = trained_rows
        self._read = 0
        self._settled = 0  # how much of the journal was known when it was last settled, and searched for rollbacks
        self._searched = 0
        self._entries: list[Entry] = []

    def on_window(self, report: WindowReport) -> Response:
        """Answers a window report: alerts, the incident of harmful drift and its recovery, the retraining decision.

        Each journalled report is answered once: all facts of an answer are one transaction, the decision among them.
        """
        known, at = self._known(), report.judged_at
        answered = _answered(known, report)
        if answered is not None:
            return Response(retrain=answered)
        told = self._alerts.choose(known, still_said(known, alarms_of(report), report), at, self._clock.now())
        retrain = decide_retraining(self._policy.retrain, known, report, at, self._trained_rows(report.version))
        # The incident first: what follows it in the journal is its story.
        facts = self._incident_facts(known, report)
        facts += [fact for choice in told for fact in self._alerts.facts(choice, at)]
        facts.append(retrain)
        response = self._perform(facts, told, at)
        named = [fact.incident for fact in facts if isinstance(fact, IncidentOpened | IncidentNoted)]
        written = self._draft(named[-1]) if named else ()
        return Response((*response.facts, *written), response.notices, response.failures, retrain)

    def on_alarms(self, alarms: Sequence[Alarm], at: float) -> Response:
        """Answers conditions that were looked at by themselves, at an instant: alerts, and their end."""
        choices = self._alerts.choose(self._known(), alarms, at, self._clock.now())
        # A breach that stands is looked at each minute: that it was held back again is no fact worth keeping.
        told = [choice for choice in choices if choice.notify or choice.recovered]
        return self._perform([fact for choice in told for fact in self._alerts.facts(choice, at)], told, at)

    def investigate(self, identity: str, title: str, reason: str, span: tuple[float, float]) -> Response:
        """Asks people to look into something by hand: an incident, or a note on the one that is open. `span` is from
        when on it was seen, and until when (event time). Told twice, it asks once."""
        known = self._known()
        if any(identity == one.id or any(reason in each.text for each in one.timeline) for one in incidents(known)):
            return Response()
        current = open_drift(known, self.model)
        opened = IncidentOpened(
            model=self.model,
            incident=identity,
            severity="medium",
            title=title,
            category="data",
            reason=f"to be investigated by hand: {reason}",
            owner=self._policy.alert.owner,
            began_at=span[0],
            detected_at=span[1],
        )
        noted = None if current is None else IncidentNoted(self.model, current.id, f"To be investigated: {reason}")
        entries = self._append([opened if noted is None else noted])
        return Response((*entries, *self._draft(identity if current is None else current.id)))

    def on_schedule(self) -> tuple[Entry, ...]:
        """Asks for the training run that a schedule has made due, or journals what speaks against it. Call it often."""
        if not any(trigger.schedule for trigger in self._policy.retrain.triggers):
            return ()
        decided = decide_by_schedule(self._policy.retrain, self._known(), self.model, self._clock.now())
        return self._append([decided]) if decided is not None else ()

    def on_rollbacks(self) -> tuple[Response, ...]:
        """Answers the rollbacks in the journal that have no incident yet, whatever their reason: alert, incident,
        postmortem draft. Cheap where the journal has nothing new; call it often, and again after a failure."""
        known = self._known()
        read = self._read
        if read == self._searched:
            return ()
        opened = {each.id for each in incidents(known)}
        missing = [back for back in rolled_back(known) if _incident_of(back) not in opened]
        responses = tuple(self._on_rollback(back) for back in missing)
        self._searched = read
        return responses

    def _on_rollback(self, back: RolledBack) -> Response:
        at = back.decision.at
        alarm = alarm_of_rollback(back.model, back.version, back.decision)
        told = self._alerts.choose(self._known(), [alarm], at, self._clock.now())
        facts: list[AnyFact] = [fact for choice in told for fact in self._alerts.facts(choice, at)]
        facts.append(self._opened(back))
        response = self._perform(facts, told, at)
        written = self._draft(_incident_of(back))
        return Response((*response.facts, *written), response.notices, response.failures)

    def settle(self) -> tuple[Entry, ...]:
        """Notes on open incidents what has happened since: a rolled-back rollout is mitigated once every worker has the
        old route. Writes drafts that a stop left unwritten. Cheap where the journal has nothing new; call it often."""
        known = self._known()
        read = self._read
        if read == self._settled:
            return ()
        written: list[Entry] = []
        for incident in incidents(known):
            applied = _applied_after(incident, known)
            if incident.state in ("open", "acknowledged") and applied is not None:
                note = (
                    f"Traffic is back: {counted(applied.workers, 'worker')} had the route after {applied.seconds:.2f} s"
                )
                written += self._append([IncidentNoted(self.model, incident.id, note, "mitigated")])
                written += self._draft(incident.id)
            elif incident.postmortem is None:
                written += self._draft(incident.id)
        self._settled = read
        return tuple(written)

    def catch_up(self) -> tuple[Response, ...]:
        """Answers the judged windows that a stop or a failure left unanswered, oldest first."""
        return tuple(self.on_window(self._whole(seq)) for seq in _unanswered(self._known()))

    # -- incidents -----------------------------------------------------------------------------------------------

    def _incident_facts(self, known: Sequence[Entry], report: WindowReport) -> list[AnyFact]:
        """A harmful window opens an incident, or is noted on the open one; a matured window that holds resolves it."""
        current = open_drift(known, self.model)
        if report.harmful and current is None:
            return [self._harmful(f"inc-{self.model}-{report.window}", report)]
        if report.harmful and current is not None:
            note = f"Still harmful in window {report.window}: {report.reason}"
            level = "critical" if report.harm.level == "critical" else "high"
            rises = current.severity in ("low", "medium") or (level == "critical" and current.severity == "high")
            return [IncidentNoted(self.model, current.id, note, alert=HARMFUL, severity=level if rises else "")]
        if current is not None and _of_windows(current) and _recovers(report, current):
            note = f"Recovered in window {report.window}: {report.reason}"
            state = "resolved" if self._policy.resolves else "mitigated"
            return [IncidentNoted(self.model, current.id, note, state)] if state != current.state else []
        return []

    def _harmful(self, identity: str, report: WindowReport) -> IncidentOpened:
        alarm = next(alarm for alarm in alarms_of(report) if alarm.alert == HARMFUL)
        return IncidentOpened(
            model=self.model,
            incident=identity,
            severity=alarm.severity,
            title=alarm.title,
            category="data" if report.broken else "model",
            reason=report.reason,
            owner=self._policy.alert.owner,
            began_at=report.starts_at,
            detected_at=report.judged_at,
            window=report.window,
        )

    def _opened(self, back: RolledBack) -> IncidentOpened:
        evidence = tuple(self._journal.read(model=self.model, kinds=("evidence_seen",)))
        decision = back.decision
        return IncidentOpened(
            model=self.model,
            incident=_incident_of(back),
            severity="high",
            title=f"{back.model} version {back.version} was rolled back",
            category=_category(decision),
            reason=decision.reason,
            owner=self._policy.alert.owner,
            began_at=first_failure_at(evidence, decision.rollout) or back.since,
            rollout=decision.rollout,
            detected_at=decision.at,
        )

    # -- doing ---------------------------------------------------------------------------------------------------

    def _perform(self, facts: Sequence[AnyFact], choices: Sequence[AlertDecision], at: float) -> Response:
        """Facts first, then notices: a stop in between loses a notice, never a fact, and tells nothing twice."""
        entries = self._append(facts)
        return Response(entries, *self._alerts.tell(choices, at))

    def _draft(self, identity: str | None) -> tuple[Entry, ...]:
        """Writes an incident's postmortem where its facts have changed it."""
        return () if identity is None else draft(self._journal, self._clock, self._save, (self.model, identity))

    def _append(self, facts: Sequence[AnyFact]) -> tuple[Entry, ...]:
        return self._journal.append(facts, actor=ACTOR, at=self._clock.now()) if facts else ()

    def _known(self) -> tuple[Entry, ...]:
        """The model's facts, without the evidence of rollouts and the looks at it that changed nothing: of these a
        rollout leaves thousands. Windows' reports are in short: a year of hourly ones must not fill the memory."""
        for entry in self._journal.read(self._read, model=self.model):
            self._read = entry.seq
            short = None if _is_look(entry.fact) else _short(entry)
            if short is not None:
                self._entries.append(short)
        return tuple(self._entries)

    def _whole(self, seq: int) -> WindowReport:
        """The report of the judged window that the journal holds at a place."""
        fact = next(self._journal.read(seq - 1, model=self.model, kinds=("window_judged",))).fact
        assert isinstance(fact, WindowJudged)
        return report_of(fact)


def _incident_of(back: RolledBack) -> str:
    return f"inc-{back.model}-{back.decision.rollout}"


def _category(decision: Decision) -> str:
    """Where the trouble lies, as far as the decision tells."""
    if decision.guardrail is None:
        if decision.before is Phase.PROMOTED or "golden set" in decision.reason:
            return "model"  # it answered, and not as it should
        # Without evidence the controller aborted: a worker could not serve the version at all.
        return "model" if decision.evidence else "infrastructure"
    name = next((each.metric for each in decision.readings if each.guardrail == decision.guardrail), "")
    return metric(name).category if name else "model"


def _is_look(fact: AnyFact) -> bool:
    if isinstance(fact, EvidenceSeen | ImpactJudged):
        return True
    if not isinstance(fact, RolloutDecided):
        return False
    decision = msgspec.json.decode(fact.decision, type=Decision)
    return decision.before is decision.after


def _short(entry: Entry) -> Entry | None:
    """An entry as it is remembered: of a window's report only what answers rest on. None for a report that another
    program wrote: it is passed over, as the watch does."""
    fact = entry.fact
    if not isinstance(fact, WindowJudged):
        return entry
    try:
        report = bare_report(report_of(fact))
    except msgspec.MsgspecError as error:
        _LOG.warning("the report of window %s of %s cannot be read: %s", fact.window, fact.model, error)
        return None
    return replace(entry, fact=replace(fact, report=msgspec.Raw(canonical(report))))


def bare_report(report: WindowReport) -> WindowReport:
    """Which report it is, how many labels it had, and which columns were broken."""
    known = report.performance
    known = None if known is None else Performance(known.metric, labels=known.labels, matured_share=known.matured_share)
    columns = tuple(FeatureShift(one.name, "none", broken=one.broken) for one in report.drift if report.broken)
    return replace(
        report.without_parts,
        drift=columns,
        layers=(),
        performance=known,
        reason="",
        quadrant_reason="",
        harm=Harm(),
        suspects=(),
    )


def _answered(known: Sequence[Entry], report: WindowReport) -> RetrainDecided | None:
    """The decision that this very report led to."""
    judged: int | None = None
    for entry in known:
        fact = entry.fact
        if isinstance(fact, WindowJudged) and fact.window == report.window and judged is None:
            judged = entry.seq if report_of(fact) == bare_report(report) else None
        elif isinstance(fact, RetrainDecided) and fact.window == report.window and judged is not None:
            return fact
    return None


def _unanswered(known: Sequence[Entry]) -> Iterator[int]:
    """Where the journal holds the reports that no decision followed, oldest first."""
    waiting: dict[str, list[int]] = {}
    for entry in known:
        fact = entry.fact
        if isinstance(fact, WindowJudged):
            waiting.setdefault(fact.window, []).append(entry.seq)
        elif isinstance(fact, RetrainDecided):
            waiting.pop(fact.window, None)
    yield from sorted(seq for places in waiting.values() for seq in places)


def _of_windows(incident: Incident) -> bool:
    """Whether windows showed it, so that a window may end it."""
    return bool(incident.window) or not {HARMFUL, DATA}.isdisjoint(incident.alerts)


def _recovers(report: WindowReport, incident: Incident) -> bool:
    """A later window with enough matured labels holds, and its loss is back below the bound: a window that is merely no
    evidence of harm ends nothing. Where data came in broken, they no longer do."""
    later = incident.began_at is None or report.starts_at > incident.began_at
    mended = not report.broken or not (incident.category == "data" or DATA in incident.alerts)
    loss, bound = report.harm.loss, report.harm.bound
    back = loss is None or bound is None or loss <= bound
    return later and mended and back and report.verdict == "holds"


def _applied_after(incident: Incident, known: Sequence[Entry]) -> RouteApplied | None:
    """The swap that ended a rolled-back rollout's traffic."""
    if incident.rollout is None:
        return None
    found = [
        entry.fact
        for entry in known
        if isinstance(entry.fact, RouteApplied)
        and entry.fact.rollout == incident.rollout
        and entry.at >= (incident.detected_at or incident.opened_at)
    ]
    return found[0] if found else None
