"""The controller's hands for incidents: a triage or an action runs as a command in a process of its own, so that its
memory and its time are not the controller's; escalations go out as alerts; the status page is written beside it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from msgspec import structs

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.settings_seen import note_settings
from fairlead.config.incidents import Incidents
from fairlead.config.settings import Settings
from fairlead.config.usual_alerts import STAND_INS
from fairlead.core.alarm import UNACKNOWLEDGED
from fairlead.core.alert import Alarm
from fairlead.core.handling import Step
from fairlead.core.incident import Incident
from fairlead.core.metrics import METRICS
from fairlead.core.verdict import Outcome, Verdict
from fairlead.core.watched import DAILY, HOME, PER_FEATURE, REFUSED, WAITING
from fairlead.errors import FairleadError
from fairlead.flows.drafting import draft
from fairlead.flows.incident_round import ACTOR, IncidentRound, escalation_alert
from fairlead.flows.respond import Responder
from fairlead.flows.telling import Telling
from fairlead.operations import runbooks
from fairlead.operations.acting import QUICK, act
from fairlead.operations.context import Context
from fairlead.operations.status_page import write_status

_LOG = logging.getLogger("fairlead.incident")
_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 10.0  # until what left nothing in the journal is tried again
_PAGE_SECONDS = 30.0
_RAISED = ("high", "critical")  # by the place of an escalation, none being lower than its incident


class Acting:
    """Looks after incidents; `look` is called often."""

    def __init__(self, context: Context, arguments: Sequence[str], responder: Callable[[str], Responder]) -> None:
        """`arguments` are the options that every command of this home begins with."""
        self._context = context
        self._arguments = list(arguments)
        self._responder = responder
        settings = context.settings.incidents
        handling = structs.replace(
            settings.handling,
            trains=context.settings.retraining.trains,
            pages_escalate=bool(context.settings.alerting.escalation) and settings.escalate == Incidents().escalate,
        )
        self._round = IncidentRound(
            context.journal, context.clock, self, handling, settings.audiences, stated_by(context.settings)
        )
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._closing = threading.Lock()  # a thread that could not be waited for may still be looking
        self._closed = False
        self._tried: dict[str, float] = {}
        self._telling = Telling(_LOG)
        self._next = 0.0
        self._page = 0.0
        self._noted = False  # whether the settings were compared with those of the last start

    def look(self) -> bool:
        """Does what is due; whether it looked at all."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _LOOK_SECONDS
        if not self._noted:
            self._noted = True
            note_settings(self._context)
            self._write_runbooks()
        self._reap()
        if self._round.look() or now >= self._page:
            self._page = now + _PAGE_SECONDS
            self._publish()
        return True

    def start(self, step: Step) -> None:
        """A triage or an action, one at a time for each incident; what only writes facts is done here and now."""
        if step.incident in self._running or time.monotonic() < self._tried.get(step.key, 0.0):
            return
        self._tried[step.key] = time.monotonic() + _AGAIN_SECONDS
        if step.kind == "act" and _action(step) in QUICK:
            act(replace(self._context, actor=ACTOR), step.incident, _action(step), automatic=True)
            return
        words = ["triage", step.incident] if step.kind == "triage" else ["act", step.incident, _action(step)]
        command = [sys.executable, "-m", "fairlead.app.main", *self._arguments, "incident", *words, "--by-itself"]
        with self._closing:
            if not self._closed:
                self._running[step.incident] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )

    def escalate(self, incident: Incident, step: Step) -> None:
        """A page to the next people; its key is the escalation's, so that it is told once."""
        place = int(step.key.rpartition(":")[2])
        severity = incident.severity if incident.severity == "critical" else _RAISED[min(place, len(_RAISED)) - 1]
        alarm = Alarm(
            incident.model,
            escalation_alert(incident.id, step.key),
            severity,
            f"Nobody works on {incident.id}: {incident.title}",
            Verdict(Outcome.BREACHED, f"{step.reason}; {incident.reason}"),
            owner=incident.owner,
            runbook=UNACKNOWLEDGED,
            channels=step.to,
        )
        self._responder(incident.model).on_alarms([alarm], self._context.clock.now())

    def calm(self, model: str, alerts: Sequence[str]) -> None:
        """The escalations are over."""
        over = Verdict(Outcome.HOLDS, "somebody works on the incident, or it is over")
        alarms = [Alarm(model, alert, "high", "An incident is worked on", over) for alert in alerts]
        self._responder(model).on_alarms(alarms, self._context.clock.now())

    def draft(self, model: str, incident: str) -> None:
        """The postmortem, where its facts have changed it."""
        save = PostmortemFolder(self._context.home).write
        draft(self._context.journal, self._context.clock, save, (model, incident))

    def close(self) -> None:
        """Ends what was started, and starts nothing more: the next controller finds in the journal what is left to be
        done."""
        with self._closing:
            self._closed = True
            running, self._running = list(self._running.values()), {}
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def _reap(self) -> None:
        for incident, process in list(self._running.items()):
            code = process.poll()
            if code is None or self._running.pop(incident, None) is None:
                continue
            said = b"" if process.stderr is None else process.stderr.read()
            if process.stderr is not None:
                process.stderr.close()
            if code > 1:
                _LOG.warning("a step of %s failed: %s", incident, said.decode(errors="replace").strip()[-500:])

    def _write_runbooks(self) -> None:
        """The pages as this start's settings make them, for those who read files; the console has its own."""
        try:
            runbooks.build(self._context)
        except FairleadError as error:
            _LOG.warning("%s", error.line)

    def _publish(self) -> None:
        try:
            write_status(self._context)
        except FairleadError as error:
            self._telling.wrong("the status page", error.line)
        else:
            self._telling.right("the status page")


def stated_by(settings: Settings) -> Callable[[str], str]:
    """Where the trouble lies that the settings' own alerts speak of, by the metric of each."""
    known = {alert.name: alert.parsed.metric for alert in settings.alerting.alerts}

    def stated(alert: str) -> str:
        metric = known.get(alert, alert if alert in STAND_INS else "")
        if metric in METRICS:
            return METRICS[metric].category
        if metric in ("volume", *REFUSED, *PER_FEATURE, "prediction_psi"):
            return "data"
        if metric in DAILY:
            return "business"
        of_machines = "latency" in metric or metric in (*HOME, *WAITING)
        return "model" if metric and not of_machines else ""

    return stated


def _action(step: Step) -> str:
    return step.key.rpartition(":")[2]
