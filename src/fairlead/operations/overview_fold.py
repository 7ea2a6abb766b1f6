"""The overview as a fold: takes entries as they come and keeps what the page shows, so a view costs little."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from fairlead.core import event
from fairlead.core.alert import PAGING
from fairlead.core.alert_evidence import window_of
from fairlead.core.event import Entry
from fairlead.core.facts_act import ImpactJudged, TriageDone
from fairlead.core.impact import ImpactReport, impact_of
from fairlead.core.incident import STATES
from fairlead.core.listing import counted
from fairlead.core.pages_made import is_outage
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.core.verdict import Outcome, Verdict
from fairlead.operations.overview_ladder import ladder_of
from fairlead.operations.overview_notes import NO_RETRAINING, note_of
from fairlead.operations.overview_parts import MOST_WINDOWS as MOST_PARTS
from fairlead.operations.overview_parts import Parts, parts_of, raw_parts
from fairlead.operations.overview_report import heat_of, window_view
from fairlead.operations.overview_rollout import RolloutFold
from fairlead.operations.overview_values import (
    AlertView,
    ArmView,
    GateView,
    Heat,
    IncidentView,
    Mark,
    ModelView,
    Note,
    Overview,
    VersionView,
    WindowView,
    WorkerView,
)
from fairlead.ports import WorkerState

MOST_WINDOWS = 60
MOST_IMPACTS = 26
MOST_NOTES = 200  # shown of a model; the journal has all
MOST_TIMELINE = 200
MOST_TOLD = 60  # notices, of which each alert's last of a window is kept
SILENT_SECONDS = 10.0  # a worker that has said nothing for longer is not known to be alive


class OverviewFold:
    """Keeps an overview up to date. Not thread-safe: `LiveOverview` is."""

    def __init__(self) -> None:
        self.seq = 0
        self._models: dict[str, ModelFold] = {}
        self._workers: list[Note] = []

    def add(self, entries: Iterable[Entry]) -> None:
        """Takes new entries in, oldest first; entries that it already knows are passed over."""
        for entry in entries:
            if entry.seq <= self.seq:
                continue
            self.seq = entry.seq
            if isinstance(entry.fact, event.WorkerChanged):
                note = note_of(entry)
                if note is not None:
                    self._workers.append(note)
            elif entry.fact.model:
                self._models.setdefault(entry.fact.model, ModelFold(entry.fact.model)).add(entry)

    def view(self, workers: Iterable[WorkerState], table: RouteTable, now: float) -> Overview:
        """The overview as of `now`."""
        seen = tuple(worker_view(state, table, now) for state in sorted(workers, key=lambda state: state.worker))
        names = sorted({*self._models, *table.models})
        models = tuple(
            self._models.setdefault(name, ModelFold(name)).view(table.models.get(name), seen, self._workers)
            for name in names
        )
        return Overview(at=now, seq=self.seq, generation=table.generation, models=models, workers=seen)


class ModelFold:
    """One model's part."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._aliases: dict[str, int | None] = {}
        self._versions: dict[int, VersionView] = {}
        self._histories: dict[int, list[Note]] = {}
        self._rollouts: dict[str, RolloutFold] = {}
        self._windows: dict[str, WindowView] = {}
        self._impact: dict[float, ImpactReport] = {}  # by the start of its window
        self._incidents: dict[str, IncidentView] = {}
        self._spans: dict[
            str, tuple[int, int | None]
        ] = {}  # incident -> first entry of its timeline, and the one that ended the harm
        self._alerts: dict[str, AlertView] = {}
        self._outages: dict[str, Verdict] = {}  # of the alerts that stand on requests without an answer
        self._told: dict[tuple[str, str], AlertView] = {}  # by alert and window, the oldest first
        self._notes: list[Note] = []
        self._marks: list[Mark] = []
        self._calm_seq = 0  # the last entry at which a window held or an incident was over
        self._heat: Heat | None = None
        self._raw_parts: dict[str, tuple[float, bytes]] = {}  # by window: when it starts, and its classes and groups
        self._parts: Parts | None = None
        self._latest: str | None = None  # the name of the latest window judged so far
        self._takes: dict[type, Callable[[Entry, Any], None]] = {
            event.VersionRegistered: self._registered,
            event.StatusChanged: self._status,
            event.AliasMoved: self._alias,
            event.GateMeasured: self._gate,
            event.RolloutStarted: self._rollout,
            event.EvidenceSeen: self._evidence,
            event.RolloutDecided: self._decided,
            event.RouteApplied: self._applied,
            event.WindowJudged: self._window,
            ImpactJudged: self._impacted,
            event.AlertRaised: self._alert,
            event.AlertQuieted: self._quieted,
            event.IncidentOpened: self._opened,
            event.IncidentNoted: self._noted,
            event.PostmortemWritten: self._postmortem,
            TriageDone: self._triaged,
        }

    def add(self, entry: Entry) -> None:
        """Takes an entry in. One that cannot be read is said in the notes and changes nothing else."""
        note = note_of(entry)
        if note is not None:
            self._note(note)
        take = self._takes.get(type(entry.fact))
        if take is None:
            return
        try:
            take(entry, entry.fact)
        except msgspec.MsgspecError as error:
            title = f"Entry {entry.seq} cannot be read"
            kind = str(type(entry.fact).__struct_config__.tag)
            self._note(Note(entry.seq, entry.at, entry.actor, kind, title, str(error), "warning", "", self.name))

    def view(self, route: ModelRoute | None, workers: tuple[WorkerView, ...], worker_notes: list[Note]) -> ModelView:
        """What the page shows."""
        windows = tuple(sorted(self._windows.values(), key=lambda window: window.starts_at))[-MOST_WINDOWS:]
        rollouts = tuple(fold.finished() for fold in reversed(self._rollouts.values()))
        self._heat = self._heat or heat_of(windows)
        self._parts = self._parts or parts_of({name: text for name, (_, text) in self._raw_parts.items()})
        impact = tuple(self._impact[start] for start in sorted(self._impact))
        return ModelView(
            name=self.name,
            champion=self._aliases.get("champion"),
            challenger=self._aliases.get("challenger"),
            arms=tuple(ArmView(arm.name, arm.version, arm.share) for arm in route.arms) if route else (),
            shadows=route.shadows if route else (),
            ladder=ladder_of(windows, rollouts, workers, impact, tuple(self._outages.values())),
            versions=tuple(self._version(version) for version in sorted(self._versions, reverse=True)),
            rollouts=rollouts,
            windows=windows,
            heat=self._heat,
            marks=tuple(self._marks),
            incidents=tuple(self._incident(each, worker_notes) for each in reversed(self._incidents)),
            alerts=tuple(sorted(self._alerts.values(), key=lambda alert: -alert.at)),
            notes=tuple(reversed(self._notes[-MOST_NOTES:])),
            impact=impact,
            parts=self._parts,
            told=tuple(reversed(self._told.values())),
        )

    def _part(self, fact: event.WindowJudged) -> None:
        """Keeps the classes and groups of the newest windows, as their reports hold them."""
        text = raw_parts(fact)
        if not text:
            return
        self._raw_parts[fact.window] = fact.starts_at, text
        ordered = sorted(self._raw_parts.items(), key=lambda one: one[1][0])
        self._raw_parts, self._parts = dict(ordered[-MOST_PARTS:]), None

    def _note(self, note: Note) -> None:
        self._notes.append(note)

    def _registered(self, entry: Entry, fact: event.VersionRegistered) -> None:
        self._versions[fact.version] = VersionView(fact.version, fact.bundle, fact.dataset, entry.at)
        self._history(fact.version)

    def _status(self, _entry: Entry, fact: event.StatusChanged) -> None:
        self._change(fact.version, status=fact.status)

    def _alias(self, entry: Entry, fact: event.AliasMoved) -> None:
        self._aliases[fact.alias] = fact.version
        if fact.version is not None:
            self._history(fact.version)
        if fact.alias == "champion" and fact.version is not None:
            self._marks.append(Mark(entry.at, "promoted", f"v{fact.version} became champion", self._latest))

    def _gate(self, entry: Entry, fact: event.GateMeasured) -> None:
        gate = GateView(entry.at, fact.passed, fact.failed, fact.report, fact.environment)
        self._change(fact.version, gate=gate)

    def _rollout(self, entry: Entry, fact: event.RolloutStarted) -> None:
        fold = self._rollouts[fact.rollout] = RolloutFold(entry, fact)
        fold.notes.append(self._notes[-1])
        self._history(fact.version)

    def _evidence(self, _entry: Entry, fact: event.EvidenceSeen) -> None:
        if fact.rollout in self._rollouts:
            self._rollouts[fact.rollout].evidence(fact)

    def _decided(self, entry: Entry, fact: event.RolloutDecided) -> None:
        fold = self._rollouts.get(fact.rollout)
        turn = fold.decided(entry, fact) if fold else None
        if fold is None or turn is None:
            return
        self._note(turn)
        fold.notes.append(turn)
        self._history(fold.view.version)
        if turn.tone == "bad":
            self._marks.append(Mark(entry.at, "rolled_back", f"v{fold.view.version} was rolled back", self._latest))

    def _applied(self, _entry: Entry, fact: event.RouteApplied) -> None:
        if fact.rollout in self._rollouts:
            self._rollouts[fact.rollout].applied(fact.seconds)

    def _window(self, entry: Entry, fact: event.WindowJudged) -> None:
        view = window_view(entry.at, fact)
        latest = self._windows.get(self._latest or "")
        if latest is None or view.starts_at >= latest.starts_at:
            self._latest = view.name
        before = self._windows.get(fact.window)
        again = before is not None
        if before is not None:
            view = msgspec.structs.replace(view, evidence=tuple(dict.fromkeys((*before.evidence, *view.evidence))))
        self._windows[fact.window] = view
        self._heat = None
        self._part(fact)
        note = self._notes[-1]
        title = f"{note.title}, judged again" if again else note.title
        reason = f"{view.reason} ({counted(view.rows, 'row')})" if view.reason else note.reason
        self._notes[-1] = msgspec.structs.replace(note, title=title, reason=reason)
        if view.verdict is Outcome.HOLDS:
            self._calm_seq = entry.seq

    def _impacted(self, _entry: Entry, fact: ImpactJudged) -> None:
        """A window's second report has what its events came to, too."""
        self._impact[fact.starts_at] = impact_of(fact)
        if len(self._impact) > MOST_IMPACTS:
            del self._impact[min(self._impact)]

    def _alert(self, entry: Entry, fact: event.AlertRaised) -> None:
        before = self._alerts.get(fact.alert)
        view = self._alerts[fact.alert] = AlertView(
            alert=fact.alert,
            severity=fact.severity,
            title=fact.title,
            reason=fact.reason,
            owner=fact.owner,
            runbook=fact.runbook,
            at=entry.at,
            raised=before.raised + 1 if before else 1,
            quieted=before.quieted if before else 0,
            window=window_of(fact),
            event_at=fact.event_at,
        )
        if is_outage(fact):
            outcome = Outcome.BREACHED if fact.severity in PAGING else Outcome.UNDECIDED
            self._outages[fact.alert] = Verdict(outcome, f"now: {fact.reason}")
        key = fact.alert, view.window
        self._told.pop(key, None)
        self._told[key] = view
        if len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    def _quieted(self, _entry: Entry, fact: event.AlertQuieted) -> None:
        before = self._alerts.get(fact.alert)
        if fact.recovered:
            self._outages.pop(fact.alert, None)
        if before:
            self._alerts[fact.alert] = msgspec.structs.replace(
                before, quieted=before.quieted + 1, quieted_because=fact.reason
            )

    def _opened(self, entry: Entry, fact: event.IncidentOpened) -> None:
        if fact.incident in self._incidents:
            return
        rollout = self._rollouts.get(fact.rollout or "")
        first = rollout.notes[0].seq if rollout and rollout.notes else self._calm_seq + 1
        self._spans[fact.incident] = (first, None)
        self._incidents[fact.incident] = IncidentView(
            id=fact.incident,
            model=fact.model,
            severity=fact.severity,
            title=fact.title,
            category=fact.category,
            reason=fact.reason,
            owner=fact.owner,
            opened_at=entry.at,
            began_at=fact.began_at,
            state="open",
            window=fact.window,
            rollout=fact.rollout,
        )

    def _noted(self, entry: Entry, fact: event.IncidentNoted) -> None:
        before = self._incidents.get(fact.incident)
        if before is None:
            return
        if fact.severity:
            before = self._incidents[fact.incident] = msgspec.structs.replace(before, severity=fact.severity)
        if fact.state not in STATES or STATES.index(fact.state) <= STATES.index(before.state):
            return  # a late word does not reopen what is resolved
        resolved = entry.at if fact.state == "resolved" else None
        self._incidents[fact.incident] = msgspec.structs.replace(before, state=fact.state, resolved_at=resolved)
        first, last = self._spans[fact.incident]
        if fact.state in ("mitigated", "resolved") and last is None:
            self._spans[fact.incident] = (first, entry.seq)
        if resolved is not None:
            self._calm_seq = entry.seq

    def _triaged(self, _entry: Entry, fact: TriageDone) -> None:
        """The last triage says where the trouble lies, here as everywhere."""
        before = self._incidents.get(fact.incident)
        if before and fact.category:
            self._incidents[fact.incident] = msgspec.structs.replace(before, category=fact.category)

    def _postmortem(self, _entry: Entry, fact: event.PostmortemWritten) -> None:
        before = self._incidents.get(fact.incident)
        if before:
            self._incidents[fact.incident] = msgspec.structs.replace(before, postmortem=fact.path)

    def _incident(self, incident: str, worker_notes: list[Note]) -> IncidentView:
        first, last = self._spans[incident]
        mine = _between(self._notes, first, last)
        told = [note for note in (*mine, *_between(worker_notes, first, last)) if _belongs(note, incident)]
        told += [note for note in self._notes if note.subject == incident and last is not None and note.seq > last]
        told.sort(key=lambda note: note.seq)
        return msgspec.structs.replace(self._incidents[incident], timeline=tuple(told[:MOST_TIMELINE]))

    def _history(self, version: int) -> None:
        self._histories.setdefault(version, []).append(self._notes[-1])

    def _change(self, version: int, **changes: Any) -> None:
        self._history(version)
        if version in self._versions:
            self._versions[version] = msgspec.structs.replace(self._versions[version], **changes)

    def _version(self, version: int) -> VersionView:
        aliases = tuple(sorted(alias for alias, at in self._aliases.items() if at == version))
        history = tuple(reversed(self._histories.get(version, [])))
        return msgspec.structs.replace(self._versions[version], aliases=aliases, history=history)


def worker_view(state: WorkerState, table: RouteTable, now: float) -> WorkerView:
    """A worker's state as a verdict: it holds when it was heard of lately and runs the published table."""
    age = max(0.0, now - state.heartbeat_at)
    outcome, reason = Outcome.HOLDS, f"worker {state.worker} answers with route {state.generation}"
    if age > SILENT_SECONDS:
        outcome, reason = Outcome.UNMEASURED, f"worker {state.worker} has said nothing for {age:.0f} s"
    elif state.error:
        outcome, reason = Outcome.BREACHED, f"worker {state.worker} cannot follow the route: {state.error}"
    elif state.generation < table.generation:
        reason = f"worker {state.worker} runs route {state.generation}, published is {table.generation}"
        outcome = Outcome.UNDECIDED
    return WorkerView(state.worker, state.pid, state.generation, age, outcome, reason, state.versions)


def _between(notes: list[Note], first: int, last: int | None) -> list[Note]:
    start = bisect_left(notes, first, key=lambda note: note.seq)
    end = len(notes) if last is None else bisect_right(notes, last, key=lambda note: note.seq)
    return notes[start:end]


def _belongs(note: Note, incident: str) -> bool:
    """Whether a note of the time belongs to an incident's timeline: all but another incident's own, and what was
    decided against or follows from another line."""
    if note.kind.startswith(("incident_", "postmortem_")):
        return note.subject == incident
    return note.kind not in ("alert_quieted", "status_changed") and note.title != NO_RETRAINING
