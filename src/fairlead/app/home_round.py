"""The controller's look at what is no model's: whether any worker answers, and what all processes take up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from fairlead.adapters.machine_room import room
from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.core.verdict import Outcome
from fairlead.core.watched import HOME, WAITING
from fairlead.core.watchpoint import Watchpoint
from fairlead.flows.conditions import EVERY_SECONDS, Conditions, Look
from fairlead.flows.live import Live
from fairlead.flows.machines import Machines, Room
from fairlead.flows.metrics_now import MetricsNow
from fairlead.flows.refusals import Refusals
from fairlead.flows.respond import Responder
from fairlead.flows.tally import Counts
from fairlead.flows.worker_alarm import GONE_SECONDS, worker_alarm
from fairlead.operations.context import Context

_LOOK_SECONDS = 1.0
_TAKE_SECONDS = 10.0


class HomeRound:
    """Workers by default, and what they refuse; machines where a condition is of them. `machines` is None where none
    is."""

    def __init__(self, context: Context, responder: Callable[[str], Responder], points: Sequence[Watchpoint]) -> None:
        self._context = context
        self._responder = responder
        settings = context.settings
        self._defaults = settings.alerting.defaults
        window = float(settings.alerting.window)
        needed = any(one.condition.metric in (*HOME, *WAITING) for one in points)
        self.machines = Machines(Room(*room()), window) if needed else None
        self.refusals = Refusals(window)
        self._notes = NoteFolder(context.home / COUNTERS)
        metrics = MetricsNow("", Live(window))
        metrics.machines = self.machines
        own = [one for one in points if one.condition.metric in HOME]
        self._conditions = Conditions("", own, metrics, context.journal) if own else None
        self.looks: tuple[Look, ...] = ()  # the last ones at the machines
        self._workers: Outcome | None = None  # what was said of them last
        self._since = time.monotonic()
        self._next = self._take = self._minute = 0.0

    @property
    def wanted(self) -> bool:
        """Whether the settings state anything of the machines."""
        return self.machines is not None

    def look(self) -> bool:
        """Looks, once a second at most; whether it did."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _LOOK_SECONDS
        if self._defaults:
            self._look_at_workers(now)
        if now >= self._take:
            self._take = now + _TAKE_SECONDS
            said, at = self._said(), self._context.clock.now()
            self.refusals.take(said, at)
            if self.machines is not None:
                self.machines.take(said, at)
        if self._conditions is not None and now >= self._minute:
            self._minute = now + EVERY_SECONDS
            at = self._context.clock.now()
            self._responder("").on_alarms(self._conditions.look(at), at)
            self.looks = self._conditions.looks
        return True

    def _look_at_workers(self, now: float) -> None:
        board, at = self._context.board, self._context.clock.now()
        beats = [one.heartbeat_at for one in board.workers()]
        alarm = worker_alarm(len(board.current().models), beats, at, now - self._since)
        outcome = alarm.verdict.outcome
        if outcome is not Outcome.UNDECIDED and outcome is not self._workers:
            self._responder("").on_alarms([alarm], at)
            self._workers = outcome

    def _said(self) -> list[Counts]:
        """What the living processes last wrote of themselves."""
        found = []
        for name, note in self._notes.read().items():
            age = self._notes.age(name)
            if age is not None and age < GONE_SECONDS:
                with suppress(msgspec.DecodeError):
                    found.append(msgspec.json.decode(note, type=Counts))
        return found
