"""Training runs in processes of their own: neither their memory nor their time is the controller's.

A run that was asked for and has not finished is started again after a restart, under its own key, and so is one whose
process ended before it could say how it went.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from fairlead.core.event import RetrainDecided

_LOG = logging.getLogger("fairlead.watch")
AGAIN_SECONDS = 60.0  # doubled with each try
_MOST_SECONDS = 3600.0


class TrainingRuns:
    """`arguments` name the home and the settings; `trains` is whether these name anything that trains."""

    def __init__(
        self, arguments: Sequence[str], *, trains: bool, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._arguments = list(arguments)
        self._trains = trains
        self._monotonic = monotonic
        self._asked: dict[str, RetrainDecided] = {}  # by run: asked for and not finished
        self._due: dict[str, float] = {}  # runs that are tried again, and when at the earliest
        self._waits: dict[str, float] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def ask(self, asked: RetrainDecided) -> None:
        """Takes a run in that was asked for."""
        self._asked[asked.run] = asked

    def finished(self, run: str) -> None:
        """The journal says how a run ended."""
        self._asked.pop(run, None)
        self._due.pop(run, None)
        self._waits.pop(run, None)

    def tend(self) -> None:
        """Starts what was asked for, and looks after what has ended. 0 and 1 are answers; the journal has them, or will
        have once it is read. Whatever else ended is told, and tried again a minute later, then ever more seldom."""
        if not self._trains:
            self._asked.clear()
        for run, asked in self._asked.items():
            if run not in self.processes and self._monotonic() >= self._due.get(run, 0.0):
                self._start(asked)
        for run, process in list(self.processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self.processes[run]
            wait = self._waits.get(run, AGAIN_SECONDS)
            self._due[run], self._waits[run] = self._monotonic() + wait, min(2 * wait, _MOST_SECONDS)
            if code not in (0, 1):
                _LOG.error("the training run %s ended with exit code %d; it is tried again", run, code)

    def _start(self, asked: RetrainDecided) -> None:
        command = [sys.executable, "-m", "fairlead.app.main", *self._arguments, "retrain", "run", asked.model]
        command += ["--run", asked.run, "--reason", asked.reason]
        self.processes[asked.run] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
