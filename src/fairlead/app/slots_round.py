"""Answers that came after their windows were judged: their hours are counted again, now and then.

That reads the log, so it runs in a process of its own, for all models at once. Nothing is lost where it does not come
to that: `windows backfill` does the same at any time.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fairlead.flows.watch import Watch

_LOG = logging.getLogger("fairlead.watch")
_EVERY_SECONDS = 300.0
_LOOK_SECONDS = 1.0
WHY = "answers came after their windows were judged"


class SlotsRound:
    """Looks at what the watches noted. `arguments` are those of the command line that name home and settings."""

    def __init__(
        self, arguments: Sequence[str], watches: Mapping[str, Watch], every_seconds: float = _EVERY_SECONDS
    ) -> None:
        self._arguments, self._watches, self._every = tuple(arguments), watches, every_seconds
        self._behind: dict[str, tuple[float, float]] = {}
        self._running: subprocess.Popen[bytes] | None = None
        self._next = time.monotonic() + every_seconds
        self._due = 0.0

    def look(self, _all: str = "") -> bool:
        """Notes what came late, and has it counted once it is time; whether nothing went wrong."""
        now = time.monotonic()
        if now < self._due:
            return True
        self._due = now + min(_LOOK_SECONDS, self._every)
        for name, watch in self._watches.items():
            late = None if watch.slots is None else watch.slots.behind()
            if late is not None:
                first, last = self._behind.get(name, late)
                self._behind[name] = (min(first, late[0]), max(last, late[1]))
        if self._running is not None and self._running.poll() is None:
            return True
        if self._running is not None and self._running.returncode not in (0, 3):
            _LOG.warning("late answers were not counted: `fairlead windows backfill` does it, and says why not")
        self._running = None
        if self._behind and now >= self._next:
            self._next = now + self._every
            self._running = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL)
            self._behind = {}
        return True

    def command(self) -> list[str]:
        """What counts the hours of what came late."""
        first, last = (pick(span[at] for span in self._behind.values()) for at, pick in ((0, min), (1, max)))
        ends = ["--from", _written(first), "--to", _written(last + 1.0), "--reason", WHY]
        program = [sys.executable, "-m", "fairlead.app.main", *self._arguments]
        return [*program, "windows", "backfill", *sorted(self._behind), *ends]

    def close(self) -> None:
        """Ends what runs: what it has replaced is whole, the rest stays as it was."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()
            self._running.wait(5.0)


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
