"""A broker in memory, and what every source and every sink keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

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


Put = Callable[[Sequence[bytes]], Awaitable[None]]


async def check_stream_source(open_source: Callable[[str], StreamSource], put: Put) -> None:
    """What every source keeps. `open_source` joins the group under a name; the stream is empty at first, and hands out
    again what was not done for about a second. `put` adds messages to it."""
    first = open_source("one")
    assert await first.read(10, 0.2) == [], "an empty stream has nothing, and says so"
    assert await first.lag() == 0
    bodies = [b'{"n": %d}' % number for number in range(5)] + [b"\xff\x00", b"{" * 5000]
    await put(bodies)
    taken = await _read(first, 3)
    assert len(taken) == 3, f"no more than the limit, and no less: {[one.id for one in taken]}"
    assert await first.lag() == len(bodies), "what is handed out and not done is counted"
    taken += await _read(first, len(bodies) - 3)
    assert sorted(one.body for one in taken) == sorted(bodies), "each message once, byte for byte"
    assert all(one.attempt in (1, None) for one in taken)
    assert len({one.id for one in taken}) == len(bodies), "each has an id of its own"
    await first.hold(taken)
    await first.done([one for one in taken if one.body in bodies[:4]])
    assert await first.lag() == len(bodies) - 4
    await first.done([])
    await first.close()
    second = open_source("two")
    again = await _read(second, len(bodies) - 4)
    assert await second.read(10, 0.2) == [], "what is done does not come back"
    ids = {one.body: one.id for one in taken}
    assert {one.body: one.id for one in again} == {body: ids[body] for body in bodies[4:]}, "it comes back as it was"
    assert all(one.attempt != 1 for one in again), "and the broker says so, or that it does not know"
    await second.done(again)
    assert await second.lag() == 0
    await second.done(again)
    await second.close()


async def check_stream_sink(open_sink: Callable[[], StreamSink], kept: Callable[[], Awaitable[list[bytes]]]) -> None:
    """What every sink keeps. `kept` tells what its stream holds, in order where the broker keeps one."""
    sink = open_sink()
    await sink.write([])
    messages = [Message(f"r-{number} å", b'{"n": %d}' % number) for number in range(300)]
    await sink.write(messages)
    assert sorted(await kept()) == sorted(one.body for one in messages), "what was written is there when it returns"
    await sink.write(messages[:10])
    assert set(await kept()) == {one.body for one in messages}, "writing again adds nothing new"
    await sink.close()


def check_answers(answers: AnsweredBefore, record: Prediction, absent: str) -> None:
    """What everyone keeps who knows what was answered: `record` is known, `absent` is no request's id."""
    answers.catch_up()
    assert answers.find(record.request_id) == record, "the whole record"
    assert answers.find(absent) is None


async def _read(source: StreamSource, count: int) -> list[Delivery]:
    """So many messages, however many reads they take."""
    found: list[Delivery] = []
    for _ in range(120):  # a group may take long to be dealt its part of a stream
        found += await source.read(count - len(found), 0.5)
        if len(found) >= count:
            break
    return found
