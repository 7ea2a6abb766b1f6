"""release: version -> gates -> shadow -> canary -> champion, or back, in seconds.

One object drives the rollouts of every model. It decides nothing: `core.advance` does. It looks at the evidence, asks,
writes the answer to the journal and performs it. What it knows is a fold of the journal and the log, and the route
table is derived from what it knows: it may be killed at any instruction and started again.

A rollback does not wait for the journal. Its route is published first; if the journal cannot be written then, the
version stays without traffic and the fact is written as soon as it can be. One model's trouble never holds up another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import structs

from fairlead.core.advance import CONTROLLER, apply_operator
from fairlead.core.event import (
    AnyFact,
    DeployAsked,
    DeployRefused,
    EvidenceSeen,
    OperatorAsked,
    PromotionDecided,
    PromotionSeen,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    RouteChanged,
)
from fairlead.core.exploring import Draws
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.rollout import Call, Decision, Evidence, Phase, Rollout, start
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.errors import FairleadError, JournalBroken, StateError
from fairlead.flows.baseline import baseline_for
from fairlead.flows.consequences import consequences
from fairlead.flows.paired import WorstPair
from fairlead.flows.release_state import ModelState, Track, raw
from fairlead.flows.replicas import Replicas
from fairlead.flows.routing import drawing
from fairlead.flows.telling import Telling
from fairlead.flows.vital_signs import VitalSigns
from fairlead.ports import BundleStore, Clock, Journal, RouteBoard

Move = tuple[Track, Decision, AnyFact]  # the fact is what the decision follows from

_LOG = logging.getLogger("fairlead.release")
ACTOR = "controller"
# Looks that change nothing are journalled this often, early in a phase and later: enough to draw the evidence,
# little enough to keep for years.
_EARLY_LOOK_SECONDS, _LATE_LOOK_SECONDS, _EARLY_SECONDS = 0.5, 5.0, 60.0
_WORKER_GONE_SECONDS = 5.0


class Release:
    """Drives the rollouts of all models on one home."""

    def __init__(
        self,
        journal: Journal,
        board: RouteBoard,
        bundles: BundleStore,
        clock: Clock,
        signs: VitalSigns | None = None,
        draws: Mapping[str, Draws] = MappingProxyType({}),
    ) -> None:
        """`draws`: of which models, by name, decisions are drawn for a share of the requests while nothing is tried."""
        self._journal = journal
        self._board = board
        self._bundles = bundles
        self._clock = clock
        self._draws = draws
        self._models: dict[str, ModelState] = {}
        self._replicas = Replicas(signs)
        self._telling = Telling(_LOG)
        self._read = 0
        self._generation = 0
        self.follow()

    def observe(self, records: Iterable[Prediction]) -> None:
        """Takes new log records in."""
        by_model: dict[str, list[Prediction]] = {}
        for record in records:
            by_model.setdefault(record.model_name, []).append(record)
        for name, mine in by_model.items():
            self._model(name).observe(mine)

    def observe_events(self, events: Sequence[EventRecord]) -> None:
        """Takes new business events in."""
        for name in {event.model_name for event in events}:
            self._model(name).observe_events(events)

    def observe_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> None:
        """Takes in what really happened; an outcome does not say of which model it is."""
        for model in list(self._models.values()) if outcomes else ():
            model.observe_outcomes(outcomes)

    def follow(self) -> None:
        """Folds what the journal has that we do not know yet. An entry that cannot be read is skipped, and said."""
        while True:
            try:
                for entry in self._journal.read(self._read):
                    self._read = entry.seq
                    if isinstance(entry.fact, RouteChanged):
                        self._generation = max(self._generation, entry.fact.generation)
                    self._replicas.fold(entry)
                    if entry.fact.model:
                        self._model(entry.fact.model).fold(entry)
            except JournalBroken:
                # Entries are numbered without gaps. One bad entry must not keep a bad version of another model serving.
                self._read += 1
                _LOG.exception("entry %d of the journal is passed over: run `fairlead journal verify`", self._read)
            else:
                return

    def tick(self) -> None:
        """Reads what was asked, looks at the evidence, acts. Cheap when there is nothing to do.

        Raises `StateError` for a journal that cannot be read, but only after the looks: no rollback waits for that.
        """
        unread: StateError | None = None
        try:
            self.follow()
        except StateError as error:
            unread = error
        for name, model in list(self._models.items()):
            try:
                self._operate(name, model)
                self._look(name, model)
                self._look_after(name, model)
                self._start(name, model)
            except Exception as fault:  # noqa: BLE001 - whatever is wrong with one model, the others' rollbacks must go on
                said = fault.line if isinstance(fault, FairleadError) else repr(fault)
                self._telling.wrong(f"the rollout of {name}", f"it cannot go on and is tried again: {said}", fault)
            else:
                self._telling.right(f"the rollout of {name}")
        if unread is not None:
            raise unread
        self._route("reconciled with the journal", self._clock.now(), None)
        self._confirm()
        self._give_up()

    def decisions(self) -> Iterator[tuple[str, Decision]]:
        """What the evidence of each rollout that runs says now, by model; nothing is decided by asking."""
        now = self._clock.now()
        for name, model in list(self._models.items()):
            for track in model.tracks:
                if track.runs:
                    yield name, track.ask(track.unseen(), now)

    def worst_pairs(self) -> Iterator[tuple[str, tuple[WorstPair, ...]]]:
        """The shadow pairs that differ most, by rollout, of those that are not over."""
        for model in list(self._models.values()):
            for track in model.tracks:
                if track.runs and track.collector.worst_pairs:
                    yield track.rollout.id, track.collector.worst_pairs

    def running(self, name: str) -> Rollout | None:
        """The rollout of a model that is not over, if any."""
        return self._model(name).running

    def champion(self, name: str) -> int | None:
        """The version that serves a model now."""
        return self._model(name).champion

    def _model(self, name: str) -> ModelState:
        return self._models.setdefault(name, ModelState(name))

    # -- decisions -----------------------------------------------------------------------------------------------

    def _start(self, name: str, model: ModelState) -> None:
        """Starts the next rollout that was asked for, when none is running; one that cannot start leaves the queue. The
        arms of one start together, or none does."""
        if model.running is not None or not model.asked:
            return
        together = model.next_asked()
        now = self._clock.now()
        try:
            started = [self._begun(name, model, asked, now) for asked in together]
        except (FairleadError, OSError, ValueError) as error:
            reason = error.line if isinstance(error, FairleadError) else f"{type(error).__name__}: {error}"
            self._append([DeployRefused(name, asked.rollout, asked.version, reason) for asked in together], now)
            return
        self._append([*started], now)
        self._look(name, model)

    def _begun(self, name: str, model: ModelState, asked: DeployAsked, now: float) -> RolloutStarted:
        model.check_deploy(asked)
        baseline = baseline_for(self._bundles, asked.bundle, model.champion_bundle, model.recent)
        # What cannot be started must not be written: the journal is for ever.
        start(asked.rollout, name, asked.version, model.champion, asked.plan, baseline, now)
        return RolloutStarted(
            name, asked.rollout, asked.version, asked.bundle, model.champion, asked.plan, raw(baseline)
        )

    def _look(self, name: str, model: ModelState) -> None:
        """Asks `advance` about what the log added, and journals the answer when it says something new."""
        for track in [one for one in model.tracks if one.runs]:
            now, rollout = self._clock.now(), track.rollout
            evidence = track.unseen()
            decision = track.ask(evidence, now)
            interval = _EARLY_LOOK_SECONDS if now - rollout.phase_at < _EARLY_SECONDS else _LATE_LOOK_SECONDS
            if _moved(track, decision) or (evidence != Evidence() and now - track.looked_at >= interval):
                self._perform(name, [(track, decision, EvidenceSeen(name, rollout.id, raw(evidence)))])

    def _look_after(self, name: str, model: ModelState) -> None:
        """Watches over a promoted version; one that has changed for the worse goes back to the version before."""
        for track in [one for one in model.tracks if one.rollout.phase is Phase.PROMOTED]:
            now = self._clock.now()
            found = track.after.look(now)
            if found is None:
                continue
            evidence, decision = found
            identity = track.rollout.id
            facts: list[AnyFact] = [
                PromotionSeen(name, identity, raw(evidence)),
                PromotionDecided(name, identity, raw(decision)),
            ]
            serves = model.champion == track.rollout.version
            if decision.call is Call.REGRESS and track.rollout.plan.automatic and serves:
                facts.append(OperatorAsked(name, "rollback", decision.reason, seen=identity, by=CONTROLLER))
            self._append(facts, now)

    def _operate(self, name: str, model: ModelState) -> None:
        """Performs what an operator asked for. When one arm is promoted the others end with it."""
        while model.requests:
            entry, request = model.requests[0]
            now = self._clock.now()
            try:
                decisions = model.ask_operator(request, now)
            except FairleadError as error:
                refused = OperatorAsked(name, request.verb, f"refused: {error.line}", rollout="", by=request.by)
                self._append([refused], self._clock.now(), entry.actor)
                continue
            moves: list[Move] = [
                (track, decision, structs.replace(request, rollout=track.rollout.id, seen=""))
                for track, decision in decisions
            ]
            for track, decision in decisions:
                if decision.after is Phase.PROMOTED:
                    moves += _endings(name, model, track, now)
            self._perform(name, moves, entry.actor)

    def _perform(self, name: str, moves: list[Move], actor: str = ACTOR) -> None:
        """Journals decisions, each after what it follows from, with their consequences in one transaction, then swaps
        the route. Taking traffic away comes before the journal."""
        moved = any(_moved(track, decision) for track, decision, _ in moves)
        first, decided, _ = moves[0]
        rollout = first.rollout.id
        if decided.after is Phase.ROLLED_BACK:
            for track, decision, _ in moves:
                track.doomed = track.doomed or decision.after is Phase.ROLLED_BACK
            self._route(decided.reason, decided.at, rollout)
        facts: list[AnyFact] = []
        for track, decision, because in moves:
            facts += [because, RolloutDecided(name, track.rollout.id, raw(decision))]
            facts += consequences(name, track.rollout, decision)
        self._append(facts, decided.at, actor)
        if moved:
            self._route(decided.reason, decided.at, rollout)

    def _append(self, facts: list[AnyFact], at: float, actor: str = ACTOR) -> None:
        self._journal.append(facts, actor=actor, at=at)
        self.follow()

    # -- routes --------------------------------------------------------------------------------------------------

    def _route(self, reason: str, decided_at: float, rollout: str | None) -> None:
        """Publishes the table that the fold asks for, if it differs from the one that is out."""
        table = self._published()
        wanted = dict(table.models)
        changed = []
        for name, model in self._models.items():
            route = self._wanted(name, model)
            if route is not None and route != table.models.get(name):
                wanted[name] = route
                changed.append(name)
        if not changed:
            return
        self._board.publish(RouteTable(table.generation + 1, wanted))
        facts: list[AnyFact] = []
        for name in changed:
            route = wanted[name]
            canary = route.arms[0] if len(route.arms) > 1 else None
            mine = [track.rollout.id for track in self._models[name].tracks]
            facts.append(
                RouteChanged(
                    name,
                    table.generation + 1,
                    reason,
                    route.arms[-1].version,
                    canary.version if canary else None,
                    canary.share if canary else 0.0,
                    rollout if rollout in mine else None,
                    decided_at,
                )
            )
        try:
            self._append(facts, self._clock.now())
        except FairleadError:
            _LOG.exception("a route was published, but the journal could not be told")

    def _published(self) -> RouteTable:
        """The table that is out. One that cannot be read, or is gone, is none: it is made anew, under a generation that
        no worker has had."""
        try:
            table = self._board.current()
        except FairleadError as error:
            self._telling.wrong("the route table", f"it is made anew from the journal: {error.line}")
            return RouteTable(self._generation)
        self._telling.right("the route table")
        return RouteTable(max(table.generation, self._generation), table.models)

    def _wanted(self, name: str, model: ModelState) -> ModelRoute | None:
        try:
            route = model.route()
            return None if route is None else drawing(route, self._draws.get(name))
        except Exception as fault:  # noqa: BLE001 - a model whose route cannot be told keeps the one it has
            self._telling.wrong(f"the route of {name}", f"it cannot be derived and stays as it is: {fault!r}", fault)
            return None

    def _confirm(self) -> None:
        """Journals when the last living worker had a table."""
        late = [(name, swap) for name, model in self._models.items() for swap in model.swaps]
        if not late:
            return
        now = self._clock.now()
        workers = [state for state in self._board.workers() if now - state.heartbeat_at < _WORKER_GONE_SECONDS]
        if not workers:
            return
        last = max(state.applied_at for state in workers)
        facts: list[AnyFact] = [
            RouteApplied(name, swap.generation, len(workers), max(0.0, last - (swap.decided_at or now)), swap.rollout)
            for name, swap in late
            if all(state.generation >= swap.generation and name not in state.errors for state in workers)
        ]
        if facts:
            self._append(facts, now)

    def _give_up(self) -> None:
        """Ends the rollouts of versions that workers cannot serve, or no more as they were registered."""
        now = self._clock.now()
        workers = [state for state in self._board.workers() if now - state.heartbeat_at < _WORKER_GONE_SECONDS]
        facts = [*self._replicas.tested(self._models, workers), *self._replicas.asks(self._models, workers, now)]
        if facts:
            self._append(facts, now)


def _moved(track: Track, decision: Decision) -> bool:
    stepped = decision.step != track.rollout.step
    return stepped or decision.before is not decision.after or decision.share != track.share


def _endings(name: str, model: ModelState, promoted: Track, now: float) -> list[Move]:
    """The other arms give their traffic up: what they were compared with is gone."""
    reason = f"version {promoted.rollout.version} was promoted"
    return [
        (
            track,
            apply_operator(track.rollout, "abort", now, reason, CONTROLLER)[1],
            OperatorAsked(name, "abort", reason, rollout=track.rollout.id, by=CONTROLLER),
        )
        for track in model.others(promoted)
    ]
