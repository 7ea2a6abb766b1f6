"""The controller: rollouts, monitors, retraining, registry and console, in a process of its own.

    python -m fairlead.app.controller --home HOME --port PORT [--config FILE] [--environment NAME]

Two threads and a server. The first follows the log and drives rollouts ten times a second: nothing slow may stand in
its way, because a rollback waits for it. The second judges windows, sends notices and follows up. Training runs in
processes of its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import select
import signal
import sys
import threading
from pathlib import Path

import uvicorn

from fairlead.app.compose import open_context
from fairlead.app.console import build
from fairlead.app.follow_up import FollowUp
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Decision, Rollout
from fairlead.errors import FairleadError
from fairlead.flows.release import Release
from fairlead.operations.context import Context

_LOG = logging.getLogger("fairlead.controller")
_TICK_SECONDS = 0.1
_BATCH = 10_000
# Records wait here for the second thread; when it lags, the first waits rather than forget.
_QUEUED_BATCHES = 1_000

Batch = tuple[list[Prediction], list[OutcomeRecord]]


class Controller:
    """Runs the two threads. A failure in one round is logged and the next round goes on: state is in the journal."""

    def __init__(self, context: Context, config: Path | None, environment: str) -> None:
        self._context = context
        self._batches: queue.Queue[Batch] = queue.Queue(_QUEUED_BATCHES)
        self._decided: queue.SimpleQueue[tuple[Rollout, Decision]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._reader = context.open_log()
        self._release = Release(
            context.journal,
            context.board,
            context.bundles,
            context.clock,
            lambda rollout, decision: self._decided.put((rollout, decision)),
        )
        self._follow_up = FollowUp(context, config, environment)
        self._threads = [
            threading.Thread(target=self._run, args=(self._drive,), name="release", daemon=True),
            threading.Thread(target=self._run, args=(self._follow,), name="watch", daemon=True),
        ]
        self._caught_up = False

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the rounds and what they started."""
        self._stop.set()
        for thread in self._threads:
            thread.join(5.0)
        self._follow_up.close()

    def _run(self, one_round: object) -> None:
        assert callable(one_round)
        while not self._stop.is_set():
            try:
                one_round()
            except FairleadError as error:
                _LOG.error("%s", error.line)
                self._stop.wait(1.0)
            except Exception:  # noqa: BLE001 - a thread that dies in silence would leave a bad version serving
                _LOG.exception("an unexpected failure; the next round goes on")
                self._stop.wait(1.0)

    def _drive(self) -> None:
        """The first thread's round: the log, then rollouts. Nothing is decided before the log has been read once."""
        predictions, outcomes = self._reader.poll(_BATCH)
        if predictions or outcomes:
            self._release.observe(predictions)
            self._batches.put((predictions, outcomes))
        more = len(predictions) >= _BATCH or len(outcomes) >= _BATCH
        self._caught_up = self._caught_up or not more
        if self._caught_up:
            self._release.tick()
        if not more:
            self._stop.wait(_TICK_SECONDS)

    def _follow(self) -> None:
        """The second thread's round."""
        try:
            batch = self._batches.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            batch = ([], [])
        self._follow_up.observe(*batch)
        while not self._decided.empty():
            self._follow_up.decided(*self._decided.get())
        if self._batches.empty():
            self._follow_up.tick()


def main() -> None:
    """Reads the arguments and runs until told to stop, or until the parent is gone."""
    parser = argparse.ArgumentParser(description="fairlead's controller; `fairlead up` starts it")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--environment", default="")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    context = open_context(arguments.home, arguments.config, arguments.environment)
    controller = Controller(context, arguments.config, arguments.environment)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    controller.start()
    try:
        uvicorn.run(
            build(context),
            host="127.0.0.1",
            port=arguments.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    finally:
        controller.stop()


def _leave_with_parent() -> None:
    """The supervisor holds the other end of our standard input: when it is gone, so are we."""
    descriptor = sys.stdin.fileno()
    while True:
        select.select([descriptor], [], [])
        if not os.read(descriptor, 1024):
            os.kill(os.getpid(), signal.SIGTERM)
            return


if __name__ == "__main__":
    main()
