"""The controller's second thread: judges windows, tells people, trains challengers, keeps the registry in step."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.compose import open_notifiers
from fairlead.core.alert import AlertPolicy
from fairlead.core.event import RetrainDecided, RetrainFinished
from fairlead.core.incident import incidents
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.retrain import RetrainPolicy
from fairlead.core.rollout import Decision, Phase, Rollout
from fairlead.core.window import WindowPlan
from fairlead.errors import FairleadError
from fairlead.flows.registry_sync import RegistrySync
from fairlead.flows.respond import Responder, ResponsePolicy
from fairlead.flows.watch import Watch
from fairlead.flows.watching.judge import Policy
from fairlead.operations.context import Context

_LOG = logging.getLogger("fairlead.watch")
_SYNC_SECONDS = 1.0
_SETTLE_SECONDS = 0.5


class FollowUp:
    """Everything that a rollback need not wait for."""

    def __init__(self, context: Context, config: Path | None, environment: str) -> None:
        self._context = context
        self._arguments = ["--home", str(context.home)]
        self._arguments += ["--config", str(config)] if config else []
        self._arguments += ["--environment", environment] if environment else []
        self._watches: dict[str, Watch] = {}
        self._responders: dict[str, Responder] = {}
        self._runs: dict[str, subprocess.Popen[bytes]] = {}
        self._unsettled: set[str] = set()
        self._settled_at = 0.0
        self._notifiers = open_notifiers(context.settings.alerting)
        self._registry = threading.Thread(target=self._follow_registry, name="registry", daemon=True)
        self._stop = threading.Event()
        self._registry.start()
        self._resume()

    def observe(self, predictions: Sequence[Prediction], outcomes: Sequence[OutcomeRecord]) -> None:
        """Hands log records to the watches."""
        for name in {record.model_name for record in predictions}:
            self._watch(name)
        for watch in self._watches.values():
            watch.observe(predictions, outcomes)

    def decided(self, rollout: Rollout, decision: Decision) -> None:
        """Answers a decision that moved a rollout."""
        if decision.after is Phase.ROLLED_BACK and decision.guardrail is not None:
            self._responder(rollout.model).on_rollback(decision, rollout)
            self._unsettled.add(rollout.model)

    def tick(self) -> None:
        """Judges what has closed, and answers."""
        now = self._context.clock.now()
        for name, watch in self._watches.items():
            for report in watch.judge(watch.event_now(now)):
                response = self._responder(name).on_window(report)
                if response.retrain_now and response.retrain is not None:
                    self._retrain(response.retrain)
        if self._unsettled and now - self._settled_at > _SETTLE_SECONDS:
            self._settled_at = now
            self._unsettled = {name for name in self._unsettled if not self._settled(name)}
        self._reap()

    def _settled(self, name: str) -> bool:
        """Notes what has happened since; whether no rolled-back rollout still waits for its workers."""
        self._responder(name).settle()
        known = incidents(self._context.journal.read(model=name, kinds=["incident_opened", "incident_noted"]))
        return all(one.rollout is None or one.state not in ("open", "acknowledged") for one in known)

    def close(self) -> None:
        """Ends the registry thread. A training run goes on: its facts are its own."""
        self._stop.set()
        self._registry.join(2.0)

    # -- one watch and one responder a model -----------------------------------------------------------------------

    def _watch(self, name: str) -> Watch:
        watch = self._watches.get(name)
        if watch is None:
            settings = self._context.settings
            monitoring = settings.monitoring
            known = settings.models.get(name)
            policy = Policy(alpha=float(monitoring.alpha))
            if known is not None:
                policy = Policy(alpha=float(monitoring.alpha), maturity_seconds=float(known.labels.delay))
            watch = self._watches[name] = Watch(
                name,
                self._context.journal,
                self._context.bundles,
                open_dataset,
                self._context.clock,
                WindowPlan(monitoring.window_seconds, float(monitoring.lateness)),
                policy,
            )
        return watch

    def _responder(self, name: str) -> Responder:
        responder = self._responders.get(name)
        if responder is None:
            settings = self._context.settings
            alerting, retraining = settings.alerting, settings.retraining
            responder = self._responders[name] = Responder(
                name,
                self._context.journal,
                self._notifiers,
                self._context.clock,
                PostmortemFolder(self._context.home).write,
                ResponsePolicy(
                    AlertPolicy(settings.owner_of(name), alerting.runbooks, float(alerting.repeat_after)),
                    RetrainPolicy(retraining.at_least_labels, float(retraining.at_most_every)),
                ),
            )
        return responder

    def _resume(self) -> None:
        """After a restart: what was judged is answered, and a training run that never finished is done again."""
        entries = list(self._context.journal.read(kinds=["version_registered", "retrain_decided", "retrain_finished"]))
        for name in sorted({entry.fact.model for entry in entries}):
            self._responder(name).catch_up()
            self._unsettled.add(name)
        finished = {entry.fact.run for entry in entries if isinstance(entry.fact, RetrainFinished)}
        asked = [entry.fact for entry in entries if isinstance(entry.fact, RetrainDecided) and entry.fact.triggered]
        for fact in asked:
            if fact.run not in finished:
                self._retrain(fact)

    # -- training and the registry ---------------------------------------------------------------------------------

    def _retrain(self, decision: RetrainDecided) -> None:
        """Trains in a process of its own: neither its memory nor its time is the controller's."""
        if not self._context.settings.retraining.command or decision.run in self._runs:
            return
        command = [sys.executable, "-m", "fairlead.app.main", *self._arguments, "retrain", "run", decision.model]
        command += ["--run", decision.run, "--reason", decision.reason]
        self._runs[decision.run] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _reap(self) -> None:
        for run, process in list(self._runs.items()):
            code = process.poll()
            if code is not None:
                del self._runs[run]
                if code > 1:
                    _LOG.error("the training run %s ended with exit code %d", run, code)

    def _follow_registry(self) -> None:
        """The registry may be slow or away: it has a thread of its own and is tried again."""
        sync: RegistrySync | None = None
        while not self._stop.is_set():
            try:
                sync = sync or RegistrySync(self._context.journal, self._context.registry)
                sync.sync()
            except FairleadError as error:
                _LOG.warning("the registry cannot be followed yet: %s", error.line)
            self._stop.wait(_SYNC_SECONDS)
