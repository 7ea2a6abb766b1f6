"""What Feast wrote, as it is checked in: see feast/make.py."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from fairlead.testing.brokers import Broker, start_valkey

FEAST = Path(__file__).parent / "feast"


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """The entities that were asked for, and what Feast's own look-up answered, by service."""
    found: dict[str, Any] = json.loads((FEAST / "expected.json").read_text())
    return found


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with its SQLite store."""
    folder = tmp_path / "repo"
    shutil.copytree(FEAST / "repo", folder)
    (folder / "data").mkdir()
    shutil.copyfile(FEAST / "online.db", folder / "data" / "online.db")
    return folder


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Broker]:
    """A real Valkey with a password, and what Feast wrote into another."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = start_valkey(folder, "s3cret")
    host, _, port = server.host.partition(":")
    with Redis(host, int(port), password="s3cret") as client:
        for key, fields in json.loads((FEAST / "redis.json").read_text()).items():
            cells = [bytes.fromhex(part) for pair in fields.items() for part in pair]
            client.execute_command("HSET", bytes.fromhex(key), *cells)
    yield server
    server.stop()


@pytest.fixture
def redis_repo(repo: Path, valkey: Broker) -> Path:
    """The same repository with its store in Valkey."""
    config = repo / "feature_store.yaml"
    sqlite = "  type: sqlite\n  path: data/online.db\n"
    said = config.read_text().replace(sqlite, f"  type: redis\n  connection_string: {valkey.host},password=s3cret\n")
    assert "redis" in said
    config.write_text(said)
    return repo
