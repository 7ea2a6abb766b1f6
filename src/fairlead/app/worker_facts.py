"""What becomes of workers, written to the journal beside the supervisor: a journal that is locked or gone must not keep
it from replacing a worker."""

from __future__ import annotations

import logging
import threading
from collections import deque

from fairlead.core.event import WorkerChanged
from fairlead.errors import FairleadError
from fairlead.flows.telling import Telling
from fairlead.ports import Clock, Journal

MOST = 1_000  # facts that wait; of more, the oldest are dropped
RETRY_SECONDS = 1.0

_LOG = logging.getLogger("fairlead.up")


class WorkerFacts:
    """A queue and the thread that empties it, in order."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiting: deque[tuple[float, WorkerChanged]] = deque(maxlen=MOST)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._telling = Telling(_LOG)
        self._thread = threading.Thread(target=self._run, name="worker-facts", daemon=True)
        self._thread.start()

    def add(self, worker: int, state: str, detail: str) -> None:
        """Takes a change of a worker. Never waits."""
        _LOG.log(logging.WARNING if state == "failed" else logging.INFO, "worker %d %s: %s", worker, state, detail)
        self._waiting.append((self._clock.now(), WorkerChanged("", worker, state, detail)))
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Waits so long for what is not written yet; the rest is only logged."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        for _, fact in list(self._waiting):
            _LOG.warning("not in the journal: worker %d %s, %s", fact.worker, fact.state, fact.detail)

    def _run(self) -> None:
        while not self._closing.is_set() or self._waiting:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not self._write() and self._closing.wait(RETRY_SECONDS):
                    return

    def _write(self) -> bool:
        at, fact = self._waiting[0]
        try:
            self._journal.append([fact], actor="supervisor", at=at)
        except FairleadError as error:
            self._telling.wrong("the journal", f"what becomes of workers is not written yet: {error.line}")
            return False
        self._waiting.popleft()
        self._telling.right("the journal")
        return True
