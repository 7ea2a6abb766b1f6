"""A broker in memory, and what every source and every sink keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from fairlead.core.record import Prediction
from fairlead.errors import StateError
from fairlead.ports.stream import AnsweredBefore, Delivery, Message, StreamSink, StreamSource, TooLarge


class MemoryStream:
    """One stream with one group, as source and as sink. `away` makes every call fail as a lost broker does; messages of
    more than `most` bytes are refused."""

    def __init__(self, bodies: Sequence[bytes] = ()) -> None:
        """Holds messages."""
        self.away = False
        self.most = 2**20
        self.kept: list[Message] = []
        self.held: list[Delivery] = []  # what `hold` was called for
        self.refused = 0  # calls that failed
        self._ids: set[str] = set()
        self._attempts: list[int] = []
        self._done: set[int] = set()
        self._next = 0
        for body in bodies:
            self.put(body)

    def put(self, body: bytes) -> None:
        """Adds a message without an id of its own."""
        self.kept.append(Message(f"memory:{len(self.kept)}", body))
        self._attempts.append(0)

    def again(self) -> None:
        """Hands out again what is not done."""
        self._next = 0

    async def read(self, limit: int, seconds: float) -> list[Delivery]:  # noqa: ARG002 - the port's
        """The next messages that are not done."""
        self._check()
        found: list[Delivery] = []
        while self._next < len(self.kept) and len(found) < limit:
            place, self._next = self._next, self._next + 1
            if place not in self._done:
                self._attempts[place] += 1
                message = self.kept[place]
                found.append(Delivery(message.id, message.body, self._attempts[place], "", place))
        return found

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """They are not handed out again."""
        self._check()
        self._done |= {delivery.token for delivery in deliveries}

    async def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Notes the call."""
        self._check()
        self.held += deliveries

    async def lag(self) -> int:
        """Messages that are not done."""
        self._check()
        return len(self.kept) - len(self._done)

    async def write(self, messages: Sequence[Message]) -> None:
        """Keeps messages, each id once."""
        self._check()
        if any(len(message.body) > self.most for message in messages):
            raise TooLarge(f"the stream in memory takes at most {self.most} bytes")
        for message in messages:
            if message.id not in self._ids:
                self._ids.add(message.id)
                self.kept.append(message)
                self._attempts.append(0)

    async def close(self) -> None:
        """Nothing to let go of: it can be read on."""

    def _check(self) -> None:
        if self.away:
            self.refused += 1
            raise StateError("the stream in memory is away: set `away` to False")


class MemoryAnswers:
    """What was answered before, by request id. `late` is told at the next `catch_up`."""

    def __init__(self, records: Sequence[Prediction] = ()) -> None:
        """Knows records from the start."""
        self.late: list[Prediction] = []
        self._known = {record.request_id: record for record in records}

    def catch_up(self) -> None:
        """Learns what is `late`."""
        self._known |= {record.request_id: record for record in self.late}

    def find(self, request_id: str) -> Prediction | None:
        """A record."""
        return self._known.get(request_id)


DONE = 4  # messages that the first one finishes
TRIES = 120  # reads: a group may take long to be dealt its part of a stream

Put = Callable[[Sequence[bytes]], Awaitable[None]]
End = TypeVar("End", bound=StreamSource | StreamSink)


async def check_stream_source(
    open_source: Callable[[str], StreamSource], put: Put, over: Callable[[], Awaitable[None]]
) -> None:
    """What every source keeps. `open_source` joins the group under a name; the stream is empty at first, `put` adds
    messages to it. What was not done is not handed out again for longer than this may take on a machine that stalls,
    until `over`: from then on it is, soon, and may be once more."""
    async with _closing(open_source("one")) as first:
        taken = await _check_first(first, put)
    await over()
    async with _closing(open_source("two")) as second:
        await _check_second(second, taken)


async def _check_first(first: StreamSource, put: Put) -> list[Delivery]:
    """Who has the stream for itself has each message once. What was taken; the first four are done."""
    assert await first.read(10, 0.2) == [], "an empty stream has nothing, and says so"
    assert await first.lag() == 0
    bodies = [b'{"n": %d}' % number for number in range(5)] + [b"\xff\x00", b"{" * 5000]
    await put(bodies)
    taken = await _read(first, 3)
    assert len(taken) == 3, f"no more than the limit, and no less: {[one.id for one in taken]}"
    assert await _lag(first, len(bodies)), "what is handed out and not done is counted"
    taken += await _read(first, len(bodies) - 3)
    assert sorted(one.body for one in taken) == sorted(bodies), "each message once, byte for byte"
    assert all(one.attempt in (1, None) for one in taken)
    assert len({one.id for one in taken}) == len(bodies), "each has an id of its own"
    await first.hold(taken)
    taken = sorted(taken, key=lambda one: bodies.index(one.body))
    await first.done(taken[:DONE])
    assert await _lag(first, len(bodies) - DONE), "what is done is counted no longer"
    await first.done([])
    return taken


async def _check_second(second: StreamSource, taken: Sequence[Delivery]) -> None:
    """Another of the group has what the first one left, and nothing else, until it is done."""
    left = {one.id: one.body for one in taken[DONE:]}
    again: list[Delivery] = []
    for _ in range(TRIES):
        again += await second.read(len(taken), 0.5)
        if left.keys() <= {one.id for one in again}:
            break
    again += await second.read(10, 0.2)
    assert {one.id: one.body for one in again} == left, "what is not done comes back as it was, what is done does not"
    assert all(one.attempt != 1 for one in again), "and the broker says so, or that it does not know"
    await second.done(again)
    assert await _lag(second, 0), "nothing waits"
    assert await second.read(10, 0.2) == [], "nothing is left"
    await second.done(again)


async def check_stream_sink(open_sink: Callable[[], StreamSink], kept: Callable[[], Awaitable[list[bytes]]]) -> None:
    """What every sink keeps. `kept` tells what its stream holds, in order where the broker keeps one."""
    messages = [Message(f"r-{number} å", b'{"n": %d}' % number) for number in range(300)]
    async with _closing(open_sink()) as sink:
        await sink.write([])
        await sink.write(messages)
        assert sorted(await kept()) == sorted(one.body for one in messages), "what was written is there when it returns"
        await sink.write(messages[:10])
        assert set(await kept()) == {one.body for one in messages}, "writing again adds nothing new"


def check_answers(answers: AnsweredBefore, record: Prediction, absent: str) -> None:
    """What everyone keeps who knows what was answered: `record` is known, `absent` is no request's id."""
    answers.catch_up()
    assert answers.find(record.request_id) == record, "the whole record"
    assert answers.find(absent) is None


@asynccontextmanager
async def _closing(end: End) -> AsyncIterator[End]:
    """One end of a stream, closed whatever becomes of it."""
    try:
        yield end
    finally:
        await end.close()


async def _lag(source: StreamSource, count: int) -> bool:
    """Whether so many are counted, soon: a broker may take note of what it has read a little later."""
    for _ in range(TRIES):
        if await source.lag() == count:
            return True
        await asyncio.sleep(0.1)
    return False


async def _read(source: StreamSource, count: int) -> list[Delivery]:
    """So many messages, however many reads they take."""
    found: list[Delivery] = []
    for _ in range(TRIES):
        found += await source.read(count - len(found), 0.5)
        if len(found) >= count:
            break
    return found
