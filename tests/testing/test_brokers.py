"""Brokers on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fairlead.testing.brokers import Broker, MockKafka, start_nats, start_valkey


def test_each_starts_and_stops(tmp_path: Path) -> None:
    """It takes connections once it is there, and none after its end."""
    for broker in (start_nats(tmp_path / "n"), start_valkey(tmp_path), MockKafka("requests")):
        host, _, port = broker.host.partition(":")
        socket.create_connection((host, int(port)), 5.0).close()
        broker.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, int(port)), 5.0)


def test_one_that_does_not_start_is_told() -> None:
    """At once."""
    with pytest.raises(AssertionError, match="false does not start"):
        Broker(["false"], 1)
