"""A stream whose routes are in a PostgreSQL database that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fairlead.app.compose import open_context
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import NotFound, StateError
from fairlead.operations.context import Context
from fairlead.operations.streaming_inference import Said, Streamed, Streaming, StreamingAsked
from fairlead.testing.postgres import PostgresServer

Home = Any  # the fixtures' values: see conftest
Line = Any


@pytest.fixture
def server(new_postgres: Callable[[], PostgresServer]) -> PostgresServer:
    """A server that the test may stop."""
    return new_postgres()


def opened(home: Home, url: str) -> Context:
    """The home, its routes in a database."""
    config: Path = home.path / "fairlead.yaml"
    config.write_text(f"database: {url}\n")
    return open_context(home.path, config)


def publish(context: Context, home: Home, generation: int, version: int) -> None:
    """Publishes a route to one version."""
    route = ModelRoute((Arm("champion", version, 1.0),), {version: home.digests[version]})
    context.board.publish(RouteTable(generation, {"stay": route}))


def stream(context: Context, line: Line, beside: Callable[[Streaming], Any]) -> Streamed:
    """Answers until what is beside it stops it."""

    async def work() -> Streamed:
        streaming = Streaming(context, StreamingAsked("stay", line.source, line.sink, wait=0.2), {})
        task = asyncio.create_task(beside(streaming))
        task.add_done_callback(lambda _: streaming.stop())  # also when it failed
        async with asyncio.timeout(240):
            found = await streaming.run(Said(lambda _: None))
        await task
        return found

    return asyncio.run(work())


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that tells nobody."""
    while not condition():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.02)


def test_a_stream_outlives_its_database(
    server: PostgresServer, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """Stopped under it, the database costs no message: they are answered by the last table. Back, a new table is
    followed. One that starts while it is away goes by what the home keeps."""
    home.put(2)
    context, line = opened(home, server.create()), open_line("redis")
    publish(context, home, 1, 1)

    async def answered(name: str) -> None:
        line.put([make(n, f"{name}-{n}") for n in range(20)])
        await until(lambda: sum(json.loads(body)["request_id"].startswith(name) for body in line.answers()) == 20)

    async def leave(streaming: Streaming) -> None:
        await answered("before")
        await asyncio.to_thread(server.stop)
        with pytest.raises(StateError, match="cannot be used"):
            context.board.current()
        await answered("away")
        await asyncio.sleep(1.5)  # longer than the database is left unasked
        await answered("later")
        await asyncio.to_thread(server.start)
        await until(lambda: is_published(2))
        await until(lambda: any(state.generation == 2 for state in context.board.workers()))
        await answered("after")
        streaming.stop()

    def is_published(version: int) -> bool:
        with suppress(StateError):
            publish(context, home, 2, version)
            return True
        return False

    assert stream(context, line, leave).answered == 80
    assert context.board.workers() == (), "one that ended in order is not missed"
    versions = {one["request_id"]: one["version"] for one in map(json.loads, line.answers())}
    assert {name.partition("-")[0]: version for name, version in versions.items()} == {
        "before": 1, "away": 1, "later": 1, "after": 2}  # fmt: skip

    async def start(streaming: Streaming) -> None:
        await answered("kept")
        streaming.stop()

    server.stop()
    assert stream(context, line, start).answered == 20
    assert [json.loads(body)["version"] for body in line.answers()][-1] == 2


def test_a_stream_does_not_wait_for_its_database(
    postgres: PostgresServer, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """While the database takes questions and answers none, messages are answered; nothing that runs is held up."""
    url = postgres.create()
    context, line = opened(home, url), open_line("redis")
    publish(context, home, 1, 1)
    locks = psycopg.connect(url)
    locks.execute(
        "SET idle_in_transaction_session_timeout = '20s'"
    )  # a stream that waits is let go, and the test fails
    locks.commit()

    async def lock(streaming: Streaming) -> None:
        await until(lambda: bool(context.board.workers()))
        locks.execute("LOCK TABLE fairlead_routes, fairlead_workers IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(1.5)  # longer than the database is left unasked
        line.put([make(n, f"q{n}") for n in range(20)])
        await until(lambda: len(line.answers()) == 20)
        locks.commit()
        streaming.stop()

    with closing(locks):
        assert stream(context, line, lock).answered == 20
    assert context.board.workers() == ()


def test_a_stream_that_knows_no_routes_needs_its_database(home: Home, open_line: Callable[[str], Line]) -> None:
    """It is told once, in the database's own line."""
    context = opened(home, "postgresql://nobody@127.0.0.1:1/none")
    line = open_line("redis")

    async def nothing(_: Streaming) -> None:
        pass

    with pytest.raises(StateError, match=r"127\.0\.0\.1:1/none cannot be used"):
        stream(context, line, nothing)


def test_a_model_that_a_database_does_not_serve_is_told(postgres: PostgresServer, home: Home) -> None:
    """Before anything is opened."""
    context = opened(home, postgres.create())
    with pytest.raises(NotFound, match="no model 'stay' is served"):
        Streaming(context, StreamingAsked("stay", "redis://h/in", "redis://h/out"), {})
