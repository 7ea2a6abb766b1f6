"""Each broker's source and sink keep the port."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.adapters.streams.opening import open_sink, open_source
from fairlead.config.stream_url import parse_stream_url
from fairlead.testing.brokers import Broker
from fairlead.testing.stream import check_stream_sink, check_stream_source


def test_nats_keeps_the_port(nats: Broker) -> None:
    """Source and sink, over a real server."""
    from nats.aio.client import Client

    async def run() -> None:
        client = Client()
        await client.connect(f"nats://{nats.host}")
        stream = client.jetstream()
        await stream.add_stream(name="requests", subjects=["requests.>"])

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                await stream.publish("requests.new", body)

        source = parse_stream_url(f"nats://{nats.host}/requests/requests.new?group=g&retry=1s", "--from", {})
        await check_stream_source(lambda name: open_source(source, name), put)
        sink = parse_stream_url(f"nats://{nats.host}/answers/answers.new", "--to", {})

        async def kept() -> list[bytes]:
            count = (await stream.stream_info("answers")).state.messages
            found = [await stream.get_msg("answers", number + 1) for number in range(count)]
            return [one.data or b"" for one in found]

        await check_stream_sink(lambda: open_sink(sink), kept)
        assert len(await kept()) == 300, "the server drops what it has had"
        await client.close()

    asyncio.run(run())


def test_valkey_keeps_the_port(valkey: Broker) -> None:
    """Source and sink, over a real server."""
    from redis.asyncio import Redis

    async def run() -> None:
        client = Redis.from_url(f"redis://{valkey.host}", protocol=2)
        await client.xadd("requests", {"body": b"{}"})
        await client.xtrim("requests", 0, approximate=False)

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                await client.xadd("requests", {"body": body})

        source = parse_stream_url(f"redis://{valkey.host}/requests?group=g&retry=1s", "--from", {})
        await check_stream_source(lambda name: open_source(source, name), put)
        sink = parse_stream_url(f"redis://{valkey.host}/answers", "--to", {})

        async def kept() -> list[bytes]:
            entries: Any = await client.xrange("answers")
            return [fields[b"body"] for _, fields in entries]

        await check_stream_sink(lambda: open_sink(sink), kept)
        assert len(await kept()) == 300, "the script drops what it has had"
        await client.aclose()

    asyncio.run(run())


@pytest.mark.slow  # beside other tests the mock cluster deals a new group its partitions after a minute, or not at all
def test_kafka_keeps_the_port(kafka: Broker) -> None:
    """Source and sink, over the protocol."""
    from confluent_kafka import Consumer, Producer

    async def run() -> None:
        producer = Producer({"bootstrap.servers": kafka.host})

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                producer.produce("requests", body)
            assert await asyncio.to_thread(producer.flush, 10) == 0

        source = parse_stream_url(f"kafka://{kafka.host}/requests?group=g&retry=1s", "--from", {})
        await check_stream_source(lambda name: open_source(source, name), put)
        sink = parse_stream_url(f"kafka://{kafka.host}/answers", "--to", {})
        reader = Consumer({"bootstrap.servers": kafka.host, "group.id": "check", "auto.offset.reset": "earliest"})
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
        reader.close()

    asyncio.run(run())
