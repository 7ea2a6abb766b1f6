"""A gateway worker: `python -m fairlead.app.worker --home HOME --worker N (--fd FD | --host H --port P)`.

It serves from memory and leaves with its parent: `--parent` is a pipe whose other end the supervisor holds open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Generator
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop
from msgspec import Struct

from fairlead.adapters import process_usage
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.fact_log import SegmentFacts
from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.adapters.predictors.formats import RUN_CODE
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_policy import UnloggedWhenFull
from fairlead.adapters.system_clock import SystemClock
from fairlead.app import aside, looking, observability
from fairlead.app.draining import settle
from fairlead.app.evidence_note import read_note
from fairlead.app.standing_by import stand_by
from fairlead.app.worker_board import worker_board
from fairlead.config.observability import Observing
from fairlead.core.admission import Limits
from fairlead.core.route import shadow_name
from fairlead.errors import FairleadError, StateError
from fairlead.faces.gateway.app import Gateway
from fairlead.faces.gateway.connection import Connection
from fairlead.faces.gateway.intake import Intake
from fairlead.faces.gateway.otlp import Keeps
from fairlead.faces.gateway.wire import BODY_LIMIT
from fairlead.flows.follow import Follower
from fairlead.flows.golden import EVERY_SECONDS, GoldenTests
from fairlead.flows.serve import Serving
from fairlead.flows.shadow import shadowing
from fairlead.flows.tally import Counts, Tally, Usage, new_timing
from fairlead.flows.telling import Telling
from fairlead.ports.log import LogState, PredictionLog

COUNTS_SECONDS = 1.0
IDLE_SECONDS = 75  # longer than proxies keep a connection: the side that asks is the one that closes
DRAIN_SECONDS = 10  # at least: see `drain_seconds`
LAG_SECONDS = 0.1
SWITCH_SECONDS = 0.001
EXIT_SECONDS = 5.0  # after its parent, beyond a drain
BACKLOG = 2048

_log = logging.getLogger("fairlead.worker")


class Options(Struct, frozen=True):
    """The command line. Either `fd`, an inherited listening socket, or `host` and `port`."""

    home: Path
    worker: int
    fd: int | None
    host: str
    port: int
    durability: str
    when_full: str
    parent: int | None
    body_limit: int
    trust: list[str]
    limits: dict[str, Limits]
    database: bool
    aside: aside.Aside
    features: looking.Rules
    observing: Observing
    golden: float


def parse(arguments: list[str]) -> Options:
    """Reads the command line; leaves with 2 and one line when it is wrong."""
    parser = argparse.ArgumentParser(prog="fairlead.app.worker", description="One gateway process.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--fd", type=int, help="an inherited listening socket")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--durability", choices=("batch", "sync"), default="batch")
    parser.add_argument("--when-full", choices=("shed", "serve-unlogged"), default="shed", help="the disk, that is")
    parser.add_argument("--parent", type=int, help="the read end of a pipe that the parent holds open")
    parser.add_argument("--body-limit", type=int, default=BODY_LIMIT, help="bytes")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        choices=sorted(RUN_CODE),
        help="a model format that may run code when it is loaded; may be given again",
    )
    parser.add_argument("--limits", type=_limits, default={}, help="limits by model as JSON; those of all under ''")
    parser.add_argument("--features", type=looking.read, default={}, help="look-ups by model as JSON")
    parser.add_argument("--aside", type=aside.read, default=aside.NOTHING, help="fallbacks and quarantine as JSON")
    parser.add_argument("--observing", type=observability.read, default=Observing(), help="lines and traces as JSON")
    parser.add_argument("--golden", type=float, default=EVERY_SECONDS, help="seconds between two golden tests")
    parser.add_argument("--database", action="store_true", help="follow the route board in $FAIRLEAD_DATABASE")
    return Options(**vars(parser.parse_args(arguments)))


def _limits(text: str) -> dict[str, Limits]:
    try:
        return msgspec.json.decode(text, type=dict[str, Limits])
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


class _Server(uvicorn.Server):
    """uvicorn, told when to stop by the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leaves the signals to the worker, which has more to end than its connections."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends connections when nothing is on its way on them."""
        await settle(self)
        await super().shutdown(sockets)


def http_server(app: Any, drain_seconds: int = DRAIN_SECONDS) -> uvicorn.Server:
    """The HTTP server of an ASGI application. It serves until `should_exit` is set; then it takes no more, answers what
    is under way, for `drain_seconds` at most, and returns."""
    return _Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",  # its warnings are one line for each caller who speaks no HTTP
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=drain_seconds,
        )
    )


class Worker:
    """One process: a server and a follower of the route board."""

    def __init__(self, options: Options) -> None:
        home = options.home.absolute()
        self._options = options
        self._tally = Tally()
        self._log: PredictionLog = SegmentLog(home / "log", options.worker)
        if options.when_full == "serve-unlogged":
            self._log = UnloggedWhenFull(self._log, self._count_unlogged)
        self._serving = Serving(self._log, SystemClock(), self._tally, options.limits)
        aside.arrange(options.aside, self._serving, home, options.worker)
        self._lag = new_timing()
        self._facts = SegmentFacts(home / "log", options.worker)
        self._told = observability.of_worker(home, options.worker, options.observing)
        observer = self._told.observer
        self._notes = NoteFolder(home / COUNTERS)
        self._telling = Telling(_log)
        self._lookups = looking.lookups_of(options.features, home, SystemClock())
        identity = (options.worker, os.getpid())
        self._board = worker_board(home, os.environ, database=options.database)
        bundles = BundleFolder(home / "bundles", options.trust)
        self._golden = GoldenTests(self._serving, bundles.path, self._serving.clock, options.golden)
        self._follower = Follower(
            self._board,
            bundles,
            self._serving,
            identity,
            _settle_memory,
            self._lookups,
        )
        self._follower.golden = lambda: self._golden.states
        sync, logs = options.durability == "sync", options.observing.logging
        keeps = Keeps(logs.include_prompt, logs.include_response)
        intake = Intake(self._serving, self._facts, keeps, sync=sync, limit=options.body_limit)
        gateway = Gateway(
            self._serving,
            self._all_counts,
            sync=sync,
            body_limit=options.body_limit,
            observer=observer,
            intake=intake,
        )
        self._server = http_server(gateway, drain_seconds(options))
        self._stop = asyncio.Event()

    def _count_unlogged(self, records: int) -> None:
        self._tally.log_failures += 1
        self._tally.unlogged += records

    async def run(self) -> None:
        """Serves until told to stop; then answers what is under way, and closes the log."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain)
        if self._options.parent is not None:
            threading.Thread(
                target=_leave_with_parent,
                args=(self._options.parent, drain_seconds(self._options) + EXIT_SECONDS),
                daemon=True,
            ).start()
        sock = _listen(self._options)
        tasks = [loop.create_task(work) for work in self._work()]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            await stand_by(self._serving, self._board, self._options.worker, self._follower.ready, self._stop)
            if not self._stop.is_set():
                await self._server.serve([sock])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._log.close()
            self._facts.close()
            if self._serving.quarantine is not None:
                self._serving.quarantine.close()
            self._told.close()

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [self._follower.run(), self._note_counts(), self._time_lag(), self._golden.run()]

    def _drain(self) -> None:
        self._stop.set()
        self._server.should_exit = True

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A background task that failed takes the worker with it: the supervisor starts a whole one."""
        if not task.cancelled() and task.exception() is not None:
            _log.error("a background task failed", exc_info=task.exception())
            self._drain()

    def _counts(self) -> Counts:
        generation = self._serving.live.generation if self._serving.live else 0
        counts = self._tally.snapshot(self._options.worker, os.getpid(), generation, self._serving.weights())
        counts.queues = self._serving.queues()
        counts.lookups = [one.counted for one in self._lookups.values()]
        counts.quarantine = self._serving.quarantine.counts() if self._serving.quarantine else {}
        counts.usage = self._usage()
        counts.log = self._log.state()
        counts.told = self._told.counts()
        return counts

    def _usage(self) -> Usage:
        virtual, resident = process_usage.memory()
        opened, most = process_usage.descriptors()
        return Usage(
            time.process_time(),
            resident,
            self._lag,
            virtual,
            process_usage.started_at(),
            opened,
            most,
            process_usage.threads(),
            len(self._server.server_state.connections),
            process_usage.segment_bytes(self._options.home / "log", self._options.worker),
        )

    def _all_counts(self) -> list[Counts]:
        others = (msgspec.json.decode(note, type=Counts) for note in self._notes.read().values())
        own = self._counts()
        own.weighed = read_note(self._options.home)
        everyone = [own, *(counts for counts in others if counts.worker != self._options.worker)]
        own.unseen = shadowing(everyone, self._shadows(), self._serving.clock.now())
        return everyone

    async def _note_counts(self) -> None:
        while True:
            try:
                counts = self._counts()
                self._tell(counts.log)
                if self._shadows() and self._told.observer is not None:
                    counts.traced = self._told.observer.traced()
                self._notes.write(str(self._options.worker), msgspec.json.encode(counts))
            except StateError as error:
                self._telling.wrong("the counters", error.line)
            else:
                self._telling.right("the counters")
            await asyncio.sleep(COUNTS_SECONDS)

    def _shadows(self) -> list[str]:
        """The shadows that the routes name, by `shadow_name`."""
        models = self._serving.live.models.values() if self._serving.live else ()
        return [shadow_name(model.name, version) for model in models for version in model.route.shadows]

    def _tell(self, log: LogState | None) -> None:
        """Says that answers are refused or not logged, and when they are again."""
        if log is None or not log.refused:
            self._telling.right("the log")
        else:
            sent = "predictions get 503" if log.sheds else "predictions are answered and not logged"
            self._telling.wrong("the log", f"{sent}: {log.refused}")

    async def _time_lag(self) -> None:
        """Sees how long the event loop lets a timer wait."""
        while True:
            due = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._lag.add(max(0.0, time.monotonic() - due), 1)


def drain_seconds(options: Options) -> int:
    """How long a worker that is told to stop goes on answering: whoever was admitted is answered, or out of time."""
    longest = max((limits.timeout for limits in options.limits.values()), default=Limits().timeout)
    return max(DRAIN_SECONDS, ceil(longest) + 1)


def _listen(options: Options) -> socket.socket:
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    try:
        return socket.create_server((options.host, options.port), backlog=BACKLOG)
    except OSError as error:
        raise StateError(
            f"port {options.port} on {options.host} cannot be used ({error.strerror}): pass another with --port"
        ) from error


def _leave_with_parent(pipe: int, seconds: float) -> None:
    """Reads a pipe that ends when the parent is gone, however it went."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(seconds)
    os._exit(1)


def _settle_memory() -> None:
    """Models live long: the garbage collector need not walk them at each pass."""
    gc.collect()
    gc.freeze()


def main(arguments: list[str] | None = None) -> None:
    """The process."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s worker {options.worker} %(levelname)s %(message)s")
    gc.set_threshold(20_000, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)  # a slow model in a thread must not hold the event loop up
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Worker(options).run())
    except FairleadError as error:
        sys.exit(f"fairlead worker {options.worker}: {error.line}")


if __name__ == "__main__":
    main()
