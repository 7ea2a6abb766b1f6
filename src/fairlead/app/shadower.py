"""Who answers unseen beside a home's workers: `python -m fairlead.app.shadower --home HOME --worker N --parent FD`.

Candidates that only shadow answer here and nowhere else, at the lowest priority: whatever they do, callers have their
answers. While the route table names no shadow this process is bare: it has loaded next to nothing, and looks at the
table's file. When a rollout's shadows have been gone for a while it leaves, and the supervisor starts a bare one: what
candidates have left in memory goes with them.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.app.shadower_options import Options

LOOK_SECONDS = 0.1
IDLE_SECONDS = 60.0  # without a shadow, before a process that has loaded some leaves
NICE = 10
# As `worker_board`, `route_file` and `segment_frame` have them, which cost 15 MiB to import.
ROUTES, TABLE, PREDICTIONS = "routes", "table.json", "predictions"
DATABASE = "FAIRLEAD_DATABASE"


class _Route(Struct):
    """What is read of a model's route."""

    shadows: list[int] = []


class _Table(Struct):
    """What is read of the route table."""

    models: dict[str, _Route] = {}


def parse(arguments: list[str]) -> Options:
    """Reads the command line. A worker's other options are passed over: they are about callers."""
    parser = argparse.ArgumentParser(prog="fairlead.app.shadower", description="Answers unseen.", allow_abbrev=False)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--worker", type=int, required=True)
    parser.add_argument("--parent", type=int, help="the read end of a pipe that the parent holds open")
    parser.add_argument("--trust", action="append", default=[], help="a model format that may run code when loaded")
    parser.add_argument("--features", default="{}", help="look-ups by model as JSON")
    parser.add_argument("--observing", default="{}", help="lines and traces as JSON")
    parser.add_argument("--database", action="store_true", help="follow the route board in $FAIRLEAD_DATABASE")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds without a shadow, then it leaves")
    return Options(**vars(parser.parse_known_args(arguments)[0]))


def stand_by(options: Options) -> bool:
    """Returns whether a shadow is to answer; False once the parent is gone."""
    path, seen = _table(options), (0, 0, 0)
    while True:
        try:
            found = path.stat()
        except OSError:
            found = None
        now = (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else (0, 0, 0)
        if now != seen:
            if _is_shadowed(path):
                return True
            seen = now
        if select.select([options.parent] if options.parent is not None else [], [], [], LOOK_SECONDS)[0]:
            return False


def log_ends(log: Path) -> dict[str, int]:
    """How far the log reaches now: the size of each segment of the predictions."""
    ends = {}
    with suppress(OSError), os.scandir(log / PREDICTIONS) as entries:
        for entry in entries:
            with suppress(OSError):
                ends[f"{PREDICTIONS}/{entry.name}"] = entry.stat().st_size
    return ends


def _table(options: Options) -> Path:
    """The route table's file: with a database, what the workers of this home have last seen there."""
    folder = options.home / ROUTES
    if options.database:
        from fairlead.config.database import DatabaseUrl

        folder /= DatabaseUrl(os.environ.get(DATABASE, "")).tag
    return folder / TABLE


def _is_shadowed(path: Path) -> bool:
    try:
        table = msgspec.json.decode(path.read_bytes(), type=_Table)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False  # absent, or damaged: the workers say so
    return any(route.shadows for route in table.models.values())


def main(arguments: list[str] | None = None) -> None:
    """The process."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C goes to the supervisor, which stops this in order
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.nice(NICE)  # and less once candidates are loaded: see `shadowing`
    if stand_by(options):
        ends = log_ends(options.home / "log")  # what is answered from here on is shadowed, however long loading takes
        from fairlead.app.shadowing import run

        run(options, ends)


if __name__ == "__main__":
    main()
