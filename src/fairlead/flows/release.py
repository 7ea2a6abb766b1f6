"""release: version -> gates -> shadow -> canary -> champion, or back, in seconds.

One object drives the rollouts of every model. It decides nothing: `core.rollout.advance` does. It looks at the
evidence, asks, writes the answer to the journal and performs it. What it knows is a fold of the journal and the log,
and the route table is derived from what it knows: it may be killed at any instruction and started again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    RouteChanged,
    StatusChanged,
)
from fairlead.core.record import Prediction
from fairlead.core.rollout import Decision, Evidence, Phase, Rollout
from fairlead.core.route import ModelRoute, RouteTable
from fairlead.errors import FairleadError
from fairlead.flows.baseline import baseline_for
from fairlead.flows.release_state import ModelState, raw
from fairlead.flows.routing import desired_route
from fairlead.ports import BundleStore, Clock, Journal, RouteBoard

_LOG = logging.getLogger("fairlead.release")
ACTOR = "controller"
# Looks that change nothing are journalled this often, early in a phase and later: enough to draw the evidence,
# little enough to keep for years.
_EARLY_LOOK_SECONDS, _LATE_LOOK_SECONDS, _EARLY_SECONDS = 0.5, 5.0, 60.0
_WORKER_GONE_SECONDS = 5.0
_LOAD_SECONDS = 5.0  # a worker that still reports an error this long after a table was published will not get over it


class _Swap:
    """A published table that some worker may not have yet."""

    def __init__(self, model: str, generation: int, decided_at: float, rollout: str | None) -> None:
        self.model = model
        self.generation = generation
        self.decided_at = decided_at
        self.rollout = rollout


class Release:
    """Drives rollouts. `on_decision` hears each decision that moved a rollout, after it was performed."""

    def __init__(
        self,
        journal: Journal,
        board: RouteBoard,
        bundles: BundleStore,
        clock: Clock,
        on_decision: Callable[[Rollout, Decision], None],
    ) -> None:
        self._journal = journal
        self._board = board
        self._bundles = bundles
        self._clock = clock
        self._on_decision = on_decision
        self._models: dict[str, ModelState] = {}
        self._read = 0
        self._table = board.current()
        self._swaps: list[_Swap] = []
        self.follow()

    def observe(self, records: Iterable[Prediction]) -> None:
        """Takes new log records in."""
        by_model: dict[str, list[Prediction]] = {}
        for record in records:
            by_model.setdefault(record.model_name, []).append(record)
        for name, mine in by_model.items():
            self._model(name).observe(mine)

    def follow(self) -> None:
        """Folds what the journal has that we do not know yet."""
        for entry in self._journal.read(self._read):
            self._read = entry.seq
            if entry.fact.model:
                self._model(entry.fact.model).fold(entry)

    def tick(self) -> None:
        """Reads what was asked, looks at the evidence, acts. Cheap when there is nothing to do."""
        self.follow()
        for name, model in list(self._models.items()):
            try:
                self._operate(name, model)
                self._look(name, model)
                self._start(name, model)
            except FairleadError:
                _LOG.exception("the rollout of %s cannot go on", name)
        self._route("reconciled with the journal", self._clock.now(), None)
        self._confirm()
        self._give_up()

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
        """Starts the next rollout that was asked for, when none is running."""
        if model.running is not None or not model.asked:
            return
        asked = model.asked[0]
        now = self._clock.now()
        baseline = baseline_for(self._bundles, asked.bundle, model.champion_bundle, model.recent)
        started = RolloutStarted(
            name, asked.rollout, asked.version, asked.bundle, model.champion, asked.plan, raw(baseline)
        )
        self._journal.append([started], actor=ACTOR, at=now)
        self.follow()
        self._look(name, model)

    def _look(self, name: str, model: ModelState) -> None:
        """Asks `advance` about what the log added, and journals the answer when it says something new."""
        rollout = model.running
        if rollout is None:
            return
        now = self._clock.now()
        evidence = model.unseen()
        _, decision = model.ask(evidence, now)
        moved = _moved(model, decision)
        interval = _EARLY_LOOK_SECONDS if now - rollout.phase_at < _EARLY_SECONDS else _LATE_LOOK_SECONDS
        if moved or (evidence != Evidence() and now - model.looked_at >= interval):
            self._perform(name, model, rollout, decision, [EvidenceSeen(name, rollout.id, raw(evidence))], moved=moved)

    def _operate(self, name: str, model: ModelState) -> None:
        """Performs what an operator asked for."""
        while model.requests:
            entry, request = model.requests[0]
            rollout = model.rollout
            try:
                decision = model.ask_operator(request, self._clock.now())
            except FairleadError as error:
                refused = OperatorAsked(name, request.verb, f"refused: {error.line}", rollout="")
                self._journal.append([refused], actor=entry.actor, at=self._clock.now())
                self.follow()
                continue
            assert rollout is not None
            performed = OperatorAsked(name, request.verb, request.reason, rollout=rollout.id)
            self._perform(name, model, rollout, decision, [performed], moved=True, actor=entry.actor)

    def _perform(
        self,
        name: str,
        model: ModelState,
        rollout: Rollout,
        decision: Decision,
        because: list[AnyFact],
        *,
        moved: bool,
        actor: str = ACTOR,
    ) -> None:
        """Journals a decision with its consequences in one transaction, then swaps the route, then tells."""
        facts = [*because, RolloutDecided(name, rollout.id, raw(decision)), *_consequences(name, rollout, decision)]
        self._journal.append(facts, actor=actor, at=decision.at)
        self.follow()
        if moved:
            self._route(decision.reason, decision.at, rollout.id)
            after = model.rollout
            assert after is not None
            self._on_decision(after, decision)

    # -- routes --------------------------------------------------------------------------------------------------

    def _route(self, reason: str, decided_at: float, rollout: str | None) -> None:
        """Publishes the table that the fold asks for, if it differs from the one that is out."""
        wanted: dict[str, ModelRoute] = {}
        for name, model in self._models.items():
            if model.champion is not None:
                wanted[name] = desired_route(model.champion, model.rollout, model.share, model.bundles)
        changed = [name for name, route in wanted.items() if self._table.models.get(name) != route]
        if not changed:
            return
        self._table = RouteTable(self._table.generation + 1, wanted)
        self._board.publish(self._table)
        facts: list[AnyFact] = []
        for name in changed:
            model, route = self._models[name], wanted[name]
            canary = route.arms[0] if len(route.arms) > 1 else None
            version, share = (canary.version, canary.share) if canary else (None, 0.0)
            own = rollout if model.rollout is not None and model.rollout.id == rollout else None
            facts.append(
                RouteChanged(name, self._table.generation, reason, route.arms[-1].version, version, share, own)
            )
            self._swaps.append(_Swap(name, self._table.generation, decided_at, own))
        self._journal.append(facts, actor=ACTOR, at=self._clock.now())

    def _confirm(self) -> None:
        """Journals when the last living worker had a table."""
        if not self._swaps:
            return
        now = self._clock.now()
        workers = [state for state in self._board.workers() if now - state.heartbeat_at < _WORKER_GONE_SECONDS]
        done = [swap for swap in self._swaps if workers and all(w.generation >= swap.generation for w in workers)]
        if not done:
            return
        self._swaps = [swap for swap in self._swaps if swap not in done]
        last = max(state.applied_at for state in workers)
        facts: list[AnyFact] = [
            RouteApplied(swap.model, swap.generation, len(workers), max(0.0, last - swap.decided_at), swap.rollout)
            for swap in done
        ]
        self._journal.append(facts, actor=ACTOR, at=now)

    def _give_up(self) -> None:
        """Ends the rollout of a version that a worker cannot load: traffic that cannot reach it proves nothing."""
        now = self._clock.now()
        late = [swap for swap in self._swaps if now - swap.decided_at > _LOAD_SECONDS]
        stuck = [
            state for state in self._board.workers() if state.error and now - state.heartbeat_at < _WORKER_GONE_SECONDS
        ]
        for swap in late:
            rollout = self._model(swap.model).running
            failing = next((state for state in stuck if state.generation < swap.generation), None)
            if rollout is None or failing is None or self._model(swap.model).requests:
                continue
            reason = f"worker {failing.worker} cannot serve version {rollout.version}: {failing.error}"
            self._journal.append([OperatorAsked(swap.model, "abort", reason)], actor=ACTOR, at=now)
            self.follow()


def _moved(model: ModelState, decision: Decision) -> bool:
    stepped = model.rollout is not None and decision.step != model.rollout.step
    return stepped or decision.before is not decision.after or decision.share != model.share


def _consequences(name: str, rollout: Rollout, decision: Decision) -> list[AnyFact]:
    """What a decision means for the version's aliases and status."""
    version, previous = rollout.version, rollout.champion
    facts: list[AnyFact] = []
    if decision.after is Phase.PROMOTED and decision.before is not Phase.PROMOTED:
        facts += [
            AliasMoved(name, "champion", version, previous, decision.reason),
            AliasMoved(name, "challenger", None, version, decision.reason),
            StatusChanged(name, version, "production", decision.reason),
        ]
        if previous is not None and previous != version:
            facts.append(StatusChanged(name, previous, "archived", f"replaced by version {version}"))
    elif decision.after is Phase.ROLLED_BACK and decision.before is not Phase.ROLLED_BACK:
        facts += [
            AliasMoved(name, "challenger", None, version, decision.reason),
            StatusChanged(name, version, "archived", decision.reason),
        ]
        if decision.before is Phase.PROMOTED and previous is not None:
            facts += [
                AliasMoved(name, "champion", previous, version, decision.reason),
                StatusChanged(name, previous, "production", decision.reason),
            ]
    return facts
