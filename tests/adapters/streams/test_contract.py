"""Each broker's source and sink keep the port."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.adapters.streams.opening import open_sink, open_source
from fairlead.config.stream_url import parse_stream_url
from fairlead.ports.stream import StreamSource
from fairlead.testing.brokers import Broker
from fairlead.testing.stream import check_stream_sink, check_stream_source


def test_nats_keeps_the_port(nats: Broker) -> None:
    """Source and sink, over a real server."""
    from nats.aio.client import Client

    async def run() -> None:
        client = Client()
        await client.connect(f"nats://{nats.host}")
        try:
            await check(client)
        finally:
            await client.close()

    async def check(client: Client) -> None:
        stream = client.jetstream()
        await stream.add_stream(name="requests", subjects=["requests.>"])

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                await stream.publish("requests.new", body)

        async def over() -> None:  # the group's own time, which the server then heeds for what is handed out, too
            known = (await stream.consumer_info("requests", "g")).config
            await stream.add_consumer("requests", known.evolve(ack_wait=1.0))

        source = parse_stream_url(f"nats://{nats.host}/requests/requests.new?group=g&retry=5m", "--from", {})
        await check_stream_source(lambda name: open_source(source, name), put, over)
        sink = parse_stream_url(f"nats://{nats.host}/answers/answers.new", "--to", {})

        async def kept() -> list[bytes]:
            count = (await stream.stream_info("answers")).state.messages
            found = [await stream.get_msg("answers", number + 1) for number in range(count)]
            return [one.data or b"" for one in found]

        await check_stream_sink(lambda: open_sink(sink), kept)
        assert len(await kept()) == 300, "the server drops what it has had"

    asyncio.run(run())


def test_valkey_keeps_the_port(valkey: Broker) -> None:
    """Source and sink, over a real server."""
    from redis.asyncio import Redis

    async def run() -> None:
        async with Redis.from_url(f"redis://{valkey.host}", protocol=2) as client:
            await check(client)

    async def check(client: Redis) -> None:
        await client.xadd("requests", {"body": b"{}"})
        await client.xtrim("requests", 0, approximate=False)
        retry = ["5m"]

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                await client.xadd("requests", {"body": body})

        async def over() -> None:  # each of a group has a time of its own
            retry.append("1s")

        def join(name: str) -> StreamSource:
            url = parse_stream_url(f"redis://{valkey.host}/requests?group=g&retry={retry[-1]}", "--from", {})
            return open_source(url, name)

        await check_stream_source(join, put, over)
        sink = parse_stream_url(f"redis://{valkey.host}/answers", "--to", {})

        async def kept() -> list[bytes]:
            entries: Any = await client.xrange("answers")
            return [fields[b"body"] for _, fields in entries]

        await check_stream_sink(lambda: open_sink(sink), kept)
        assert len(await kept()) == 300, "the script drops what it has had"

    asyncio.run(run())


@pytest.mark.slow  # beside other tests the mock cluster deals a new group its partitions after a minute, or not at all
def test_kafka_keeps_the_port(kafka: Broker) -> None:
    """Source and sink, over the protocol."""
    from confluent_kafka import Consumer, Producer

    async def run() -> None:
        reader = Consumer({"bootstrap.servers": kafka.host, "group.id": "check", "auto.offset.reset": "earliest"})
        try:
            await check(reader)
        finally:
            reader.close()

    async def check(reader: Consumer) -> None:
        producer = Producer({"bootstrap.servers": kafka.host})

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                producer.produce("requests", body)
            assert await asyncio.to_thread(producer.flush, 10) == 0

        async def over() -> None:  # who leaves the group leaves its part to the others at once
            pass

        source = parse_stream_url(f"kafka://{kafka.host}/requests?group=g&retry=1m", "--from", {})
        await check_stream_source(lambda name: open_source(source, name), put, over)
        sink = parse_stream_url(f"kafka://{kafka.host}/answers", "--to", {})
        reader.subscribe(["answers"])
        seen: list[bytes] = []

        async def kept() -> list[bytes]:
            quiet = 0  # seconds; a group may be dealt its part late
            while quiet < (1 if len(seen) >= 300 else 60):
                found = await asyncio.to_thread(reader.consume, 1000, 1.0)
                seen.extend(one.value() or b"" for one in found)
                quiet = 0 if found else quiet + 1
            return list(seen)

        await check_stream_sink(lambda: open_sink(sink), kept)

    asyncio.run(run())
