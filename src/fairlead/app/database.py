"""What a home has in a database: its journal, its route board, and which controller leads.

Without one all of it is in the home folder, and the folder's lock says who leads.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fairlead.adapters.postgres_board import PostgresBoard
from fairlead.adapters.postgres_database import Database
from fairlead.adapters.postgres_journal import PostgresJournal
from fairlead.adapters.postgres_lease import PostgresLease
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.app.worker_board import ROUTES, place_of
from fairlead.config.database import DatabaseUrl
from fairlead.operations.context import Context
from fairlead.ports import Journal, RouteBoard


def open_journal(home: Path, url: DatabaseUrl) -> Journal:
    """The home's journal. A database is not asked before something is read or written."""
    return PostgresJournal(Database(url, "journal")) if url else SqliteJournal(home / "journal.db")


def open_board(home: Path, url: DatabaseUrl) -> RouteBoard:
    """The home's route board, as the controller and the commands use it."""
    return PostgresBoard(Database(url, "routes"), place_of(home)) if url else RouteFile(home / ROUTES)


def open_lease(context: Context) -> PostgresLease | None:
    """What the controllers of a database compete for; None where the home's lock decides."""
    url = context.settings.database
    return PostgresLease(Database(url, "lease"), f"{place_of(context.home)}, pid {os.getpid()},") if url else None


def fenced(context: Context, lease: PostgresLease) -> Context:
    """What a leader works with: the database refuses whatever it writes after it has lost the lead."""
    url = context.settings.database
    journal = PostgresJournal(Database(url, "leader's journal"), lease)
    board = PostgresBoard(Database(url, "leader's routes"), place_of(context.home), lease)
    return replace(context, journal=journal, board=board)
