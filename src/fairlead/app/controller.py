"""The controller: rollouts, monitors, retraining, registry and console, in a process of its own.

    python -m fairlead.app.controller --home HOME --port PORT [--config FILE] [--environment NAME] [--stand-by]

Four threads and a server. The first follows the log and drives rollouts ten times a second: nothing slow may stand in
its way, because a rollback waits for it. The second judges windows, sends notices and follows up. They share nothing
but the journal: each reads the log for itself, and what the first decides the second finds there. The third looks
whether the log takes records, the fourth moves it into its table. Training runs in processes of its own.

A home has one controller: two would swap each other's routes. The second to come leaves with exit code 3, or with
`--stand-by` waits, all loaded, until the first is gone, however it went. Where the journal is in a database each
machine's home has one, and a lease in the database says which of them drives rollouts.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec
import uvicorn

from fairlead.adapters.fact_log import SegmentFactReader
from fairlead.adapters.file_lock import held
from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.app.compose import open_context
from fairlead.app.console import build
from fairlead.app.controller_types import IN_CONTROLLER
from fairlead.app.database import fenced, open_lease
from fairlead.app.evidence_note import EvidenceNote
from fairlead.app.follow_up import FollowUp
from fairlead.app.known_types import learn
from fairlead.app.log_watch import LogWatch
from fairlead.app.observability import Observability
from fairlead.errors import FairleadError, Refused
from fairlead.flows.release import Release
from fairlead.flows.tally import Counts
from fairlead.flows.telling import Telling
from fairlead.flows.vital_signs import VitalSigns
from fairlead.operations.context import Context
from fairlead.operations.prediction_log import compact

_LOG = logging.getLogger("fairlead.controller")
_TICK_SECONDS = 0.1
_FAILED_SECONDS = 1.0
_JOIN_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_CLAIM_SECONDS = 0.5
_BATCH = 10_000
LOCK = "controller.lock"
OCCUPIED = 3  # the exit code where another controller holds the home
_OCCUPIED = "has a controller already: stop the `fairlead up` that started it, or use another --home"


class Controller:
    """Runs the threads. A failure in one round is logged and the next round goes on: state is in the journal.

    With a `lease` the first two threads begin when this controller leads. It ends the process when another does: what
    it remembers is old then.
    """

    def __init__(
        self, context: Context, config: Path | None, environment: str, lease: PostgresLease | None = None
    ) -> None:
        learn(IN_CONTROLLER)
        self._stop = threading.Event()
        self._context = context
        self._arguments = (config, environment)
        self._lease = lease
        self._compact_seconds = float(context.settings.log.compact_every)
        self._log_watch = LogWatch(context)
        self._telling = Telling(_LOG)
        self._lead: _Lead | None = None
        self._behind = ""
        self._threads = [self._thread("disk", self._look_at_log)]
        if find_spec("deltalake"):  # without it the segments stay, and the log's status says so
            self._threads.append(self._thread("log", self._compact))
        if lease is None:
            self._prepare(context)
        else:
            self._threads.append(self._thread("lease", self._claim))

    def start(self) -> None:
        """Starts the threads."""
        for thread in list(self._threads):
            thread.start()

    def stop(self) -> None:
        """Ends the rounds and what they started."""
        self._stop.set()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._lead is not None:
            self._lead.close()
        if self._lease is not None:
            self._lease.leave()

    def _thread(self, name: str, one_round: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._run, args=(one_round,), name=name, daemon=True)

    def _run(self, one_round: Callable[[], None]) -> None:
        while not self._stop.is_set():
            about = f"the thread {threading.current_thread().name}"
            try:
                one_round()
            except FairleadError as error:
                self._telling.wrong(about, error.line)
                self._stop.wait(_FAILED_SECONDS)
            except Exception as fault:  # noqa: BLE001 - a thread that dies in silence would leave a bad version serving
                self._telling.wrong(about, f"an unexpected failure; the next round goes on: {fault!r}", fault)
                self._stop.wait(_FAILED_SECONDS)
            else:
                self._telling.right(about)

    def _prepare(self, context: Context) -> list[threading.Thread]:
        """What a leader does, and the threads that will do it."""
        lead = self._lead = _Lead(context, self._arguments, self._stop)
        added = [self._thread("release", lead.drive), self._thread("watch", lead.follow)]
        self._threads += added
        return added

    def _claim(self) -> None:
        """Asks for the lead, and makes sure of it twice a second."""
        lease = self._lease
        assert lease is not None, "who has no lease does not claim it"
        if not lease.take():
            if self._lead is None:
                self._stand_by(lease.leader())
            else:
                _LOG.error("%s leads now: this controller ends, and starts again behind it", lease.leader())
                self._stop.set()
                os.kill(os.getpid(), signal.SIGTERM)
        elif self._lead is None:
            for thread in self._prepare(fenced(self._context, lease)):
                thread.start()
            _LOG.info("this controller leads")
        self._stop.wait(_CLAIM_SECONDS)

    def _stand_by(self, leader: str) -> None:
        if leader != self._behind:
            _LOG.info("%s leads: this controller shows the console and stands by", leader)
        self._behind = leader

    def _look_at_log(self) -> None:
        """A thread of its own: a full disk is told whatever the others wait for."""
        self._log_watch.look()
        self._stop.wait(_LOOK_SECONDS)

    def _compact(self) -> None:
        """The third thread's round. It can be killed at any moment."""
        if not self._stop.wait(self._compact_seconds):
            compact(self._context)


class _Lead:
    """The rounds of the one controller that drives rollouts and judges windows."""

    def __init__(self, context: Context, arguments: tuple[Path | None, str], stop: threading.Event) -> None:
        self._stop = stop
        self._reader = context.open_log()
        self._events = SegmentFactReader(context.home / "log")
        # Nobody listens: what was decided is in the journal, where the second thread finds it, also after a restart.
        signs = VitalSigns(partial(_counts, NoteFolder(context.home / COUNTERS)))
        draws = context.settings.loops.draws
        self._release = Release(context.journal, context.board, context.bundles, context.clock, signs, draws)
        self._evidence = EvidenceNote(context.home, self._release)
        self._caught_up = False
        self._watched = context.open_log()
        self._follow_up = FollowUp(context, *arguments)

    def close(self) -> None:
        """Ends what was started."""
        self._follow_up.close()

    def drive(self) -> None:
        """The first thread's round: the log, then rollouts. Nothing is decided before the log has been read once."""
        predictions, outcomes = self._reader.poll(_BATCH)
        events = self._events.poll(_BATCH)
        self._release.observe(predictions)
        self._release.observe_events(events)
        self._release.observe_outcomes(outcomes)
        more = _is_full(predictions, outcomes) or _is_full(events, ())
        self._caught_up = self._caught_up or not more
        if self._caught_up:
            self._release.tick()
            self._evidence.write()
        if not more:
            self._stop.wait(_TICK_SECONDS)

    def follow(self) -> None:
        """The second thread's round. People are told of a rollback before the log is read: after a start it is long.
        No window is judged before its end has been read."""
        self._follow_up.answer()
        predictions, outcomes = self._watched.poll(_BATCH)
        self._follow_up.observe(predictions, outcomes)
        if not _is_full(predictions, outcomes):
            self._follow_up.tick()
            self._stop.wait(_TICK_SECONDS)


def _counts(notes: NoteFolder) -> Iterator[Counts]:
    """What the home's processes last wrote of themselves; what is cut short is whole a second later."""
    for note in notes.read().values():
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(note, type=Counts)


def _is_full(predictions: Sized, outcomes: Sized) -> bool:
    """Whether the log holds more than was read. Repeated records are left out of a batch: a full one may be shorter."""
    return max(len(predictions), len(outcomes)) > _BATCH // 2


def main() -> None:
    """Reads the arguments and runs until told to stop, or until the parent is gone."""
    parser = argparse.ArgumentParser(description="fairlead's controller; `fairlead up` starts it")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--environment", default="")
    parser.add_argument("--stand-by", action="store_true", help="wait for the home's controller to be gone")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if arguments.stand_by:
        _watch_parent()
    with ExitStack() as until_the_end:
        try:
            context = open_context(arguments.home, arguments.config, arguments.environment)
            context = replace(context, control_port=arguments.port)
            refusal = f"{context.home} {_OCCUPIED}"
            until_the_end.enter_context(held(context.home / LOCK, refusal, waits=arguments.stand_by))
        except FairleadError as error:
            _LOG.error("%s", error.line)
            raise SystemExit(OCCUPIED if isinstance(error, Refused) else 1) from None
        logs = context.settings.monitoring.logging
        until_the_end.enter_context(closing(Observability(context.home, "controller", logs)))
        _serve(context, arguments)


def _serve(context: Context, arguments: argparse.Namespace) -> None:
    controller = Controller(context, arguments.config, arguments.environment, open_lease(context))
    if not arguments.stand_by:
        _watch_parent()
    controller.start()
    try:
        uvicorn.run(
            build(context),
            host="127.0.0.1",
            port=arguments.port,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    finally:
        controller.stop()


def _watch_parent() -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()


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
