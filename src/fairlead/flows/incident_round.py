"""incidents: alert -> incident -> triage -> action -> people told -> mitigated -> resolved, as the journal asks for it.

What is due is a fold over facts (`core.handling`), so a restart goes on where the last controller stopped. What takes
long (a triage, an action) is started elsewhere and comes back as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.alarm import UNACKNOWLEDGED
from fairlead.core.communication import drafts, due_at
from fairlead.core.event import (
    AlertRaised,
    AliasMoved,
    AnyFact,
    DeployAsked,
    DeployRefused,
    Entry,
    IncidentNoted,
    PostmortemWritten,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RouteApplied,
    WindowJudged,
)
from fairlead.core.facts_act import MessageDrafted
from fairlead.core.handling import Seen, Step, due
from fairlead.core.incident import KINDS, Incident, incidents
from fairlead.core.incident_terms import AUDIENCES, Audience, Handling
from fairlead.core.opening import standing, to_open
from fairlead.core.reach import Counted, Impact, counted, reach_of
from fairlead.core.rollout import Decision, Phase
from fairlead.ports import Clock, Journal

ACTOR = "respond"
FOLLOWED = (
    *KINDS,
    "alert_raised",
    "alert_quieted",
    "alias_moved",
    "deploy_asked",
    "deploy_refused",
    "retrain_decided",
    "retrain_finished",
    "rollout_decided",
    "route_applied",
    "window_judged",
)
_WINDOWS_KEPT = 24
_OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)
_PHASES = msgspec.json.Decoder(Decision)


class Hands(Protocol):
    """What a round asks for and does not do itself."""

    def start(self, step: Step) -> None:
        """Starts a triage or an action; asked again while it is not in the journal, it starts nothing twice."""
        ...

    def escalate(self, incident: Incident, step: Step) -> None:
        """Tells the next people that nobody has acknowledged an incident."""
        ...

    def calm(self, model: str, alerts: Sequence[str]) -> None:
        """Ends the alerts of an escalation: somebody has acknowledged the incident."""
        ...

    def draft(self, model: str, incident: str) -> None:
        """Writes the postmortem anew where its facts have changed it."""
        ...


class IncidentRound:
    """Every model's incidents. Memory: a model's alerts, incidents and deploys, and some windows without their reports;
    while an incident is open, all its windows."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        hands: Hands,
        handling: Handling = Handling(),  # noqa: B008 - a frozen value
        audiences: Sequence[Audience] = AUDIENCES,
        stated: Callable[[str], str] = lambda _: "",
    ) -> None:
        """`stated`: where the trouble lies that an alert of the settings speaks of, by its name."""
        self._journal = journal
        self._clock = clock
        self._hands = hands
        self._handling = handling
        self._audiences = audiences
        self._stated = stated
        self._read = 0
        self._entries: dict[str, list[Entry]] = {}
        self._counted: dict[str, dict[str, Counted]] = {}  # by model and window
        self._broken: set[str] = set()  # models whose last window has a broken column
        self._storied: set[str] = set()  # models of which something was told that a postmortem tells
        self._open: set[str] = set()  # models with an incident that is not resolved

    def look(self) -> bool:
        """Takes in what is new, and does what is due; whether anything was new. Cheap where nothing is."""
        changed = self._follow()
        for model in sorted(changed | self._open):
            self._work_on(model, drafted=model in self._storied)
        self._storied.clear()
        return bool(changed)

    def _follow(self) -> set[str]:
        changed: set[str] = set()
        for entry in self._journal.read(self._read, kinds=FOLLOWED):
            self._read = entry.seq
            model = entry.fact.model
            kept = self._kept(entry)
            if kept is not None:
                self._entries.setdefault(model, []).append(kept)
                if not isinstance(entry.fact, WindowJudged | PostmortemWritten | MessageDrafted):
                    self._storied.add(model)
                changed.add(model)
        return changed

    def _kept(self, entry: Entry) -> Entry | None:
        """An entry as it is kept: a window without its report, a decision only where a phase changed."""
        fact = entry.fact
        if isinstance(fact, WindowJudged):
            self._count(fact)
            return replace(entry, fact=replace(fact, report=Raw(b"{}")))
        if isinstance(fact, RolloutDecided):
            decision = _PHASES.decode(fact.decision)
            return entry if decision.before is not decision.after else None
        if isinstance(fact, RetrainDecided) and not fact.triggered:
            return None
        return entry

    def _count(self, fact: WindowJudged) -> None:
        windows = self._counted.setdefault(fact.model, {})
        windows[fact.window] = counted(fact)
        if next(reversed(windows)) == fact.window:
            (self._broken.add if windows[fact.window].broken else self._broken.discard)(fact.model)

    def _work_on(self, model: str, *, drafted: bool) -> None:
        """Opens what is to be opened, does what is due, and notes what has helped."""
        entries = self._entries.get(model, [])
        added: list[AnyFact] = list(to_open(entries, model, self._stated))
        entries = [*entries, *self._append(added)]
        now, known = self._clock.now(), incidents(entries)
        busy = _busy(entries, trains=self._handling.trains)
        seen = replace(_seen(entries), broken=model in self._broken, busy=busy)
        for one in known:
            written = self._append([*_helped(one, entries), *self._messages(one, model)])
            if written:
                one = next(each for each in incidents([*entries, *written]) if each.id == one.id)  # noqa: PLW2901
            for step in due(one, seen, self._handling, now):
                self._take(model, one, step)
            if drafted or written:
                self._hands.draft(model, one.id)
        self._calm(model, known, seen)
        unresolved = any(one.state != "resolved" for one in known)
        (self._open.add if unresolved else self._open.discard)(model)
        if not unresolved:
            self._forget(model)

    def _forget(self, model: str) -> None:
        """Of a model that is well the last windows are kept: an alert may yet speak of them."""
        entries = self._entries.get(model, [])
        judged = [entry.seq for entry in entries if isinstance(entry.fact, WindowJudged)]
        if len(judged) < 2 * _WINDOWS_KEPT:
            return
        since = judged[-_WINDOWS_KEPT]
        kept = [entry for entry in entries if entry.seq >= since or not isinstance(entry.fact, WindowJudged)]
        self._entries[model] = kept
        names = {entry.fact.window for entry in kept if isinstance(entry.fact, WindowJudged)}
        counted = self._counted.get(model, {})
        self._counted[model] = {name: counted[name] for name in counted if name in names}

    def _take(self, model: str, incident: Incident, step: Step) -> None:
        if step.kind == "resolve":
            self._append([IncidentNoted(model, incident.id, f"Resolved: {step.reason}", "resolved")])
        elif step.kind == "escalate":
            self._hands.escalate(incident, step)
        else:
            self._hands.start(step)

    def _messages(self, incident: Incident, model: str) -> Iterator[MessageDrafted]:
        """A draft for each audience at the opening, and again at each turn: triage, action, mitigated, resolved."""
        turns = [incident.opened_at, incident.mitigated_at or 0.0, incident.resolved_at or 0.0]
        turns += [] if incident.triage is None else [incident.triage.at]
        latest = max([*turns, *(one.at for one in incident.actions)])
        known = {one.audience: one for one in incident.messages}
        if len(known) == len(self._audiences) and all(one.drafted_at >= latest for one in known.values()):
            return
        for audience, text in drafts(incident, self.impact(incident), self._audiences):
            before = known.get(audience.name)
            if before is None or (before.text != text and before.drafted_at < latest):
                yield MessageDrafted(
                    model, incident.id, audience.name, due_at(incident, audience), text, audience.channel
                )

    def impact(self, incident: Incident) -> Impact:
        """Whom it reached: the answers of the windows since it began."""
        return reach_of(incident, self._entries.get(incident.model, []), self._counted.get(incident.model, {}))

    def _calm(self, model: str, known: Sequence[Incident], seen: Seen) -> None:
        """Escalations of incidents that somebody works on, or that are over, have done their part."""
        waiting = {one.id for one in known if one.state == "open"}
        over = [alert for alert in seen.standing if _escalated(alert) and _of(alert) not in waiting]
        if over:
            self._hands.calm(model, over)

    def _append(self, facts: Sequence[AnyFact]) -> tuple[Entry, ...]:
        return self._journal.append(facts, actor=ACTOR, at=self._clock.now()) if facts else ()


def _escalated(alert: str) -> bool:
    return alert.startswith(f"{UNACKNOWLEDGED}:")


def _of(alert: str) -> str:
    """The incident of an escalation's alert."""
    return alert.removeprefix(f"{UNACKNOWLEDGED}:").rpartition(":")[0]


def escalation_alert(incident: str, key: str) -> str:
    """The key of the alert that tells of an escalation.

    >>> escalation_alert("inc-hotel-1", "inc-hotel-1:escalation:2")
    'incident-unacknowledged:inc-hotel-1:2'
    """
    return f"{UNACKNOWLEDGED}:{incident}:{key.rpartition(':')[2]}"


def _seen(entries: Sequence[Entry]) -> Seen:
    """What else is known of the model."""
    raised = [entry.fact.alert for entry in entries if isinstance(entry.fact, AlertRaised)]
    told = frozenset(f"{_of(alert)}:escalation:{alert.rpartition(':')[2]}" for alert in raised if _escalated(alert))
    judged = [entry.at for entry in entries if isinstance(entry.fact, WindowJudged)]
    return Seen(frozenset(standing(entries)), judged[-1] if judged else None, told)


def _busy(entries: Sequence[Entry], *, trains: bool) -> bool:
    """Whether a rollout or a training run is under way: a second one would be refused. Where nothing `trains`, a run
    that was asked for never ends, and keeps nobody waiting."""
    waiting: set[str] = set()
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, DeployAsked):
            waiting.add(fact.rollout)
        elif isinstance(fact, DeployRefused) or (isinstance(fact, RolloutDecided) and _ended(fact)):
            waiting.discard(fact.rollout)
        elif isinstance(fact, RetrainDecided) and fact.triggered and trains:
            waiting.add(fact.run)
        elif isinstance(fact, RetrainFinished):
            waiting.discard(fact.run)
    return bool(waiting)


def _ended(fact: RolloutDecided) -> bool:
    return _PHASES.decode(fact.decision).after in _OVER


def _helped(incident: Incident, entries: Sequence[Entry]) -> Iterator[IncidentNoted]:
    """An action that has reached users: all workers have the route back, or the new version serves."""
    if incident.state not in ("open", "acknowledged"):
        return
    for done in incident.actions:
        if done.failed or done.action not in ("rollback", "threshold", "recalibrate", "retrain"):
            continue
        later = [entry for entry in entries if entry.at >= done.at]
        moved = next((entry for entry in later if isinstance(entry.fact, AliasMoved) and _champion(entry)), None)
        if moved is None:
            continue
        applied = next(
            (entry for entry in later if isinstance(entry.fact, RouteApplied) and entry.seq > moved.seq), None
        )
        if applied is not None:
            version = moved.fact.version if isinstance(moved.fact, AliasMoved) else None
            yield IncidentNoted(incident.model, incident.id, f"Version {version} serves on every worker", "mitigated")
            return


def _champion(entry: Entry) -> bool:
    return isinstance(entry.fact, AliasMoved) and entry.fact.alias == "champion" and entry.fact.version is not None
