"""What is NATS's own: subjects, groups, windows and limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from fairlead.adapters.streams.nats import NatsSink, NatsSource
from fairlead.config.stream_url import StreamUrl, dead_letters_beside, parse_stream_url
from fairlead.errors import StateError, UsageError
from fairlead.ports.stream import Delivery, Message, TooLarge
from fairlead.testing.brokers import Broker, start_nats

RETRY = 3.0  # seconds: `retry` of those who are held

Work = Callable[[Any, str], Awaitable[None]]


def over(broker: Broker, work: Work) -> None:
    """Runs something with a stream of its own, whose name it gets."""

    async def run() -> None:
        from nats.aio.client import Client

        client = Client()
        await client.connect(f"nats://{broker.host}")
        name = f"s{uuid4().hex}"
        try:
            await client.jetstream().add_stream(name=name, subjects=[f"{name}.>"])
            await work(client.jetstream(), name)
        finally:
            await client.close()

    asyncio.run(run())


def source_of(broker: Broker, path: str, more: str = "") -> StreamUrl:
    """A source's place."""
    return parse_stream_url(f"nats://{broker.host}/{path}?group=g{more}", "--from", {})


def sink_of(broker: Broker, path: str) -> StreamUrl:
    """A sink's place."""
    return parse_stream_url(f"nats://{broker.host}/{path}", "--to", {})


def test_a_source_reads_its_subject_only(nats: Broker) -> None:
    """And a group that reads another one is not used by accident."""

    async def work(stream: Any, name: str) -> None:
        for what in ("new", "old", "new"):
            await stream.publish(f"{name}.{what}", what.encode())
        source = NatsSource(source_of(nats, f"{name}/{name}.new"))
        assert [one.body for one in await source.read(10, 0.2)] == [b"new", b"new"]
        await source.close()
        other = NatsSource(source_of(nats, f"{name}/{name}.old"))
        with pytest.raises(UsageError, match=r"reads s\w+\.new, not s\w+\.old"):
            await other.lag()
        await other.close()

    over(nats, work)


def test_a_new_group_begins_where_it_is_told(nats: Broker) -> None:
    """At the first message, or with what comes."""

    async def work(stream: Any, name: str) -> None:
        await stream.publish(f"{name}.a", b"before")
        source = NatsSource(source_of(nats, name, "&start=new"))
        assert await source.read(10, 0.2) == []
        await stream.publish(f"{name}.a", b"after")
        assert [one.body for one in await source.read(10, 2.0)] == [b"after"]
        await source.close()

    over(nats, work)


def test_what_is_held_is_not_handed_out_again(nats: Broker) -> None:
    """Though it takes longer than `retry`."""

    async def work(stream: Any, name: str) -> None:
        source = NatsSource(source_of(nats, name, "&retry=3s"))
        found, again, longest = list[Delivery](), list[Delivery](), RETRY
        while longest >= RETRY:  # a machine that stalled for so long shows nothing
            await source.done([*found, *again])
            await stream.publish(f"{name}.a", b"slow")
            found = await source.read(1, 30.0)
            held_at, longest = time.monotonic(), 0.0
            for _ in range(3):
                await asyncio.sleep(1.2)
                await source.hold(found)
                held_at, longest = time.monotonic(), max(longest, time.monotonic() - held_at)
            again = await source.read(1, 0.1)
            longest = max(longest, time.monotonic() - held_at)
        assert again == []
        assert [one.attempt for one in await source.read(1, 30.0)] == [2]
        await source.close()

    over(nats, work)


def test_what_is_not_there_or_another_s_is_told(nats: Broker) -> None:
    """A stream, a subject that belongs to another stream, a subject that a stream of that name does not take."""

    async def work(stream: Any, name: str) -> None:
        await stream.add_stream(name=f"{name}x", subjects=[f"{name}x"])
        for adapter, said in (
            (NatsSource(source_of(nats, f"{name}no")), "there is no stream"),
            (NatsSink(sink_of(nats, f"{name}x/{name}.a")), f"belongs to stream {name}, not {name}x"),
            (NatsSink(sink_of(nats, f"{name}x/{name}y")), f"does not take {name}y and cannot be made"),
        ):
            with pytest.raises(UsageError, match=said):
                await (adapter.lag() if isinstance(adapter, NatsSource) else adapter.write([]))
            await adapter.close()

    over(nats, work)


def test_dead_letters_go_to_whichever_stream_takes_them(nats: Broker) -> None:
    """To that of the answers where it takes their subject; else to one that is made."""

    async def work(stream: Any, name: str) -> None:
        taken = NatsSink(dead_letters_beside(sink_of(nats, f"{name}/{name}.answers")))
        await taken.write([Message("a", b"letter")])
        assert (await stream.get_msg(name, 1)).subject == f"{name}.answers.dead"
        made = NatsSink(dead_letters_beside(sink_of(nats, f"{name}y/{name}y")))
        await made.write([Message("a", b"letter")])
        assert (await stream.get_msg(f"{name}y-dead", 1)).subject == f"{name}y.dead"
        for sink in (taken, made):
            await sink.close()

    over(nats, work)


def test_what_the_server_refuses_is_told(nats: Broker) -> None:
    """A message above its limit never fits; a stream that is full may take it later."""

    async def work(stream: Any, name: str) -> None:
        from nats.js.api import DiscardPolicy, StreamConfig

        sink = NatsSink(sink_of(nats, f"{name}/{name}.a"))
        with pytest.raises(TooLarge, match="at most 1048576 bytes"):
            await sink.write([Message("a", b"x" * 2**20)])
        full = StreamConfig(name=f"{name}f", subjects=[f"{name}f"], max_msgs=1, discard=DiscardPolicy.NEW)
        await stream.add_stream(full)
        other = NatsSink(sink_of(nats, f"{name}f/{name}f"))
        await other.write([Message("a", b"1")])
        with pytest.raises(StateError, match="maximum messages exceeded"):
            await other.write([Message("b", b"2"), Message("c", b"3")])
        for one in (sink, other):
            await one.close()

    over(nats, work)


def test_a_password_is_asked_for(tmp_path: Any) -> None:
    """And one that is wrong is told as what it is."""
    broker = start_nats(tmp_path, "s3cret")
    try:
        for who, works in (("", False), ("fairlead:wrong@", False), ("fairlead:s3cret@", True)):
            sink = NatsSink(parse_stream_url(f"nats://{who}{broker.host}/S/a", "--to", {}))
            asyncio.run(_tried(sink, works))
    finally:
        broker.stop()


async def _tried(sink: NatsSink, works: bool) -> None:
    if works:
        await sink.write([Message("a", b"1")])
    else:
        with pytest.raises(UsageError, match="refuses the user or the password") as caught:
            await sink.write([])
        assert "wrong" not in str(caught.value)
    await sink.close()
