"""What is Kafka's own: partitions, offsets, and a broker that answers nothing."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import Producer

from fairlead.adapters.streams import kafka as adapter
from fairlead.adapters.streams.kafka import KafkaSink, KafkaSource
from fairlead.config.stream_url import StreamUrl, parse_stream_url
from fairlead.errors import StateError, UsageError
from fairlead.ports.stream import Message, TooLarge
from fairlead.testing.brokers import Broker, MockKafka


def source_of(broker: Broker, topic: str, more: str = "") -> StreamUrl:
    """A source's place."""
    return parse_stream_url(f"kafka://{broker.host}/{topic}?group=g{more}", "--from", {})


def test_a_topic_that_is_not_there_is_told(kafka: Broker) -> None:
    """A source does not make it."""

    async def run() -> None:
        source = KafkaSource(source_of(kafka, "nope"))
        with pytest.raises(UsageError, match="there is no topic nope"):
            await source.lag()
        with pytest.raises(UsageError, match="there is no topic nope"):
            await source.read(1, 0.1)
        await source.close()

    asyncio.run(run())


def test_a_sink_s_topic_is_made(kafka: Broker) -> None:
    """Where the broker lets it."""

    async def run() -> None:
        sink = KafkaSink(parse_stream_url(f"kafka://{kafka.host}/made", "--to", {}))
        await sink.write([Message("a", b"1")])
        await sink.close()
        source = KafkaSource(source_of(kafka, "made"))
        assert await source.lag() == 1
        await source.close()

    asyncio.run(run())


def test_a_message_above_the_limit_never_fits(kafka: Broker) -> None:
    """And what fits goes on."""

    async def run() -> None:
        sink = KafkaSink(parse_stream_url(f"kafka://{kafka.host}/answers", "--to", {}))
        with pytest.raises(TooLarge, match="no message of this size"):
            await sink.write([Message("a", b"x" * 2**21)])
        await sink.write([Message("a", b"1")])
        await sink.close()

    asyncio.run(run())


@pytest.mark.slow  # the mock cluster deals a group its partitions after a minute
def test_a_group_counts_all_partitions(kafka: Broker) -> None:
    """By what was committed, from where the group begins."""
    producer = Producer({"bootstrap.servers": kafka.host})
    for n in range(40):
        producer.produce("empty", b"%d" % n, partition=n % 4)
    assert producer.flush(10) == 0

    async def run() -> None:
        source, new = KafkaSource(source_of(kafka, "empty")), KafkaSource(source_of(kafka, "empty", "2&start=new"))
        assert (await source.lag(), await new.lag()) == (40, 0)
        found = await source.read(100, 20.0)
        while len(found) < 40:
            found += await source.read(100, 1.0)
        assert {one.id.split(":")[2] for one in found} == {"0", "1", "2", "3"}
        assert all(one.attempt is None for one in found), "what lay there may have been handed out before"
        await source.done([one for one in found if one.id.split(":")[2] == "0"])
        assert await source.lag() == 30
        for one in (source, new):
            await one.close()

    asyncio.run(run())


def test_a_broker_that_answers_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands still: what was to be written is written once it goes on, by the same call again."""
    broker = MockKafka("answers")

    async def run() -> None:
        sink = KafkaSink(parse_stream_url(f"kafka://{broker.host}/answers", "--to", {}))
        await sink.write([Message("a", b"1")])
        broker.pause()
        with monkeypatch.context() as hasty:
            hasty.setattr(adapter, "ANSWER_SECONDS", 1.0)
            with pytest.raises(StateError, match=r"did not take the messages within 1 s|is away"):
                await sink.write([Message("b", b"2")])
        broker.resume()
        for _ in range(20):
            try:
                await sink.write([Message("b", b"2")])
            except StateError:
                continue
            break
        await sink.close()
        source = KafkaSource(source_of(broker, "answers"))
        assert await source.lag() >= 2
        await source.close()

    try:
        asyncio.run(run())
    finally:
        broker.stop()
