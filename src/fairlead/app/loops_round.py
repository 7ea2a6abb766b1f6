"""Audits of feedback loops: when a version is registered beside an older one, and every `loops.audit`.

An audit reads the whole log, so it runs in a process of its own, one at a time. That it is due is read off the journal:
a restart forgets none, and repeats none.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from fairlead.core.event import VersionRegistered
from fairlead.core.facts_act import LoopAudited
from fairlead.core.loops import alarm_of_loops
from fairlead.flows.respond import Responder
from fairlead.operations.context import Context

_KINDS = ("version_registered", "loop_audited")
_LOOK_SECONDS = 1.0
_WAIT_SECONDS = 60.0
_AGAIN_SECONDS = 3_600.0  # after an audit that came to nothing, such as a model that nobody has asked yet
_LOG = logging.getLogger("fairlead.loops")


class LoopsRound:
    """Every model's audits. `arguments` are those of the command line that name home and settings."""

    def __init__(
        self,
        context: Context,
        arguments: Sequence[str],
        responder: Callable[[str], Responder],
        wait: float = _WAIT_SECONDS,
    ) -> None:
        """No audit begins in the first `wait` seconds: a start has better things to do."""
        self._first = time.monotonic() + wait
        self._context, self._arguments, self._responder = context, tuple(arguments), responder
        self._read = 0
        self._since: dict[str, float] = {}  # when the model was last audited, or first registered
        self._why: dict[str, str] = {}  # models that are to be audited now
        self._versions: dict[str, int] = {}
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None
        self._due = 0.0
        self._not_before: dict[str, float] = {}

    def look(self) -> None:
        """Tells of audits that ended, and starts the one that is due."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LOOK_SECONDS
        self._follow()
        if self._running is not None:
            name, process = self._running
            code = process.poll()
            if code is None:
                return
            self._running = None
            self._not_before[name] = time.monotonic() + _AGAIN_SECONDS
            if code not in (0, 1, 3):
                _LOG.info("the audit of %s ended with exit code %d, and is tried again later", name, code)
        self._start()

    @property
    def running(self) -> tuple[str, ...]:
        """The command of the audit that runs; empty while none does."""
        if self._running is None:
            return ()
        given = self._running[1].args
        return tuple(str(part) for part in given) if isinstance(given, list) else ()

    def close(self) -> None:
        """Ends the audit that runs: its fact is not written, so it is due again."""
        if self._running is not None:
            self._running[1].terminate()
            self._running[1].wait(5.0)

    def _follow(self) -> None:
        """Takes in what was registered and audited. Of several audits only the last is told: the others are history."""
        told: dict[str, tuple[LoopAudited, float]] = {}
        for entry in self._context.journal.read(self._read, kinds=_KINDS):
            self._read, fact = entry.seq, entry.fact
            if isinstance(fact, VersionRegistered):
                if fact.model in self._versions:
                    self._why[fact.model] = f"version {fact.version} was registered"
                    self._not_before.pop(fact.model, None)
                self._versions[fact.model] = fact.version
                self._since.setdefault(fact.model, entry.at)
            elif isinstance(fact, LoopAudited):
                self._since[fact.model] = entry.at
                self._why.pop(fact.model, None)
                told[fact.model] = fact, entry.at
        for name, (fact, at) in told.items():
            self._responder(name).on_alarms((alarm_of_loops(fact),), at)

    def _start(self) -> None:
        if time.monotonic() < self._first:
            return
        now, every = self._context.clock.now(), float(self._context.settings.loops.audit)
        for name, since in self._since.items():
            why = self._why.get(name) or (f"{every / 86_400.0:g} d have passed" if now - since >= every else "")
            if not why or time.monotonic() < self._not_before.get(name, 0.0):
                continue
            command = [sys.executable, "-m", "fairlead.app.main", *self._arguments, "loops", name, "--keep", why]
            quiet = subprocess.DEVNULL
            self._running = name, subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
            return
