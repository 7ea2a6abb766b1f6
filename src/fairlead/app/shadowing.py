"""What the shadower does once there is something to answer: it follows the routes and the log, and answers unseen.

Nobody waits for it, so it ends at once, however its candidates' threads are: their answers so far are in the log.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.adapters import process_usage
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.adapters.segment_frame import PREDICTIONS
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import PredictionTail
from fairlead.adapters.system_clock import SystemClock
from fairlead.app import looking, observability
from fairlead.app.shadower_options import Options
from fairlead.app.worker_board import worker_board
from fairlead.core.route import SHADOWER
from fairlead.errors import FairleadError, StateError
from fairlead.flows.follow import Follower
from fairlead.flows.serve import Serving
from fairlead.flows.shadow import Shadows
from fairlead.flows.tally import Counts, Tally, Usage, new_timing
from fairlead.flows.telling import Telling

POLL_SECONDS = 0.025
MOST = 2_000  # records between two looks at the candidates
COUNTS_SECONDS = 1.0
LINK_SECONDS = 0.5  # less than half as long as a worker's word on a traced request stands
SYNC_SECONDS = 1.0  # a power cut may cost shadows' last answers: the disk is the callers'
PROCESS = "shadower"
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG

_log = logging.getLogger("fairlead.shadower")


class _Note(Struct):
    """What is read of a worker's counters."""

    traced: list[tuple[str, str, str]] = []


class Shadower:
    """The loaded process."""

    def __init__(self, options: Options, ends: Mapping[str, int]) -> None:
        """`ends`: how far the log reached when the process began to be needed."""
        home = options.home.absolute()
        self._options = options
        clock = SystemClock()
        observing = observability.read(options.observing)
        self._told = observability.Observability(home, PROCESS, observing.logging)
        self._told.watch_shadows(PROCESS, observing.tracing)
        unseen = self._told.unseen
        self._tally = Tally()
        self._log = SegmentLog(home / "log", options.worker, sync_seconds=SYNC_SECONDS, kinds=(PREDICTIONS,))
        self._serving = Serving(self._log, clock, self._tally)
        self._shadows = Shadows(self._serving, told=None if unseen is None else unseen.answered)
        self._lookups = looking.lookups_of(looking.read(options.features), home, clock)
        board = worker_board(home, os.environ, database=options.database)
        bundles = BundleFolder(home / "bundles", options.trust)
        self._follower = Follower(board, bundles, self._serving, None, _settle_memory, self._lookups)
        self._tail = PredictionTail(home / "log", ends, lambda name: name.worker < SHADOWER)
        self._notes = NoteFolder(home / COUNTERS)
        self._telling = Telling(_log)
        self._stop = asyncio.Event()
        self.code = 0

    async def run(self) -> None:
        """Answers until it is told to stop, or there has been nothing to answer for a while."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        if self._options.parent is not None:
            loop.add_reader(self._options.parent, self._stop.set)
        tasks = [loop.create_task(work) for work in self._work()]
        for task in tasks:
            task.add_done_callback(self._ended)
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shadows.close()
        self._log.close()
        self._told.close()

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [self._follower.run(), self._follow_log(), self._note_counts(), self._link(), self._yield()]

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that failed takes the process with it: the supervisor starts a whole one."""
        if not task.cancelled() and task.exception() is not None:
            _log.error("a background task failed", exc_info=task.exception())
            self.code = 1
            self._stop.set()

    async def _follow_log(self) -> None:
        used_at = time.monotonic()
        while True:
            served = self._tail.poll(MOST)
            table = self._follower.table
            self._shadows.offer(served, table)
            if table.models:
                used_at = time.monotonic()
            elif time.monotonic() - used_at > self._options.idle:
                self._stop.set()
            await asyncio.sleep(0 if len(served) >= MOST else POLL_SECONDS)

    async def _note_counts(self) -> None:
        while True:
            try:
                self._notes.write(str(self._options.worker), msgspec.json.encode(self._counts()))
            except StateError as error:
                self._telling.wrong("the counters", error.line)
            else:
                self._telling.right("the counters")
            await asyncio.sleep(COUNTS_SECONDS)

    async def _yield(self) -> None:
        """Takes only what processor time nobody else wants, once the first candidates are loaded: a caller's answer
        never waits for a shadow's. The threads that answer are started from here, and inherit it; what loads does not,
        or on a busy machine a rollout would not begin."""
        await self._follower.ready.wait()
        if sys.platform == "linux":
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    async def _link(self) -> None:
        """Learns from the workers which requests were traced."""
        unseen = self._told.unseen
        while unseen is not None:
            notes = (msgspec.json.decode(note, type=_Note).traced for note in self._notes.read().values())
            unseen.learn(chain.from_iterable(notes))
            await asyncio.sleep(LINK_SECONDS)

    def _counts(self) -> Counts:
        generation = self._serving.live.generation if self._serving.live else 0
        counts = self._tally.snapshot(self._options.worker, os.getpid(), generation, [])
        counts.shadowing = self._shadows.state()
        counts.lookups = [one.counted for one in self._lookups.values()]
        virtual, resident = process_usage.memory()
        opened, most = process_usage.descriptors()
        segments = process_usage.segment_bytes(self._options.home / "log", self._options.worker)
        counts.usage = Usage(time.process_time(), resident, new_timing(), virtual, process_usage.started_at())
        counts.usage.open_fds, counts.usage.max_fds = opened, most
        counts.usage.threads, counts.usage.segment_bytes = process_usage.threads(), segments
        counts.log = self._log.state()
        counts.told = self._told.counts()
        return counts


def run(options: Options, ends: Mapping[str, int]) -> None:
    """Answers what the log holds beyond `ends`, and ends the process."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s shadower %(levelname)s %(message)s")
    gc.set_threshold(20_000, 20, 20)
    if sys.platform == "linux":  # a candidate that holds the interpreter lets nobody see that the parent is gone
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    code = 1
    try:
        with asyncio.Runner() as runner:
            shadower = Shadower(options, ends)
            runner.run(shadower.run())
            code = shadower.code
            sys.stderr.flush()
            os._exit(code)  # a load or a candidate that hangs is waited for by nobody
    except FairleadError as error:
        sys.exit(f"fairlead shadower: {error.line}")


def _settle_memory() -> None:
    """Models live long: the garbage collector need not walk them at each pass."""
    gc.collect()
    gc.freeze()
