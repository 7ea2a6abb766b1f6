"""Streaming inference over real brokers, in this process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.adapters.streams import kafka, nats
from fairlead.app.compose import open_context
from fairlead.core.route import SHADOWER, Arm, ModelRoute, choose
from fairlead.errors import FairleadError, NotFound, Refused, SettingsError, StateError, UsageError
from fairlead.operations import streaming_inference
from fairlead.operations.context import Context
from fairlead.operations.streaming_inference import Said, Streamed, Streaming, StreamingAsked
from fairlead.ports.routes import WorkerState
from fairlead.testing.loopback import own_port
from fairlead.testing.registry import MemoryRegistry

Home = Any  # the fixtures' values: see conftest
Line = Any


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that tells nobody."""
    while not condition():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.02)


async def until_answered(line: Line, count: int) -> None:
    """Waits until so many answers are on the sink: they are in the log before. (It may be asked from a thread only.)"""
    while len(set(await asyncio.to_thread(line.answers))) < count:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.02)


class Ran:
    """Runs streams in this process, with something beside them."""

    def __init__(self, home: Home) -> None:
        registry = MemoryRegistry()
        self.context: Context = replace(open_context(home.path), open_registry=lambda: registry)
        for version, digest in home.digests.items():
            assert registry.register(self.context.bundles.manifest(digest), digest, self.context.bundles.path(digest))
            assert version
        self.said: list[str] = []

    def __call__(self, asked: StreamingAsked, *beside: Callable[[Streaming], Any]) -> Streamed:
        """The summary."""
        streaming = Streaming(self.context, asked, {})

        async def work() -> Streamed:
            tasks = [asyncio.create_task(one(streaming)) for one in beside]
            async with asyncio.timeout(120):
                found = await streaming.run(Said(self.said.append))
            for task in tasks:
                await task
            return found

        return asyncio.run(work())


@pytest.fixture
def ran(home: Home) -> Any:
    """What runs a stream over the home."""
    home.put(2)
    made = Ran(home)
    yield made
    assert isinstance(made.context.journal, SqliteJournal)
    made.context.journal.close()


def asked(line: Line, model: str = "stay", **more: Any) -> StreamingAsked:
    """What drains a line."""
    return StreamingAsked(model, line.source, line.sink, wait=0.2, **{"until_empty": True, **more})


@pytest.mark.parametrize("name", ["nats", "redis", "kafka"])
def test_a_stream_is_drained(
    ran: Ran, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes], name: str
) -> None:
    """Each broker: answers by request id, poison beside it with its reason, the log as a gateway writes it, and what is
    drained stays drained."""
    line = open_line(name)
    line.put([make(0, "a", unit_id="u"), b"{", make(1), make(2, "a", unit_id="u")])  # whichever of both is first
    found = ran(asked(line))
    answers = {one["request_id"]: one for one in map(json.loads, line.answers())}
    derived = next(request_id for request_id in answers if request_id != "a")
    assert derived.startswith(f"{name}:requests:")
    assert set(answers["a"]) == {"request_id", "model", "version", "arm", "prediction", "probabilities"}
    assert (answers["a"]["model"], answers["a"]["version"], answers["a"]["arm"]) == ("stay", 1, "champion")
    (letter,) = map(json.loads, line.dead())
    assert (letter["body"], letter["status"], letter["path"]) == ("{", 400, "")
    assert {one.request_id: one.unit_id for one in home.records()} == {"a": "u", derived: derived}
    assert (found.read, found.answered, found.dead, found.duplicate, found.lag) == (4, 2, 1, 1, 0)
    again = ran(asked(line))
    assert (again.read, again.lag, len(line.answers())) == (0, 0, 2)


def test_a_change_of_the_route_takes_effect_while_it_runs(
    ran: Ran, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """Units go where the table deals them; the worker reports what it runs, as a gateway's does."""
    line = open_line("redis")
    reported: list[WorkerState] = []
    canary = ModelRoute((Arm("canary", 2, 0.4), Arm("champion", 1, 0.6)), dict(home.digests), salt="r1")

    async def change(streaming: Streaming) -> None:
        line.put([make(n, f"one-{n}", unit_id=f"u{n}") for n in range(50)])
        await until(lambda: len(home.records()) >= 50)
        home.publish(canary)
        await until(lambda: any(state.generation == 2 for state in home.board.workers()))
        line.put([make(n, f"two-{n}", unit_id=f"u{n}") for n in range(50)])
        await until_answered(line, 100)
        reported.extend(home.board.workers())
        streaming.stop()

    found = ran(asked(line, until_empty=False), change)
    records = {one.request_id: one for one in home.records()}
    assert {records[f"one-{n}"].model_version for n in range(50)} == {1}
    for n in range(50):
        route = choose(canary, f"u{n}")
        record = records[f"two-{n}"]
        assert (record.model_version, record.arm, record.propensity, record.rollout) == (
            route.version, route.arm, route.propensity, "r1")  # fmt: skip
    assert {records[f"two-{n}"].model_version for n in range(50)} == {1, 2}
    assert (found.answered, found.version) == (100, None)
    (state,) = reported
    assert home.board.workers() == (), "one that ended in order is not missed"
    assert (state.worker, state.versions) == (9000, {"stay": [1, 2]})


def test_a_shadow_answers_beside_it(
    ran: Ran, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """Who answers unseen follows a stream as it does a worker: its records are in the log, its answers on no sink."""
    line = open_line("redis")
    home.publish(ModelRoute((Arm("champion", 1, 1.0),), dict(home.digests), shadows=(2,), salt="r1"))
    command = [sys.executable, "-m", "fairlead.app.shadower", "--home", str(home.path), "--worker", str(SHADOWER)]
    process = subprocess.Popen(command)

    async def end(streaming: Streaming) -> None:
        await until((home.path / "workers" / f"{SHADOWER}.json").exists)
        line.put([make(n, f"q{n}") for n in range(20)])
        await until(lambda: len(home.records()) >= 40)
        streaming.stop()

    try:
        ran(asked(line, until_empty=False), end)
    finally:
        process.terminate()
        process.wait(60)
    shadows = {one.request_id for one in home.records() if one.shadow_of == 1}
    assert shadows == {f"q{n}" for n in range(20)}
    assert len(line.answers()) == 20


def test_a_version_that_is_named_answers_alone(
    ran: Ran, open_line: Callable[[str], Line], home: Home, make: Callable[..., bytes]
) -> None:
    """Whatever the route says, and whether or not another version has answered the same requests before."""
    line = open_line("redis")
    line.put([make(n, f"q{n}") for n in range(5)])
    ran(asked(line))
    other = StreamingAsked("stay@2", line.source + "&group=again", line.sink + "2", wait=0.2, until_empty=True)
    found = ran(other)
    assert (found.version, found.answered, found.duplicate) == (2, 5, 0)
    pinned = [one for one in home.records() if one.arm == "pinned"]
    assert {one.model_version for one in pinned} == {2}
    assert len(pinned) == 5
    repeated = ran(structs_replaced(other, source=line.source + "&group=third"))
    assert (repeated.answered, repeated.duplicate, repeated.republished) == (0, 5, 5)


def structs_replaced(one: StreamingAsked, **changes: Any) -> StreamingAsked:
    """The same with changes."""
    from msgspec.structs import replace as replaced

    return replaced(one, **changes)


def test_several_processes_share_a_group(
    ran: Ran, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """Each has segments and a name of its own; together each message once."""
    line = open_line("nats")
    line.put([make(n, f"q{n}") for n in range(600)])
    put = 600

    def workers() -> set[str]:
        return {path.name[:5] for path in (home.path / "log" / "predictions").glob("*.seg")}

    async def more(streaming: Streaming, other: Streaming) -> None:
        nonlocal put
        while len(workers()) < 2:  # one may have had all that there was before the other began
            await asyncio.to_thread(line.put, [make(n, f"q{n}") for n in range(put, put + 40)])
            put += 40
        await until_answered(line, put)
        streaming.stop()
        other.stop()

    async def second(streaming: Streaming) -> None:
        other = Streaming(ran.context, asked(line, batch=20, until_empty=False), {})
        putting = asyncio.create_task(more(streaming, other))
        await other.run(Said(ran.said.append))
        await putting

    ran(asked(line, batch=20, until_empty=False), second)
    assert len(home.logged()) == put
    assert max(home.logged().values()) == 1
    assert len(line.answers()) == put
    assert workers() == {"w9000", "w9001"}


def test_the_metrics_tell_lag_and_results(
    ran: Ran, open_line: Callable[[str], Line], make: Callable[..., bytes]
) -> None:
    """On loopback, while it runs."""
    line = open_line("redis")
    line.put([make(0), b"{"])
    seen: list[str] = []
    named = 'model_name="stay",group="fairlead-stay"'

    async def scrape(streaming: Streaming) -> None:
        await until(lambda: any(line.startswith("metrics at ") for line in ran.said))
        url = next(line for line in ran.said if line.startswith("metrics at ")).removeprefix("metrics at ")
        wanted = ('result="answered"} 1', 'result="dead"} 1', f"fairlead_stream_lag{{{named}}} 0")
        async with httpx.AsyncClient(timeout=60.0) as http:
            while not seen or any(one not in seen[-1] for one in wanted):
                seen.append((await http.get(url)).text)
                await asyncio.sleep(0.02)
        streaming.stop()

    ran(asked(line, until_empty=False, metrics_port=0), scrape)  # the lag is told once it was measured
    assert f'fairlead_stream_messages_total{{{named},result="answered"}} 1' in seen[-1]
    assert f'fairlead_stream_reconnects_total{{{named},side="sink"}} 0' in seen[-1]


@pytest.mark.parametrize("name", ["nats", "redis"])
def test_a_broker_that_restarts_is_waited_for(
    ran: Ran, home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes], name: str
) -> None:
    """It is away as source and as sink; nothing is lost, and it is told."""
    line = open_line(name)
    line.put([make(n, f"one-{n}") for n in range(20)])

    async def restart(streaming: Streaming) -> None:
        await until(lambda: len(home.records()) >= 20)
        await asyncio.to_thread(line.broker.stop)
        await until(lambda: any("away" in said for said in ran.said))
        await asyncio.to_thread(line.broker.start)
        await until(lambda: any("back after" in said for said in ran.said))
        await asyncio.to_thread(line.put, [make(n, f"two-{n}") for n in range(20)])
        await until_answered(line, 40)
        streaming.stop()

    found = ran(asked(line, until_empty=False), restart)
    assert sum(found.interrupted.values()) >= 1
    assert len(home.logged()) == 40
    assert {json.loads(body)["request_id"] for body in line.answers()} == set(home.logged())


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": "motel"}, NotFound, "no model 'motel' is served"),
        ({"model": "stay@9"}, NotFound, "stay has no version 9"),
        ({"model": "stay@"}, UsageError, "stay@"),
        ({"source": "redis://h"}, SettingsError, "--from: the URL names no stream"),
        ({"sink": "redis://h/x?group=g"}, SettingsError, "--to: redis has no option 'group' here"),
        ({"dead_letter": "ftp://h/x"}, SettingsError, "--dead-letter: there is no broker 'ftp'"),
        ({"sink": "redis://h/in"}, Refused, "--to is the stream that is read"),
        ({"dead_letter": "redis://h/in"}, Refused, "--dead-letter is the stream that is read"),
        ({"dead_letter": "redis://h/out"}, Refused, "--dead-letter is the stream of the answers"),
        ({"batch": 0}, UsageError, "--batch is 0: from 1 to 10000"),
        ({"wait": 0.0}, UsageError, "--wait is 0 s"),
        ({"wait": 90.0}, UsageError, "at most 60 s"),
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_is_opened(
    ran: Ran, changes: dict[str, Any], error: type[FairleadError], said: str
) -> None:
    """With the option and the fix."""
    wrong = structs_replaced(StreamingAsked("stay", "redis://h/in", "redis://h/out"), **changes)
    with pytest.raises(error) as caught:
        Streaming(ran.context, wrong, {})
    assert said in str(caught.value)


def test_a_broker_that_is_not_there_is_told(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while: it may be starting too."""
    monkeypatch.setattr(streaming_inference, "START_SECONDS", 0.2)
    monkeypatch.setattr(nats, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(nats, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(kafka, "CONNECT_SECONDS", 1.0)
    port = own_port()
    for scheme, path in (("redis", "x"), ("nats", "S/a"), ("kafka", "t")):
        given = StreamingAsked("stay", f"{scheme}://127.0.0.1:{port}/{path}", f"{scheme}://127.0.0.1:{port}/{path}2")
        with pytest.raises(StateError, match=f"127.0.0.1:{port} is away"):
            ran(given)


def test_a_home_that_is_full_of_streams_is_told(ran: Ran, tmp_path: Path) -> None:
    """The folder of their seats cannot be made."""
    (ran.context.home / "streams").write_text("")
    with pytest.raises(StateError, match="streams"):
        ran(StreamingAsked("stay", "redis://h/in", "redis://h/out"))
