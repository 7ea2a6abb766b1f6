"""The route board as a worker follows it, and how a worker is told where it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.adapters.route_file import RouteFile
from fairlead.app.known_types import IN_WORKER, learn
from fairlead.config.database import DatabaseUrl
from fairlead.errors import SettingsError
from fairlead.ports import RouteBoard

if TYPE_CHECKING:
    from fairlead.adapters.followed_board import FollowedBoard

# The URL is no argument: every user of the machine can see those.
VARIABLE = "FAIRLEAD_DATABASE"
OPTION = "--database"
ROUTES = "routes"  # the folder in the home


def worker_board(home: Path, environment: Mapping[str, str], *, database: bool) -> RouteBoard:
    """The board of a home: a file, or a view of the database's that never waits for it. Raises `SettingsError` when
    there should be a database and the environment does not name it."""
    learn(IN_WORKER)  # before the threads that load bundles and follow the board
    if not database:
        return RouteFile(home / ROUTES)
    url = DatabaseUrl(environment.get(VARIABLE, ""))
    if not url:
        raise SettingsError(f"{OPTION} needs the database's URL in {VARIABLE}: set it, as `fairlead up` does")
    return _followed(home, url, "worker")


def follow_board(home: Path, url: DatabaseUrl) -> AbstractContextManager[RouteBoard]:
    """The same for a command that answers like a worker, until its end."""
    learn(IN_WORKER)
    return closing(_followed(home, url, "stream")) if url else nullcontext(RouteFile(home / ROUTES))


def hand_down(url: DatabaseUrl) -> list[str]:
    """What a worker's command line says of the database; its URL is put where child processes find it."""
    if not url:
        return []
    os.environ[VARIABLE] = url.reveal()
    return [OPTION]


def place_of(home: Path) -> str:
    """What tells the workers of one machine and home from others."""
    return f"{socket.gethostname()}:{home}"


def _followed(home: Path, url: DatabaseUrl, purpose: str) -> FollowedBoard:
    from fairlead.adapters.followed_board import FollowedBoard  # not where routes are in a file
    from fairlead.adapters.postgres_database import Database

    return FollowedBoard(Database(url, purpose), place_of(home), RouteFile(home / ROUTES / url.tag))
