"""The broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fairlead.errors import StateError
from fairlead.ports.stream import Message, TooLarge
from fairlead.testing.log import make_prediction
from fairlead.testing.stream import (
    MemoryAnswers,
    MemoryStream,
    check_answers,
    check_stream_sink,
    check_stream_source,
)


def test_keeps_the_ports() -> None:
    """It is a source, and it is a sink."""

    async def run() -> None:
        source, sink = MemoryStream(), MemoryStream()

        async def over() -> None:
            source.again()

        async def put(bodies: Sequence[bytes]) -> None:
            for body in bodies:
                source.put(body)

        async def kept() -> list[bytes]:
            return [one.body for one in sink.kept]

        await check_stream_source(lambda _: source, put, over)
        await check_stream_sink(lambda: sink, kept)

    asyncio.run(run())


def test_knows_records() -> None:
    """Those it was given, and those that are late once it was told to catch up."""
    record = make_prediction("a")
    check_answers(MemoryAnswers([record]), record, "b")
    answers = MemoryAnswers()
    answers.late = [record]
    assert answers.find("a") is None
    check_answers(answers, record, "b")


def test_it_fails_on_demand() -> None:
    """As a lost broker does, and as one that takes no long message."""
    stream = MemoryStream([b"a"])
    stream.away = True
    with pytest.raises(StateError, match="away"):
        asyncio.run(stream.read(1, 0.0))
    stream.away, stream.most = False, 3
    with pytest.raises(TooLarge, match="at most 3 bytes"):
        asyncio.run(stream.write([Message("a", b"long")]))
