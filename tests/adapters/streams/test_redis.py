"""What is Redis's own: fields, trimming, taking over, and what a sink remembers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from fairlead.adapters.streams import redis as adapter
from fairlead.adapters.streams.redis import GONE, RedisSink, RedisSource, seen_key
from fairlead.config.stream_url import StreamUrl, parse_stream_url
from fairlead.errors import StateError, UsageError
from fairlead.ports.stream import Message
from fairlead.testing.brokers import Broker

RETRY = 3.0  # seconds: `retry` of those who are held

Work = Callable[[Any, str], Awaitable[None]]


def over(broker: Broker, work: Work) -> None:
    """Runs something with a name of its own."""

    async def run() -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(f"redis://{broker.host}", protocol=2) as client:
            await work(client, uuid4().hex)

    asyncio.run(run())


def source_of(broker: Broker, name: str, more: str = "") -> StreamUrl:
    """A source's place."""
    return parse_stream_url(f"redis://{broker.host}/{name}?group=g{more}", "--from", {})


def sink_of(broker: Broker, name: str, more: str = "") -> StreamUrl:
    """A sink's place."""
    return parse_stream_url(f"redis://{broker.host}/{name}{more}", "--to", {})


def test_the_message_is_in_a_field(valkey: Broker) -> None:
    """`body`, or another; an entry without it is handed out with what is wrong and what it holds."""

    async def work(client: Any, name: str) -> None:
        await client.xadd(name, {"body": b"1", "more": b"x"})
        await client.xadd(name, {"data": b"2"})
        source = RedisSource(source_of(valkey, name), "one")
        good, bad = await source.read(10, 0.2)
        assert (good.body, good.fault) == (b"1", "")
        assert "no field 'body', but data: name it with ?field=" in bad.fault
        assert bad.body == b'{"data":"2"}'
        await source.close()
        other = RedisSource(parse_stream_url(f"redis://{valkey.host}/{name}?group=h&field=data", "--from", {}), "one")
        assert [one.body for one in await other.read(10, 0.2) if not one.fault] == [b"2"]
        await other.close()

    over(valkey, work)


def test_what_another_left_is_taken_over(valkey: Broker) -> None:
    """After `retry`, unless it is held; what its own name left is there at once."""

    async def work(client: Any, name: str) -> None:
        await client.xadd(name, {"body": b"1"})
        one, two = (RedisSource(source_of(valkey, name, "&retry=3s"), who) for who in ("one", "two"))
        held = await one.read(1, 0.2)
        for _ in range(3):
            held_at = time.monotonic()
            await one.hold(held)
            await asyncio.sleep(1.2)
            await one.hold(held)
            early = await two.read(1, 0.01)
            assert (
                early == [] or time.monotonic() - held_at >= RETRY
            )  # a machine that stalled for so long shows nothing
        await asyncio.sleep(3.5)
        assert [(found.body, found.attempt) for found in await two.read(1, 0.2)] == [(b"1", 2)]
        await two.close()
        again = RedisSource(source_of(valkey, name), "two")
        assert [(found.body, found.attempt) for found in await again.read(1, 0.2)] == [(b"1", 2)]
        await again.done(held)
        await again.close()
        await one.close()
        assert await client.xinfo_consumers(name, "g") == [], "a consumer that owes nothing is forgotten"

    over(valkey, work)


def test_an_entry_that_is_gone_is_told(valkey: Broker) -> None:
    """It was trimmed while it was handed out: nobody can answer it any more, and it can be done."""

    async def work(client: Any, name: str) -> None:
        await client.xadd(name, {"body": b"1"})
        source = RedisSource(source_of(valkey, name), "one")
        assert len(await source.read(1, 0.2)) == 1
        await client.xtrim(name, 0, approximate=False)
        again = RedisSource(source_of(valkey, name), "one")
        (gone,) = await again.read(10, 0.2)
        assert (gone.body, gone.fault) == (b"", GONE)
        await again.done([gone])
        assert await again.lag() == 0
        for one in (source, again):
            await one.close()

    over(valkey, work)


def test_a_sink_remembers_the_newest_ids(valkey: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many and no more; and what it holds can be trimmed."""
    monkeypatch.setattr(adapter, "SEEN", 50)
    monkeypatch.setattr(adapter, "_PART", 20)

    async def work(client: Any, name: str) -> None:
        sink = RedisSink(sink_of(valkey, name, "?field=data"))
        messages = [Message(f"{n:03}", b"%d" % n) for n in range(120)]
        for start in range(0, 120, 30):
            await sink.write(messages[start : start + 30])
        assert await client.zcard(seen_key(name)) == 50
        await sink.write(messages[100:])
        assert await client.xlen(name) == 120
        assert (await client.xrange(name, count=1))[0][1] == {b"request_id": b"000", b"data": b"0"}
        trimmed = RedisSink(sink_of(valkey, f"{name}t", "?maxlen=10"))
        await trimmed.write([Message(f"{n}", b"x") for n in range(2_000)])
        assert await client.xlen(f"{name}t") < 300
        for one in (sink, trimmed):
            await one.close()

    over(valkey, work)


def test_what_is_no_stream_or_not_there_is_told(valkey: Broker) -> None:
    """At the start it is the user's to mend; a stream that was there and is gone may come back."""

    async def work(client: Any, name: str) -> None:
        missing = RedisSource(source_of(valkey, name), "one")
        with pytest.raises(UsageError, match="there is no stream"):
            await missing.lag()
        await client.set(f"{name}t", "text")
        for wrong in (RedisSource(source_of(valkey, f"{name}t"), "one"), RedisSink(sink_of(valkey, f"{name}t"))):
            with pytest.raises(UsageError, match="is no stream"):
                await (wrong.lag() if isinstance(wrong, RedisSource) else wrong.write([]))
            await wrong.close()
        await client.xadd(name, {"body": b"1"})
        assert await missing.lag() == 1
        await client.delete(name)
        for said in ("is away", "is gone"):
            with pytest.raises(StateError, match=said):
                await missing.read(1, 0.1)
        await client.xadd(name, {"body": b"2"})
        assert [one.body for one in await missing.read(1, 0.1)] == [b"2"]
        await missing.close()

    over(valkey, work)
