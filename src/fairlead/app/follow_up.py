"""The controller's second thread: judges windows, tells people, trains challengers, keeps the registry in step.

What there is to do it reads in the journal, so a restart or a failure only delays it. One model's trouble is logged,
tried again, and never holds up another model.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.evidence_folder import WINDOWS, EvidenceFolder
from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.acting import Acting
from fairlead.app.collecting import Collecting
from fairlead.app.compose import alert_policy, retrain_policy
from fairlead.app.conditions_round import ConditionsRound
from fairlead.app.dispatching import Dispatching
from fairlead.app.loops_round import LoopsRound
from fairlead.app.product_round import ProductRound
from fairlead.app.registry_hooks import registry_events
from fairlead.app.slots_round import SlotsRound
from fairlead.app.training_runs import TrainingRuns
from fairlead.core.event import (
    Entry,
    GoldenTested,
    PromotionDecided,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    VersionRegistered,
)
from fairlead.core.incident import incidents
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Decision, Phase
from fairlead.errors import FairleadError, JournalBroken
from fairlead.flows.after_alarm import KINDS as PROMOTION_KINDS
from fairlead.flows.after_alarm import promotion_alarms
from fairlead.flows.due import Due
from fairlead.flows.golden_alarm import KINDS as GOLDEN_KINDS
from fairlead.flows.golden_alarm import golden_alarms
from fairlead.flows.held_alarm import HeldSeen, held_alarms
from fairlead.flows.maturing import Maturing
from fairlead.flows.outcome_routes import OutcomeRoutes
from fairlead.flows.registry_sync import RegistrySync
from fairlead.flows.respond import Responder, ResponsePolicy
from fairlead.flows.serve import describe
from fairlead.flows.telling import Telling
from fairlead.flows.watch import Watch
from fairlead.flows.watch_sliding import kind_of
from fairlead.flows.watching.recalled import recalled
from fairlead.operations.context import Context
from fairlead.operations.links import runbooks_of
from fairlead.operations.page_budget import grants
from fairlead.operations.slot_store import slot_keeping
from fairlead.operations.watch_policy import policy_of

_LOG = logging.getLogger("fairlead.watch")
_SYNC_SECONDS = 1.0
_AWAY_SECONDS = 5.0  # between two tries of a registry that is away: a try may cost seconds of CPU time
_SETTLE_SECONDS = 0.5
_FAILED_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_FOLLOWED = (
    "version_registered",
    "rollout_decided",
    "retrain_decided",
    "retrain_finished",
    "golden_tested",
    "promotion_decided",
)


class FollowUp:
    """Everything that a rollback need not wait for."""

    def __init__(self, context: Context, config: Path | None, environment: str) -> None:
        self._context = context
        self._arguments = ["--home", str(context.home)]
        self._arguments += ["--config", str(config)] if config else []
        self._arguments += ["--environment", environment] if environment else []
        self._watches: dict[str, Watch] = {}
        self._routes = OutcomeRoutes()
        self._turns = Due()
        self._touched: set[str] = set()  # models of which something has come since their upper rungs were looked at
        self._looked = -inf  # when those of all models were
        self._responders: dict[str, Responder] = {}
        self._training = TrainingRuns(self._arguments, trains=context.settings.retraining.trains)
        self._read = 0
        self._unsettled: set[str] = set()  # models whose rollbacks may want an answer, or wait for their workers
        self._behind: set[str] = set()  # models whose judged windows may want an answer
        self._failing: set[str] = set()  # models some of whose versions may serve and should not
        self._held = HeldSeen()
        self._due: dict[tuple[str, str], float] = {}  # what is tried again, and when at the earliest
        self._dispatching = Dispatching(context)
        folder = config.absolute().parent if config else Path.cwd()
        self._conditions = ConditionsRound(context, self._watch, self._responder, folder)
        self._product = ProductRound(context)
        self._loops = LoopsRound(context, self._arguments, self._responder)
        self._slots = SlotsRound(self._arguments, self._watches)
        self._acting = Acting(context, self._arguments, self._responder)
        self._telling = Telling(_LOG)
        self._collecting = Collecting()
        self._stop = threading.Event()
        self._registry = threading.Thread(target=self._follow_registry, name="registry", daemon=True)
        self._registry.start()

    def observe(self, predictions: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]) -> None:
        """Hands log records to the watches."""
        self._conditions.observe(predictions)
        self._product.observe(predictions)
        for name, (mine, known) in self._routes.split(predictions, outcomes).items():
            watch = self._watch(name)
            try:
                watch.observe(mine, known)
            except Exception:  # noqa: BLE001 - the other models' records must not be lost with this one's
                _LOG.exception("some records of %s are missing from its windows until the next start", name)
            self._turns.ask(name, -inf if known else watch.next_look())
            self._touched.add(name)
        if predictions:
            waits = max(watch.waits_seconds for watch in self._watches.values())
            self._routes.forget(max(one.received_at for one in predictions) - waits)

    def answer(self) -> None:
        """Answers what the journal holds and nobody has answered yet: rollbacks, then judged windows. After a start
        that is all of it. What fails is tried again at a later call."""
        self._follow()
        for name in sorted(self._unsettled):
            if self._attempt("answering the rollbacks", name, self._settle):
                self._unsettled.discard(name)
        for name in sorted(self._behind):
            if self._attempt("answering the windows", name, self._catch_up):
                self._behind.discard(name)
        for name in sorted(self._failing):
            if self._attempt("telling of versions that serve and should not", name, self._tell_unfit):
                self._failing.discard(name)

    def tick(self) -> None:
        """Answers, judges what has closed and answers that too, and looks after the training runs."""
        self.answer()
        self._product.read()
        now = self._context.clock.now()
        for name in self._turns.take(now):
            done = self._attempt("judging", name, self._judge) and name not in self._behind
            self._turns.ask(name, max(self._watches[name].next_look(), now + _LOOK_SECONDS) if done else -inf)
            self._touched.add(name)
        if now >= self._looked + _LOOK_SECONDS or now < self._looked:
            self._looked = now
            self._touched.update(self._watches)
        for name in sorted(self._touched):
            self._attempt("the upper rungs", name, self._rungs)
        self._touched.clear()
        for name in filter(self._conditions.due, list(self._watches)):
            self._attempt("the conditions", name, self._conditions.look)
        self._conditions.note()
        self._attempt("the machines", "all models", lambda _: self._conditions.look_at_home())
        self._attempt("what is refused", "all models", self._count_refusals)
        self._attempt("the incidents", "all models", lambda _: self._acting.look())
        self._attempt("the audits", "all models", self._audits)
        self._attempt("the late answers", "all models", self._slots.look)
        self._training.tend()
        self._collecting.settle(len(self._watches))

    def _attempt(self, what: str, name: str, act: Callable[[str], bool]) -> bool:
        """Whether it was done for this model; otherwise it is due again, a little later."""
        if time.monotonic() < self._due.get((what, name), 0.0):
            return False
        wait = _FAILED_SECONDS
        try:
            if act(name):
                self._telling.right(f"{what} of {name}")
                return True
            wait = _SETTLE_SECONDS
        except FairleadError as error:
            self._telling.wrong(f"{what} of {name}", f"it failed and is tried again: {error.line}")
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with one model, the others are looked after
            self._telling.wrong(f"{what} of {name}", f"it failed and is tried again: {fault!r}", fault)
        self._due[what, name] = time.monotonic() + wait
        return False

    def _follow(self) -> None:
        """Reads in the journal what there is to do. An entry that cannot be read is passed over, and said."""
        told = ""
        while True:
            try:
                for entry in self._context.journal.read(self._read, kinds=_FOLLOWED):
                    self._read = entry.seq
                    self._note(entry)
            except JournalBroken as error:
                self._read += 1  # it lies somewhere behind: only some kinds are read
                if error.line != told:
                    _LOG.warning("passed over: %s", error.line)
                told = error.line
            else:
                return

    def _note(self, entry: Entry) -> None:
        match entry.fact:
            case VersionRegistered(model=model):
                self._unsettled.add(model)
                self._behind.add(model)
            case RolloutDecided(model=model, decision=raw):
                decision = msgspec.json.decode(raw, type=Decision)
                back = decision.after is Phase.ROLLED_BACK
                self._unsettled |= {model} if back else set()
                self._failing |= {model} if self._held.bears(decision) or back else set()
            case GoldenTested(model=model) | PromotionDecided(model=model):
                self._failing.add(model)
            case RetrainDecided(triggered=True) as asked:
                self._training.ask(asked)
            case RetrainFinished(run=run):
                self._training.finished(run)
            case _:
                pass

    def _settle(self, name: str) -> bool:
        """Answers rollbacks and notes what has happened since; whether none still waits for its workers."""
        responder = self._responder(name)
        responder.on_rollbacks()
        responder.settle()
        known = incidents(self._context.journal.read(model=name, kinds=["incident_opened", "incident_noted"]))
        return all(one.rollout is None or one.state not in ("open", "acknowledged") for one in known)

    def _tell_unfit(self, name: str) -> bool:
        """Tells of a champion that fails its golden set, or has changed for the worse since its promotion, and was not
        taken back, and of a rollout that is held with a broken guardrail; whether nothing is too fresh to be told."""
        now, journal = self._context.clock.now(), self._context.journal
        golden, first = golden_alarms(journal.read(model=name, kinds=GOLDEN_KINDS), name, now)
        known = tuple(journal.read(model=name, kinds=PROMOTION_KINDS))  # a rollout's kinds are among them
        promotions, second = promotion_alarms(known, name, now)
        held, third = held_alarms(known, name, now)
        self._responder(name).on_alarms((*golden, *promotions, *held), now)
        return first and second and third

    def _catch_up(self, name: str) -> bool:
        self._responder(name).catch_up()
        return True

    def _judge(self, name: str) -> bool:
        """Judges, and answers in the order of the judgements: not while earlier ones have no answer."""
        if name in self._behind:
            return True
        watch = self._watches[name]
        self._behind.add(name)  # should anything fail from here on, the journal tells what is left to be answered
        for report in watch.judge(watch.event_now(self._context.clock.now())):
            self._responder(name).on_window(report)
        self._behind.discard(name)
        return True

    def _audits(self, _all: str) -> bool:
        self._loops.look()
        return True

    def _count_refusals(self, _all: str) -> bool:
        """Hands on what workers refuse: also of a model of which nothing was answered yet."""
        now = self._context.clock.now()
        for one in self._conditions.refusals():
            self._product.observe_refusals(one, self._watch(one.model).event_now(now))
        return True

    def _rungs(self, name: str) -> bool:
        """Judges what answers and events say of a model's windows."""
        now = self._context.clock.now()
        if alarms := self._product.judge(name, self._watches[name].event_now(now)):
            self._responder(name).on_alarms(alarms, now)
        return True

    def close(self) -> None:
        """Ends the registry thread. A training run goes on: its facts are its own."""
        self._stop.set()
        self._acting.close()
        self._dispatching.close()
        self._loops.close()
        self._slots.close()
        self._registry.join(2.0)

    # -- one watch and one responder a model -----------------------------------------------------------------------

    def _watch(self, name: str) -> Watch:
        watch = self._watches.get(name)
        if watch is None:
            settings = self._context.settings
            monitoring = settings.monitoring
            known = settings.models.get(name)
            policy = policy_of(self._context, name, grants(self._context, name))
            policy = replace(policy, reference=monitoring.wanted)
            watch = self._watches[name] = kind_of(monitoring.judged_plan)(
                name,
                self._context.journal,
                self._context.bundles,
                open_dataset,
                self._context.clock,
                monitoring.judged_plan,
                policy,
            )
            kept = EvidenceFolder(self._context.home / WINDOWS, float(monitoring.keep_evidence))
            watch.keep, watch.keeps = None if monitoring.evidence == "none" else kept.put, monitoring.evidence
            watch.recall(recalled(kept.get))
            watch.slots = slot_keeping(self._context, name)
            watch.late = watch.late if watch.slots is None else watch.slots.late
            self._turns.ask(name, -inf)
            if known is not None and known.labels.auto:
                watch.matures = Maturing(policy.matured_share, policy.maturity_seconds)
        return watch

    def _responder(self, name: str) -> Responder:
        responder = self._responders.get(name)
        if responder is None:
            settings = self._context.settings
            responder = self._responders[name] = Responder(
                name,
                self._context.journal,
                {},
                self._context.clock,
                PostmortemFolder(self._context.home).write,
                ResponsePolicy(
                    alert_policy(settings.alerting, settings.owner_of(name), runbooks_of(self._context)),
                    retrain_policy(settings.retraining),
                    resolves=settings.incidents.automatic,
                ),
                partial(self._trained_rows, name),
            )
        return responder

    def _trained_rows(self, name: str, version: int) -> int | None:
        """How many rows a version's reference has; None where it cannot be read."""
        return self._watch(name).reference_rows(version)

    # -- the registry ---------------------------------------------------------------------------------

    def _follow_registry(self) -> None:
        """The registry may be slow or away: it has a thread of its own and is tried again."""
        sync: RegistrySync | None = None
        events = registry_events(self._context)
        telling = Telling(_LOG)
        while not self._stop.is_set():
            try:
                events.deliver()  # what receivers do raises nothing here
                sync = sync or RegistrySync(self._context.journal, self._context.registry)
                sync.sync()
            except FairleadError as error:
                telling.wrong("the registry", f"it cannot be followed yet: {error.line}")
            except Exception as fault:  # noqa: BLE001 - a thread that dies in silence would leave it behind for ever
                telling.wrong("the registry", f"it cannot be followed yet: {describe(fault)}")
            else:
                telling.right("the registry")
                self._stop.wait(_SYNC_SECONDS)
                continue
            self._stop.wait(_AWAY_SECONDS)
