"""`fairlead demo`. What it plays is loaded only when it is played."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    home: Annotated[Path, typer.Option(help="The demo's own folder; an earlier demo's is replaced.")] = Path(
        ".fairlead/demo"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="Leaves the system up at the end, console included.")] = False,
    aa: Annotated[
        bool, typer.Option("--aa", help="The 'bad' version is the champion itself: nothing may be rolled back.")
    ] = False,
    stride: Annotated[int, typer.Option(min=1, max=20, help="Plays every n-th booking.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout; the story on stderr.")] = False,
) -> None:
    """The whole loop on two years of real hotel bookings, in about a minute."""
    from fairlead.app.demo_run import run_demo

    raise typer.Exit(run_demo(home, keep=keep, aa=aa, stride=stride, json=json))
