"""Brokers for the adapters' tests, one of each kind for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.testing.brokers import Broker, MockKafka, start_nats, start_valkey


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A NATS server."""
    broker = start_nats(tmp_path_factory.mktemp("nats"))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Valkey server."""
    broker = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka() -> Iterator[MockKafka]:
    """The mock cluster."""
    broker = MockKafka("requests", "answers", "empty")
    yield broker
    broker.stop()
