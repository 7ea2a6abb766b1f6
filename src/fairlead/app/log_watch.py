"""Whether the log of a home takes records: what its workers say, and what the disk says when it is tried."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from fairlead.adapters.disk_room import tried
from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.core.alert import AlertPolicy
from fairlead.flows.log_alarm import LogAlarm
from fairlead.flows.tally import Counts
from fairlead.operations.context import Context
from fairlead.operations.links import runbooks_of


class LogWatch:
    """Looks after one home's log, a second at a time."""

    def __init__(self, context: Context) -> None:
        self._folder = context.home / "log"
        self._notes = NoteFolder(context.home / COUNTERS)
        alerting = context.settings.alerting
        self._severity = "critical" if context.settings.log.when_full == "shed" else "high"
        policy = AlertPolicy(alerting.owner, runbooks_of(context), float(alerting.repeat_after))
        self._alarm = LogAlarm(context.journal, context.open_notifiers(), context.clock, policy)

    def look(self) -> None:
        """Raises the alert, or ends it."""
        self._alarm.look(self.trouble(), self._severity)

    def trouble(self) -> str:
        """One line; empty when all is well. The workers' word comes first: it is about real records. A worker on a full
        disk may be unable to say so, hence the trial."""
        for name, note in sorted(self._notes.read().items()):
            with suppress(msgspec.DecodeError):
                counts = msgspec.json.decode(note, type=Counts)
                if counts.log is not None and counts.log.refused:
                    return f"worker {name}: {counts.log.refused}"
        return tried(self._folder, "controller")
