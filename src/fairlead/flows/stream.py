"""read -> judge -> predict -> log -> publish -> acknowledge, a batch at a time, at least once.

A message is acknowledged only after its record is in the log and its answer, or its dead letter, was taken by its sink.
A request that was answered before is not logged again: its answer is sent again only where nobody knows whether it had
been sent. Whatever is away is waited for with everything in hand, so nothing is lost and nothing is done out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, TypeVar

from fairlead.core.fallback import ARM
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.core.stream_message import KEPT, DeadLetter, read_message, write_answer, write_letter
from fairlead.errors import ContractError, NotFound, StateError
from fairlead.flows.serve import BULK_ROWS, PINNED, Arrival, Ask, ModelFailed, NotReady, Serving
from fairlead.flows.stream_counts import StreamCounts
from fairlead.flows.stream_features import Filled
from fairlead.flows.stream_log import KeptLog, place_of, placed, without_place
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.ports.stream import AnsweredBefore, Delivery, Message, StreamSink, StreamSource, TooLarge

FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0  # seconds between two tries of what is away
LAG_SECONDS = 1.0
TOGETHER = BULK_ROWS  # messages of one call of the model at most
REMEMBERED = 100_000  # requests that this process has answered last
CUT = 1_024  # bytes of a message in a dead letter that was too large with all of them

T = TypeVar("T")
Told = Callable[[str], None]


class Stopped(Exception):
    """Someone asked for the end while something was away."""


class Ends(NamedTuple):
    """What a stream is between."""

    source: StreamSource
    sink: StreamSink
    dead: StreamSink
    before: AnsweredBefore


class Terms(NamedTuple):
    """How it works. `batch`: messages at a time; `wait`: seconds that a read waits for the first; `hold`: after how
    many seconds a message in hand is asked for again; `route`: which arm a message is dealt."""

    model: str
    route: Callable[[LiveModel, Ask, Arrival], Route]
    batch: int = 256
    wait: float = 1.0
    hold: float = 10.0
    until_empty: bool = False


class _Case(NamedTuple):
    """A delivery with what was read of it."""

    delivery: Delivery
    ask: Ask

    def placed(self, place: int) -> _Case:
        """The same with its place in a call of the model."""
        return self._replace(ask=self.ask._replace(path=placed(place)))


class _Refusal(NamedTuple):
    """Why a delivery has no answer."""

    reason: str
    path: str
    status: int
    request_id: str | None = None
    record: Prediction | None = None


class _Hand:
    """A batch in hand: what goes where before it is acknowledged, and what it is counted as then."""

    def __init__(self) -> None:
        self.answers: list[Message] = []
        self.letters: list[tuple[Delivery, _Refusal]] = []
        self.finished: list[str] = []  # requests
        self.answered = self.fell_back = self.dead = self.failed = self.duplicate = self.republished = 0

    def answer(self, record: Prediction) -> None:
        """Takes an answer."""
        self.answers.append(Message(record.request_id, write_answer(record)))
        self.finished.append(record.request_id)

    def bury(self, delivery: Delivery, refusal: _Refusal) -> None:
        """Takes a message that has no answer."""
        self.letters.append((delivery, refusal))
        if refusal.record is not None:
            self.finished.append(refusal.record.request_id)

    def count(self, counts: StreamCounts) -> None:
        """Adds it up."""
        for name in ("answered", "fell_back", "dead", "failed", "duplicate", "republished"):
            setattr(counts, name, getattr(counts, name) + getattr(self, name))


class Stream:
    """One process's work on a stream. `told` hears of what goes away and comes back."""

    def __init__(self, ends: Ends, terms: Terms, serving: Serving, kept: KeptLog, told: Told) -> None:
        """`serving` writes to `kept`, which remembers what it was given."""
        self.counts = StreamCounts()
        self._ends, self._terms = ends, terms
        self._serving, self._kept = serving, kept
        self._clock = serving.clock
        self._told = told
        self._done = _Recent(REMEMBERED)
        self._lag_at = 0.0
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Asks for the end: what is in hand is finished first."""
        self._stop.set()

    async def run(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Works until it is stopped; with `until_empty` until nothing is left. Raises `UsageError` for what will not
        mend by itself. What is in hand then is handed out again."""
        ends, terms = self._ends, self._terms
        with suppress(Stopped):
            await self._patiently("log", _at_once(ends.before.catch_up))
            while not self._stop.is_set():
                found = await self._patiently("source", lambda: ends.source.read(terms.batch, terms.wait))
                if found:
                    await self._handle(found)
                await self._measure(now=not found)
                if progress is not None:
                    finished = self.counts.answered + self.counts.dead + self.counts.duplicate
                    progress(finished, finished + (self.counts.lag or 0))
                if terms.until_empty and not found and self.counts.lag == 0:
                    return

    async def _measure(self, *, now: bool) -> None:
        """The lag, once a second, or now."""
        if not now and self._clock.monotonic() < self._lag_at:
            return
        self.counts.lag = await self._patiently("source", self._ends.source.lag)
        self._lag_at = self._clock.monotonic() + LAG_SECONDS

    async def _handle(self, found: Sequence[Delivery]) -> None:
        """One batch, from its reading to its acknowledgement."""
        counts, ends = self.counts, self._ends
        counts.read += len(found)
        counts.batches += 1
        counts.redelivered += sum(one.attempt is not None and one.attempt > 1 for one in found)
        if any(one.attempt != 1 for one in found):
            await self._patiently("log", _at_once(ends.before.catch_up))
        async with self._held(found):
            hand = _Hand()
            cases = self._judge(found, hand)
            await self._answer(cases, hand)
            if hand.answers:
                await self._patiently("sink", lambda: ends.sink.write(hand.answers))
            if hand.letters:
                await self._bury(hand.letters)
            for request_id in hand.finished:
                self._done.add(request_id)
            await self._patiently("source", lambda: ends.source.done(found))
            hand.count(counts)

    @asynccontextmanager
    async def _held(self, found: Sequence[Delivery]) -> AsyncIterator[None]:
        """Keeps the source from handing a batch out again while it is worked on."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(self._terms.hold)
                with suppress(StateError):  # whoever needs the source next waits for it
                    await self._ends.source.hold(found)

        holding = asyncio.create_task(hold())
        try:
            yield
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judge(self, found: Sequence[Delivery], hand: _Hand) -> list[_Case]:
        """The messages that want an answer. What is none becomes a letter; what was answered before, its answer."""
        cases: list[_Case] = []
        seen: set[str] = set()
        now = self._clock.now()
        for delivery in found:
            try:
                case = _read(delivery, now)
            except ContractError as error:
                hand.bury(delivery, _Refusal(error.line, error.path, 400))
                hand.dead += 1
                continue
            request_id = case.ask.request_id
            if request_id in seen or request_id in self._done:
                hand.duplicate += 1
                continue
            seen.add(request_id)
            if not self._was_answered(case, hand):
                cases.append(case)
        return cases

    def _was_answered(self, case: _Case, hand: _Hand) -> bool:
        """Whether the log has the request: then its answer is sent again as it was."""
        record = self._ends.before.find(case.ask.request_id)
        if record is None or not self._is_final(record):
            return False
        hand.duplicate += 1
        hand.republished += 1
        if record.status == 200:
            hand.answer(record)
        else:
            hand.bury(case.delivery, _of_record(record))
        return True

    def _is_final(self, record: Prediction) -> bool:
        """Whether a record is the last word on a request: a stand-in may have been kept from answering by a kill."""
        may_fall_back = record.arm not in (PINNED, ARM) and self._terms.model in self._serving.on_failure
        return record.status == 200 or not may_fall_back

    # -- answering -------------------------------------------------------------------------------------------------

    async def _answer(self, cases: Sequence[_Case], hand: _Hand) -> None:
        """Together where each row is answered as it would be alone, else one by one."""
        rest = list(cases)
        while rest:
            model = await self._patiently("model", _at_once(lambda: self._serving.model(self._terms.model)))
            together = TOGETHER if all(_answers_alike(live) for live in model.versions.values()) else 1
            part, rest = rest[:together], rest[together:]
            part = [case.placed(place) for place, case in enumerate(part)]
            filled = Filled(self._serving)
            while part:
                part = await self._part(part, hand, filled)

    async def _part(self, part: list[_Case], hand: _Hand, filled: Filled) -> list[_Case]:
        """Answers messages by one call; returns those that are left because another broke the contract."""
        arrival = Arrival(self._clock.now(), self._clock.monotonic())
        asks = [case.ask for case in part]
        try:
            await self._patiently("model", lambda: self._served(asks, arrival, filled))
        except ContractError as error:
            place = place_of(error.path)
            if place is None and len(part) > 1:  # it names none: each is asked alone
                for case in part:
                    await self._part([case], hand, filled)
                return []
            at = next((at for at, ask in enumerate(asks) if place_of(ask.path) == place), 0)
            said, path = without_place(error.line), without_place(error.path)
            refusal = _Refusal(said, path, arrival.refusal, part[at].ask.request_id)
            hand.bury(part[at].delivery, refusal)
            hand.dead += 1
            return part[:at] + part[at + 1 :]
        records = self._kept.taken()
        for case in part:
            record = records[case.ask.request_id]
            if record.status == 200:
                hand.answer(record)
                hand.answered += 1
                hand.fell_back += record.arm == ARM
            else:
                hand.bury(case.delivery, _of_record(record))
                hand.dead += 1
                hand.failed += 1
        return []

    async def _served(self, asks: Sequence[Ask], arrival: Arrival, filled: Filled) -> None:
        """Has rows answered and logged; where some of them fail, the log has the truth of each. What was answered
        before the log went away is not asked again."""
        if self._kept.has_any:
            asks = [ask for ask in asks if not self._kept.has(ask.request_id)]
        model = self._serving.model(self._terms.model)
        routes = [self._terms.route(model, ask, arrival) for ask in asks]
        try:
            await filled.answered(model, asks, arrival, routes)
        except (ModelFailed, NotReady):
            if not self._kept.has_any:
                raise

    # -- dead letters ----------------------------------------------------------------------------------------------

    async def _bury(self, letters: Sequence[tuple[Delivery, _Refusal]]) -> None:
        """Sends dead letters; where the broker finds one too large, with the beginning of its message only."""
        try:
            messages = [self._letter(delivery, refusal, KEPT) for delivery, refusal in letters]
            await self._patiently("dead_letter", lambda: self._ends.dead.write(messages))
        except TooLarge:
            cut = [self._letter(delivery, refusal, CUT) for delivery, refusal in letters]
            await self._patiently("dead_letter", lambda: self._ends.dead.write(cut))

    def _letter(self, delivery: Delivery, refusal: _Refusal, most: int) -> Message:
        record = refusal.record
        letter = DeadLetter(
            reason=refusal.reason,
            path=refusal.path,
            status=refusal.status,
            model=self._terms.model,
            id=delivery.id,
            at=self._clock.now(),
            size=0,
            request_id=refusal.request_id,
            version=record.model_version if record else None,
            arm=record.arm if record else None,
        )
        return Message(delivery.id, write_letter(letter, delivery.body, most))

    # -- what is away ----------------------------------------------------------------------------------------------

    async def _patiently(self, side: str, call: Callable[[], Awaitable[T]]) -> T:
        """What a call returns, however long its side is away. Raises `Stopped` when the end comes first."""
        wait = FIRST_WAIT
        since: float | None = None
        while True:
            try:
                result = await call()
            except (StateError, NotReady, NotFound) as error:
                if since is None:
                    since = self._clock.monotonic()
                    side = "log" if side == "model" and isinstance(error, StateError) else side
                    self.counts.interrupted[side] += 1
                    self._told(f"{side.replace('_', ' ')} away: {error.line}; trying again")
            else:
                if since is not None:
                    away = self._clock.monotonic() - since
                    self._told(f"{side.replace('_', ' ')} back after {away:.1f} s")
                return result
            await self._pause(wait)
            wait = min(LONGEST_WAIT, wait * 2)

    async def _pause(self, seconds: float) -> None:
        if self._stop.is_set():
            raise Stopped
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        if self._stop.is_set():
            raise Stopped


class _Recent:
    """The last `size` to 2 x `size` texts."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: set[str] = set()
        self._old: set[str] = set()

    def __contains__(self, text: str) -> bool:
        return text in self._new or text in self._old

    def add(self, text: str) -> None:
        """Remembers a text."""
        self._new.add(text)
        if len(self._new) >= self._size:
            self._old, self._new = self._new, set()


def _read(delivery: Delivery, now: float) -> _Case:
    """A message and what it asks. Raises `ContractError`."""
    if delivery.fault:
        raise ContractError(delivery.fault)
    request = read_message(delivery.body)
    request_id = request.request_id or delivery.id
    at = now if request.timestamp is None else request.timestamp
    return _Case(delivery, Ask(request_id, request.unit_id or request_id, at, request.features, "features"))


def _of_record(record: Prediction) -> _Refusal:
    return _Refusal(record.error or "the model failed", "", record.status, record.request_id, record)


def _answers_alike(live: LiveVersion) -> bool:
    """Whether a row gets the same answer beside others as alone: batches were measured only where it does."""
    return bool(live.pace.batches)


def _at_once(call: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """A call that needs no waiting, as one that is awaited."""

    async def made() -> T:
        return call()

    return made
