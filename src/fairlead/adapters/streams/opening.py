"""A source or a sink by its URL."""

from __future__ import annotations

from fairlead.config.stream_url import StreamUrl
from fairlead.ports.stream import StreamSink, StreamSource


def open_source(url: StreamUrl, name: str) -> StreamSource:
    """A source; it connects when it is first asked. `name` is this process's own among those of its group."""
    if url.broker == "nats":
        from fairlead.adapters.streams.nats import NatsSource

        return NatsSource(url)
    if url.broker == "redis":
        from fairlead.adapters.streams.redis import RedisSource

        return RedisSource(url, name)
    from fairlead.adapters.streams.kafka import KafkaSource

    return KafkaSource(url)


def open_sink(url: StreamUrl) -> StreamSink:
    """A sink; it connects when it is first asked."""
    if url.broker == "nats":
        from fairlead.adapters.streams.nats import NatsSink

        return NatsSink(url)
    if url.broker == "redis":
        from fairlead.adapters.streams.redis import RedisSink

        return RedisSink(url)
    from fairlead.adapters.streams.kafka import KafkaSink

    return KafkaSink(url)
