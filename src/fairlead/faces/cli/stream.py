"""stream: answers to the messages of a broker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Annotated

import typer

from fairlead.config.grammar import duration
from fairlead.core.listing import counted
from fairlead.faces.cli.options import read_as
from fairlead.faces.cli.output import emit_json, progress, say
from fairlead.faces.cli.session import opened
from fairlead.operations.streaming_inference import Said, Streamed, Streaming, StreamingAsked

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout when it ends.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(stream)


def stream(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="NAME[@V]", help="A served model, by its route; or one version of it, as in NAME@3."),
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL",
            help="Where requests come from: nats://HOST/STREAM/SUBJECT, redis://HOST/STREAM or kafka://HOST/TOPIC; "
            "?group=NAME says which consumer group reads.",
        ),
    ],
    sink: Annotated[str, typer.Option("--to", metavar="URL", help="Where answers go, of the same broker or another.")],
    dead_letter: Annotated[
        str,
        typer.Option(metavar="URL", help="Where messages go that have no answer [default: beside --to, as NAME.dead]."),
    ] = "",
    batch: Annotated[int, typer.Option(metavar="N", help="Messages that are read and answered at a time.")] = 256,
    wait: Annotated[str, typer.Option(metavar="TIME", help="How long a read waits for the first message.")] = "1s",
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="Ends when every message of the group is done.")
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serves /metrics for Prometheus on loopback; 0 takes a free port."),
    ] = None,
    json: Json = False,
) -> None:
    """Answers the messages of a broker: each is logged once, and its answer sent at least once.

    A message is {"features": {...}, "request_id"?, "unit_id"?, "timestamp"?}. SIGTERM and Ctrl-C finish what is in
    hand.
    """
    asked = StreamingAsked(
        model=model,
        source=source,
        sink=sink,
        dead_letter=dead_letter,
        batch=batch,
        wait=read_as(duration, "--wait", wait),
        until_empty=until_empty,
        metrics_port=metrics_port,
    )
    streaming = Streaming(opened(context), asked, os.environ)
    with progress(f"streaming {model}") as told:
        found = _run(streaming, Said(_tell, told))
    emit_json(found) if json else _show(found)


def _run(streaming: Streaming, said: Said) -> Streamed:
    import uvloop

    async def work() -> Streamed:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, streaming.stop)
        return await streaming.run(said)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def _tell(line: str) -> None:
    """A line about the work, on stderr: a stream that waits for a broker must say so, in a pipe too."""
    sys.stderr.write(f"fairlead: {line}\n")
    sys.stderr.flush()


def _show(found: Streamed) -> None:
    version = "" if found.version is None else f"@{found.version}"
    speed = f"{found.seconds:.1f} s, {found.messages_per_second:,.0f} messages/s"
    say(f"{found.model}{version} answered {counted(found.answered, 'message')} of {found.source} to {found.sink}")
    lag = "" if found.lag is None else f"; {found.lag:,} not done yet"
    say(f"{speed}{lag}")
    if found.fell_back:
        say(f"fell back: {found.fell_back:,} of them, see `fallback` and `reason` in their answers")
    if found.dead:
        say(f"without an answer: {found.dead:,}, {found.failed:,} of them failed in the model; see {found.dead_letter}")
    if found.duplicate or found.redelivered:
        say(f"came again: {found.redelivered:,}; answered before: {found.duplicate:,}, "
            f"{found.republished:,} of them sent again")  # fmt: skip
    away = {side: times for side, times in found.interrupted.items() if times}
    if away:
        say("away: " + ", ".join(f"{side.replace('_', ' ')} {times}x" for side, times in away.items()))
