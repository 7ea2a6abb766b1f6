"""Streaming inference: a model's answers to the messages of a broker, each logged once and sent at least once.

Without a version the stream follows the route table as a gateway worker does; with one, that version alone answers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import Struct, structs

from fairlead.adapters.answered_log import AnsweredLog, Known
from fairlead.adapters.metrics_page import metrics_page
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.stream_seat import seated
from fairlead.adapters.streams.opening import open_sink, open_source
from fairlead.config.stream_url import StreamUrl, dead_letters_beside, is_same, parse_stream_url
from fairlead.core.admission import Limits
from fairlead.core.route import Arm, ModelRoute, Route, RouteTable
from fairlead.errors import NotFound, Refused, StateError, UsageError
from fairlead.flows.dealing import dealt
from fairlead.flows.follow import Follower
from fairlead.flows.lookups import Lookups
from fairlead.flows.serve import PINNED, Arrival, Ask, Serving, pin
from fairlead.flows.stream import Ends, Stream, Terms
from fairlead.flows.stream_counts import stream_exposition
from fairlead.flows.stream_log import KeptLog
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, arrange, load
from fairlead.operations.context import Context
from fairlead.operations.looking import lookups_of, rules_of
from fairlead.operations.models import resolve
from fairlead.ports.routes import RouteBoard
from fairlead.ports.stream import AnsweredBefore

START_SECONDS = 10.0  # what a broker may take to be there at the start
ANSWER_SECONDS = 600.0  # what a batch may take in a slow model
LOOKUP_SECONDS = 2.0  # what a look-up may take at least: no caller waits for it
MOST_BATCH = 10_000
LONGEST_READ = 60.0


class StreamingAsked(Struct, frozen=True):
    """What is asked for, see `docs/streaming.md`. `model` is a name, or a name and a version as in `hotel@3`; `batch`
    messages at a time; `wait` in seconds. `metrics_port`: None for none, 0 for a free one."""

    model: str
    source: str
    sink: str
    dead_letter: str = ""
    batch: int = 256
    wait: float = 1.0
    until_empty: bool = False
    metrics_port: int | None = None


class Streamed(Struct, frozen=True):
    """What came of it. `version` is None where the route table was followed; `lag` None where it was never measured.

    `read` counts deliveries; those that were finished are `answered`, `dead` or `duplicate`.
    """

    model: str
    version: int | None
    source: str
    sink: str
    dead_letter: str
    group: str
    worker: int
    read: int
    answered: int
    fell_back: int
    dead: int
    duplicate: int
    redelivered: int
    republished: int
    failed: int
    lag: int | None
    interrupted: dict[str, int]
    seconds: float
    messages_per_second: float


class Said(NamedTuple):
    """Who hears of it. `progress` is told what is done and what there is in all; `state` what goes away and comes back,
    in one line each."""

    state: Callable[[str], None]
    progress: Callable[[int, int], None] | None = None


class Streaming:
    """A stream that can be run once. `stop` asks for its end from the event loop's thread."""

    def __init__(self, context: Context, asked: StreamingAsked, environ: Mapping[str, str]) -> None:
        """Raises `UsageError` for what cannot be asked, before anything is opened."""
        _check(asked)
        self._context, self._asked = context, asked
        name, at, _ = asked.model.partition("@")
        source = parse_stream_url(asked.source, "--from", environ)
        self._source = structs.replace(source, group=source.group or f"fairlead-{name.replace('.', '-')}")
        self._sink = parse_stream_url(asked.sink, "--to", environ)
        given = asked.dead_letter
        self._dead = parse_stream_url(given, "--dead-letter", environ) if given else dead_letters_beside(self._sink)
        _check_apart(self._source, self._sink, self._dead)
        self.model = name
        self._pinned = resolve(context, asked.model) if at else None
        self._away: StateError | None = None  # why the database could not be asked what is served
        if self._pinned is None:
            self._look()
        self._stream: Stream | None = None
        self._stopped = False

    def stop(self) -> None:
        """Finishes what is in hand, and ends."""
        self._stopped = True
        if self._stream is not None:
            self._stream.stop()

    async def run(self, said: Said) -> Streamed:
        """Works until it is stopped, or empty. Raises `StateError` where a broker is away at the start."""
        began = time.perf_counter()
        async with AsyncExitStack() as stack:
            seat = stack.enter_context(seated(self._context.home / "streams"))
            before = AnsweredLog(self._context.home / "log", self._is_ours)  # what is written from here on is its own
            kept = KeptLog(SegmentLog(self._context.home / "log", seat))
            stack.callback(kept.close)
            serving = Serving(kept, self._context.clock, Tally(), self._limits())
            serving.on_failure = self._context.settings.on_failure()
            await self._make_ready(stack, serving, seat)
            ends = await self._open(stack, seat, before)
            stream = Stream(ends, self._terms(), serving, kept, said.state)
            self._stream = stream
            if self._stopped:
                stream.stop()
            page = metrics_page(
                self._asked.metrics_port, lambda: stream_exposition(stream.counts, self.model, self._source.group)
            )
            number = await stack.enter_async_context(page)
            if number is not None:
                said.state(f"metrics at http://127.0.0.1:{number}/metrics")
            said.state(f"{self._asked.model}: {self._source} -> {self._sink} (group {self._source.group})")
            await stream.run(said.progress)
        return self._summed(stream, seat, time.perf_counter() - began)

    # -- what it needs ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Sees that the model is served. A database that is away does not keep it: the home may know the routes."""
        try:
            table = self._context.board.current()
        except StateError as error:
            if not self._context.settings.database:
                raise
            self._away = error
            return
        if self.model not in table.models:
            raise self._unserved()

    def _unserved(self) -> NotFound:
        name = self.model
        return NotFound(f"no model {name!r} is served: `fairlead deploy` a version, or name one as in {name}@1")

    def _limits(self) -> dict[str, Limits]:
        """A stream waits for a slow model: nobody is turned away."""
        limits = self._context.settings.limits()
        return {
            name: structs.replace(one, timeout=max(ANSWER_SECONDS, one.timeout), wait=ANSWER_SECONDS)
            for name, one in limits.items()
        }

    def _lookups(self, stack: AsyncExitStack) -> dict[str, Lookups]:
        """A stream waits longer for a feature store than a caller does."""
        rules = {
            name: structs.replace(one, timeout=max(LOOKUP_SECONDS, one.timeout))
            for name, one in rules_of(self._context.settings).items()
        }
        found = lookups_of(rules, self._context.home, self._context.clock)
        for one in found.values():
            stack.callback(one.close)
        return found

    async def _make_ready(self, stack: AsyncExitStack, serving: Serving, seat: int) -> None:
        """Loads what is served, and follows the route table unless a version was named."""
        context, lookups = self._context, self._lookups(stack)
        if self._pinned is not None:
            number, digest = self._pinned.version, self._pinned.bundle
            live = await asyncio.to_thread(load, number, digest, context.bundles, context.clock, lookups)
            route = ModelRoute((Arm(PINNED, number, 1.0),), {number: digest})
            serving.live = arrange(RouteTable(0, {self.model: route}), {digest: live}, {}, None)
            return
        board = stack.enter_context(context.follow_board())
        stack.callback(_forget, board, seat)
        follower = Follower(board, context.bundles, serving, (seat, os.getpid()), lambda: None, lookups)
        await stack.enter_async_context(_running(follower.run(), self.stop))
        await follower.ready.wait()
        if serving.live is not None:
            self._check_served(serving.live)

    def _check_served(self, live: Live) -> None:
        """Raises why the model is not among what the first table brought."""
        if self.model in live.models:
            return
        if self.model in live.errors:
            raise UsageError(f"model {self.model!r} cannot be served: {live.errors[self.model]}")
        if self._away is not None and live.generation == 0:
            raise self._away
        raise self._unserved()

    async def _open(self, stack: AsyncExitStack, seat: int, before: AnsweredBefore) -> Ends:
        """Source, sink and dead letters, each there."""
        where = blake2b(str(self._context.home).encode(), digest_size=4).hexdigest()
        source = open_source(self._source, f"fairlead-{socket.gethostname()}-{where}-{seat}")
        stack.push_async_callback(source.close)
        await self._reached(source.lag)
        sinks = []
        for url in (self._sink, self._dead):
            sink = open_sink(url)
            stack.push_async_callback(sink.close)
            await self._reached(partial(sink.write, []))
            sinks.append(sink)
        return Ends(source, sinks[0], sinks[1], before)

    async def _reached(self, call: Callable[[], Awaitable[object]]) -> None:
        """A broker may be starting too; one that is still away after a while is told as an error, once."""
        until = self._context.clock.monotonic() + START_SECONDS
        while not self._stopped:
            try:
                await call()
            except StateError:
                if self._context.clock.monotonic() > until:
                    raise
                await asyncio.sleep(START_SECONDS / 20)
            else:
                return

    def _terms(self) -> Terms:
        asked = self._asked
        hold = self._source.retry / 3.0
        return Terms(self.model, self._route, asked.batch, asked.wait, hold, asked.until_empty)

    def _route(self, model: LiveModel, ask: Ask, arrival: Arrival) -> Route:
        return dealt(model, ask, arrival) if self._pinned is None else pin(model, self._pinned.version)

    def _is_ours(self, known: Known) -> bool:
        """Whether a record is an answer to the same question: of this model, and of the version that was named."""
        if known.model_name != self.model:
            return False
        if self._pinned is None:
            return known.arm != PINNED
        return known.arm == PINNED and known.model_version == self._pinned.version

    def _summed(self, stream: Stream, seat: int, seconds: float) -> Streamed:
        counts = stream.counts
        finished = counts.answered + counts.dead + counts.duplicate
        return Streamed(
            model=self.model,
            version=self._pinned.version if self._pinned else None,
            source=str(self._source),
            sink=str(self._sink),
            dead_letter=str(self._dead),
            group=self._source.group,
            worker=seat,
            read=counts.read,
            answered=counts.answered,
            fell_back=counts.fell_back,
            dead=counts.dead,
            duplicate=counts.duplicate,
            redelivered=counts.redelivered,
            republished=counts.republished,
            failed=counts.failed,
            lag=counts.lag,
            interrupted=counts.interrupted,
            seconds=seconds,
            messages_per_second=finished / seconds if seconds > 0 else 0.0,
        )


def _check(asked: StreamingAsked) -> None:
    if not 1 <= asked.batch <= MOST_BATCH:
        raise UsageError(f"--batch is {asked.batch}: from 1 to {MOST_BATCH} messages at a time")
    if not 0.0 < asked.wait <= LONGEST_READ:
        raise UsageError(f"--wait is {asked.wait:g} s: more than 0, at most {LONGEST_READ:g} s")


def _check_apart(source: StreamUrl, sink: StreamUrl, dead: StreamUrl) -> None:
    """What is written to the stream that is read would be read again, for ever."""
    for url, option in ((sink, "--to"), (dead, "--dead-letter")):
        if is_same(source, url):
            raise Refused(f"{option} is the stream that is read: its messages would be read again, name another")
    if is_same(sink, dead):
        raise Refused("--dead-letter is the stream of the answers: name another")


def _forget(board: RouteBoard, seat: int) -> None:
    """A stream that ended in order is no worker that has fallen silent."""
    with suppress(StateError):  # then it is listed for a while
        board.forget(seat)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], stop: Callable[[], None]) -> AsyncIterator[None]:
    """A task beside the stream, which it ends with. A fault in it ends the stream, and is raised then."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda _: stop())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
