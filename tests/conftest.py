"""What tests of several packages share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fairlead.testing.postgres import PostgresServer

# How long an example takes, or its drawing, is the machine's business: properties are about what holds. A change is
# held to the same examples each time; by hand there are new ones.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("untimed"), derandomize=True, database=None)
settings.load_profile("same" if os.environ.get("CI") else "untimed")

# Read when MLflow is imported, which tests that use it themselves do before fairlead could.
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Starts PostgreSQL servers, and stops them at the end."""
    servers: list[tuple[PostgresServer, Path]] = []

    def start() -> PostgresServer:
        # Not below pytest's own folder: the server runs as another user, and a socket's path must be short.
        folder = Path(tempfile.mkdtemp(prefix="fairlead-pg-"))
        server = PostgresServer(folder)
        servers.append((server, folder))
        server.start()
        return server

    yield start
    for server, folder in servers:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(new_postgres: Callable[[], PostgresServer]) -> PostgresServer:
    """A PostgreSQL server that all tests use, each in databases of its own; nobody stops it."""
    return new_postgres()
