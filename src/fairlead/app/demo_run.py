"""The demo: composes a home of its own, plays the story against a real `fairlead up`, and sums it up."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from fairlead.app.compose import open_context
from fairlead.errors import StateError
from fairlead.faces.cli.output import emit_json
from fairlead.faces.demo import report, story
from fairlead.faces.demo.bookings import Bookings
from fairlead.faces.demo.home import MODEL, make_home
from fairlead.faces.demo.stage import Facts, Play, running
from fairlead.faces.demo.summary import Run, Summary, summarise
from fairlead.faces.demo.traffic import Traffic
from fairlead.operations import rollouts

# The worker dies here in the traffic: well inside the first challenger's life, with months to go.
_KILL_AFTER = 0.5
_PIPE_WIDTH = 160


def run_demo(home: Path, *, keep: bool, aa: bool, stride: int, json: bool) -> int:
    """Plays the whole story and prints its summary. Returns the exit code: 0 when every promise was kept."""
    logging.getLogger("fairlead").setLevel(logging.ERROR)
    started = time.monotonic()
    config, port, control_port = make_home(home, aa=aa, stride=stride)
    context = open_context(home, config)
    console = f"http://127.0.0.1:{control_port}"
    terminal = Console(file=sys.stderr if json else sys.stdout, highlight=False)
    if not terminal.is_terminal:
        terminal.width = _PIPE_WIDTH
    with _progress(terminal) as (say, advance, total):
        bookings = Bookings(stride)
        total(bookings.requests)
        trainer = context.open_trainer()
        assert trainer is not None
        cast = story.Cast(context, bookings, trainer, say, aa)
        version = story.train_first(cast)
        rollouts.deploy(context, f"{MODEL}@{version}", reason="the first version")
        with running(context.home, config, keep=keep) as process:
            say(f"gateway on http://127.0.0.1:{port}, console on {console}")
            facts = Facts(context)
            traffic = Traffic("127.0.0.1", port)
            played = asyncio.run(_play(cast, traffic, facts, advance))
            run = Run(played.workers_killed, time.monotonic() - started, console, process.pid)
            document = summarise(context, facts, bookings, traffic.tally, run)
            if process.poll() is not None:
                raise StateError(f"`fairlead up` left with {process.returncode} during the demo: see {home}/up.log")
    emit_json(document) if json else report.show(document, terminal, keep=keep)
    return _exit(document, aa=aa)


async def _play(cast: story.Cast, traffic: Traffic, facts: Facts, advance: Callable[[int], None]) -> Play:
    play = Play(cast.bookings, traffic, cast.context, advance)
    await play.ready()
    try:
        await story.play(cast, play, facts, kill_at=int(cast.bookings.requests * _KILL_AFTER))
        await story.finished(facts)
    finally:
        traffic.close()
    return play


def _exit(document: Summary, *, aa: bool) -> int:
    """0 when the loop did what it promises: nothing lost, and the bad version (and only it) rolled back."""
    rolled_back = [one for one in document.rollouts if one.outcome == "rolled_back"]
    kept_promises = (
        document.predictions_lost == 0
        and document.predictions_answered == document.predictions_requested
        and document.non_2xx == 0
        and len(rolled_back) == (0 if aa else 1)
    )
    return 0 if kept_promises else 1


Parts = tuple[Callable[[str], None], Callable[[int], None], Callable[[int], None]]


@contextmanager
def _progress(terminal: Console) -> Iterator[Parts]:
    """What says a line, advances the bar, and sets its total. In a pipe there is no bar."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    )
    with bar:
        task = bar.add_task("live traffic, Nov 2015 - Aug 2017", total=None)
        yield (
            lambda line: bar.console.print(f"  {line}", markup=False, soft_wrap=True),
            lambda steps: bar.advance(task, steps),
            lambda total: bar.update(task, total=total),
        )
