"""Homes with a small model that serves, brokers, and what stands on their streams."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.testing.brokers import Broker, MockKafka, start_nats, start_valkey
from fairlead.testing.candidate import Parts, draw, formula_onnx, write_candidate

ROWS = draw(2000, seed=11)[0]
NAMES = ("age", "nights", "city")


class Line(Protocol):
    """A broker with a stream of requests and one of answers."""

    broker: Broker
    source: str
    sink: str

    def put(self, bodies: Sequence[bytes]) -> None:
        """Adds requests."""
        ...

    def answers(self) -> list[bytes]:
        """What is on the sink."""
        ...

    def dead(self) -> list[bytes]:
        """What is on the stream of dead letters."""
        ...

    def end(self) -> None:
        """Stops the broker."""
        ...


class NatsLine:
    """JetStream. Each call is a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self.broker = start_nats(folder)
        self.source = f"nats://{self.broker.host}/requests/requests.new?retry=2s"
        self.sink = f"nats://{self.broker.host}/answers/answers.new"

        async def make(stream: Any, _: Any) -> None:
            await stream.add_stream(name="requests", subjects=["requests.>"])

        self.call(make)

    def call(self, work: Callable[[Any, Any], Any]) -> Any:
        """Runs something over a connection."""

        async def run() -> Any:
            from nats.aio.client import Client

            client = Client()
            await client.connect(f"nats://{self.broker.host}")
            found = await work(client.jetstream(), client)
            await client.close()
            return found

        return asyncio.run(run())

    def put(self, bodies: Sequence[bytes]) -> None:
        """Adds requests."""

        async def work(stream: Any, _: Any) -> None:
            waiting = [await stream.publish_async("requests.new", body) for body in bodies]
            await asyncio.gather(*waiting)

        self.call(work)

    def answers(self) -> list[bytes]:
        """What is on the sink."""
        return self._all("answers")

    def dead(self) -> list[bytes]:
        """What is on the stream of dead letters."""
        return self._all("answers-dead")

    def _all(self, name: str) -> list[bytes]:
        async def work(stream: Any, _: Any) -> list[bytes]:
            from nats.js.errors import NotFoundError

            try:
                left = (await stream.stream_info(name)).state.messages
            except NotFoundError:
                return []
            reader = await stream.pull_subscribe("", durable=None, stream=name)
            found: list[bytes] = []
            while len(found) < left:
                for one in await reader.fetch(min(500, left - len(found)), timeout=10):
                    found.append(one.data)
                    await one.ack()
            return found

        held: list[bytes] = self.call(work)
        return held

    def end(self) -> None:
        """Stops the broker."""
        self.broker.stop()


class RedisLine:
    """Valkey."""

    def __init__(self, folder: Path) -> None:
        from redis import Redis

        self.broker = start_valkey(folder)
        self.source = f"redis://{self.broker.host}/requests?retry=2s"
        self.sink = f"redis://{self.broker.host}/answers"
        self.client = Redis.from_url(f"redis://{self.broker.host}")
        self.client.xadd("requests", {"body": b"{}"})
        self.client.xtrim("requests", 0, approximate=False)

    def put(self, bodies: Sequence[bytes]) -> None:
        """Adds requests."""
        pipeline = self.client.pipeline()
        for body in bodies:
            pipeline.xadd("requests", {"body": body})
        pipeline.execute()

    def answers(self) -> list[bytes]:
        """What is on the sink."""
        return self.read("answers")

    def dead(self) -> list[bytes]:
        """What is on the stream of dead letters."""
        return self.read("answers.dead")

    def read(self, name: str) -> list[bytes]:
        """What is on a stream."""
        entries: Any = self.client.xrange(name)
        return [fields[b"body"] for _, fields in entries]

    def end(self) -> None:
        """Stops the broker."""
        self.client.close()
        self.broker.stop()


class KafkaLine:
    """librdkafka's mock cluster."""

    def __init__(self, _: Path) -> None:
        from confluent_kafka import Producer

        self.broker: Broker = MockKafka("requests", "answers", "answers.dead")
        self.source = f"kafka://{self.broker.host}/requests?retry=2s"
        self.sink = f"kafka://{self.broker.host}/answers"
        self.producer = Producer({"bootstrap.servers": self.broker.host, "log_level": 0})

    def put(self, bodies: Sequence[bytes]) -> None:
        """Adds requests."""
        for body in bodies:
            self.producer.produce("requests", body)
            self.producer.poll(0)
        assert self.producer.flush(20) == 0

    def answers(self) -> list[bytes]:
        """What is on the sink."""
        return self._all("answers")

    def dead(self) -> list[bytes]:
        """What is on the stream of dead letters."""
        return self._all("answers.dead")

    def _all(self, name: str) -> list[bytes]:
        from confluent_kafka import Consumer, TopicPartition

        reader = Consumer({"bootstrap.servers": self.broker.host, "group.id": "reads", "log_level": 0})
        places = [TopicPartition(name, number, 0) for number in range(4)]
        left = sum(reader.get_watermark_offsets(place, 10)[1] for place in places)
        reader.assign(places)
        found: list[bytes] = []
        while len(found) < left:
            found += [one.value() or b"" for one in reader.consume(left - len(found), 1.0)]
        reader.close()
        return found

    def end(self) -> None:
        """Stops the broker."""
        self.producer.purge()
        self.broker.stop()


class BothLine:
    """From JetStream to Valkey."""

    def __init__(self, folder: Path) -> None:
        self._nats, self._redis = NatsLine(folder), RedisLine(folder)
        self.broker: Broker = self._nats.broker
        self.source, self.sink = self._nats.source, self._redis.sink
        self.put = self._nats.put
        self.answers, self.dead = self._redis.answers, self._redis.dead

    def end(self) -> None:
        """Stops both brokers."""
        self._nats.end()
        self._redis.end()


LINES: dict[str, Callable[[Path], Line]] = {"nats": NatsLine, "redis": RedisLine, "kafka": KafkaLine, "both": BothLine}


@pytest.fixture
def open_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Line]]:
    """Starts a broker by name, and stops it at the end."""
    opened: list[Line] = []

    def start(name: str) -> Line:
        line = LINES[name](tmp_path_factory.mktemp(name))
        opened.append(line)
        return line

    yield start
    for line in opened:
        line.end()


class Home:
    """A home with versions of the model `stay`; the first one serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.board = RouteFile(path / "routes")
        self.digests: dict[int, str] = {}
        self.processes: list[subprocess.Popen[str]] = []
        self.put(1)
        self.publish(ModelRoute((Arm("champion", 1, 1.0),), {1: self.digests[1]}))

    def put(self, version: int) -> None:
        """Registers a version in the home's bundles."""
        draft = self.path / f"draft-{version}"
        draft.mkdir(parents=True)
        manifest = write_candidate(draft, Parts(portable=formula_onnx(), model=str(version).encode()))
        self.digests[version] = BundleFolder(self.path / "bundles").put(draft, manifest)

    def publish(self, route: ModelRoute) -> None:
        """Publishes the model's route."""
        self.board.publish(RouteTable(self.board.current().generation + 1, {"stay": route}))

    def records(self) -> list[Prediction]:
        """The log as its readers see it."""
        reader, found = SegmentReader(self.path / "log"), []
        while batch := reader.poll()[0]:
            found += batch
        return found

    def size(self) -> int:
        """Bytes of the log."""
        return sum(path.stat().st_size for path in self.path.glob("log/predictions/*.seg"))

    def logged(self) -> Counter[str]:
        """How often each request stands in the log."""
        return Counter(record.request_id for record in self.records())

    def start(self, line: Line, *options: str, model: str = "stay") -> subprocess.Popen[str]:
        """Runs `fairlead stream` in a process."""
        command = [sys.executable, "-m", "fairlead.app.main", "--home", str(self.path), "stream", model]
        command += ["--from", line.source, "--to", line.sink, "--wait", "200ms", "--json", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def finish(self, line: Line, *options: str, model: str = "stay") -> dict[str, Any]:
        """Runs it until the stream is empty; the summary."""
        return self.summary(self.start(line, "--until-empty", *options, model=model))

    def summary(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """What a process said when it ended by itself."""
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        document: dict[str, Any] = json.loads(out)
        return document

    def end(self) -> None:
        """Leaves no process behind."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose model serves."""
    made = Home(tmp_path / "home")
    yield made
    made.end()


def message(place: int, request_id: str | None = None, **more: Any) -> bytes:
    """A request; with an id of its own or without."""
    own = {} if request_id is None else {"request_id": request_id}
    features = dict(zip(NAMES, ROWS[place % len(ROWS)], strict=True))
    return json.dumps({"features": features, **own, **more}).encode()


@pytest.fixture
def make() -> Callable[..., bytes]:
    """Makes requests."""
    return message


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits until a condition holds."""

    def wait(condition: Callable[[], Any], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not happen"
            time.sleep(0.02)

    return wait
