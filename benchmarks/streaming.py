"""Streaming inference: messages a second and CPU time a message, against a plain loop over the same client and model.

A gradient boosting classifier of 100 trees over 20 numeric columns, served as ONNX; one row of JSON a message; batches
of 256; brokers on loopback (a real NATS server, a real Valkey, librdkafka's mock of the Kafka protocol). Each figure is
a fresh process of one thread for the model; time and CPU are those of the process from its first read to its last
acknowledgement, without imports and loading, and without the broker's own.

`fairlead` checks the contract, follows the route table, logs every record, remembers ids and buries poison. The plain
loop reads a batch, parses JSON into a matrix, calls ONNX Runtime, sends the answers, waits and acknowledges.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COLUMNS, BATCH = 20, 256
NAMES = [f"x{place}" for place in range(COLUMNS)]


def prepare(folder: Path) -> None:
    """A home with the model in it, served."""
    from benchmarks.scoring import prepare as registered
    from fairlead.adapters.route_file import RouteFile
    from fairlead.core.route import Arm, ModelRoute, RouteTable

    registered(folder, 1_000)
    (bundle,) = (path.name for path in (folder / "home" / "bundles").iterdir() if len(path.name) == 64)
    RouteFile(folder / "home" / "routes").publish(
        RouteTable(1, {"m": ModelRoute((Arm("champion", 1, 1.0),), {1: bundle})})
    )


def bodies(count: int, run: str) -> list[bytes]:
    """Messages, whose ids no other run has: what was answered before is not answered again."""
    import numpy as np

    rows = np.random.default_rng(1).normal(size=(min(count, 5_000), COLUMNS))
    drawn = [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]
    return [json.dumps({"features": drawn[n % len(drawn)], "request_id": f"{run}-{n}"}).encode() for n in range(count)]


# -- the brokers: how they are filled, and the plain loops ---------------------------------------------------------


def fill_nats(host: str, name: str, messages: Sequence[bytes]) -> tuple[str, str]:
    """Source and sink."""

    async def run() -> None:
        import nats

        client = await nats.connect(f"nats://{host}")
        stream = client.jetstream()
        await stream.add_stream(name=name, subjects=[name])
        await stream.add_stream(name=f"{name}-out", subjects=[f"{name}.out"])
        for start in range(0, len(messages), 1_000):
            sent = [await stream.publish_async(name, body) for body in messages[start : start + 1_000]]
            await asyncio.gather(*sent)
        await client.close()

    asyncio.run(run())
    return f"nats://{host}/{name}/{name}?group=g", f"nats://{host}/{name}-out/{name}.out"


def fill_redis(host: str, name: str, messages: Sequence[bytes]) -> tuple[str, str]:
    """Source and sink."""
    from redis import Redis

    with Redis.from_url(f"redis://{host}") as client:
        for start in range(0, len(messages), 1_000):
            pipeline = client.pipeline()
            for body in messages[start : start + 1_000]:
                pipeline.xadd(name, {"body": body})
            pipeline.execute()
    return f"redis://{host}/{name}?group=g", f"redis://{host}/{name}.out"


def fill_kafka(host: str, name: str, messages: Sequence[bytes]) -> tuple[str, str]:
    """Source and sink."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": host, "queue.buffering.max.messages": len(messages) + 1})
    for topic in (f"{name}.out", f"{name}.out.dead"):
        producer.list_topics(topic, 10)
    for body in messages:
        producer.produce(name, body)
    assert producer.flush(60) == 0
    return f"kafka://{host}/{name}?group=g", f"kafka://{host}/{name}.out"


class Model:
    """JSON in, JSON out, by ONNX Runtime with one thread."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = next((folder / "home" / "bundles").rglob("model.onnx"))
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, messages: Sequence[bytes]) -> list[bytes]:
        """Answers."""
        import numpy as np

        read = [json.loads(one) for one in messages]
        block = np.array([[one["features"][name] for name in NAMES] for one in read], np.float32)
        one_input = len(self._inputs) == 1
        feed = {self._inputs[0]: block} if one_input else {n: block[:, [at]] for at, n in enumerate(self._inputs)}
        found = self._session.run(None, feed)[1]
        return [
            json.dumps({"request_id": one["request_id"], "probabilities": values}).encode()
            for one, values in zip(read, found.tolist(), strict=True)
        ]


class Watch:
    """Wall and CPU seconds from `begin` to `end`."""

    def begin(self) -> None:
        """Now."""
        self.at = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """Tells them."""
        print(json.dumps([time.perf_counter() - self.at[0], time.process_time() - self.at[1]]))


def loop_nats(folder: Path, host: str, name: str, count: int) -> None:
    """nats-py: fetch, publish without waiting for each, acknowledge."""

    async def run() -> None:
        import nats

        model, watch = Model(folder), Watch()
        client = await nats.connect(f"nats://{host}")
        stream = client.jetstream()
        reader = await stream.pull_subscribe(name, "g", stream=name)
        watch.begin()
        done = 0
        while done < count:
            batch = await reader.fetch(min(BATCH, count - done), timeout=5)
            answers = model([one.data for one in batch])
            await asyncio.gather(*[await stream.publish_async(f"{name}.out", answer) for answer in answers])
            for one in batch:
                await one.ack()
            done += len(batch)
        await client.flush()
        watch.end()
        await client.close()

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def loop_redis(folder: Path, host: str, name: str, count: int) -> None:
    """redis-py: read the group, append by one pipeline, acknowledge."""
    from redis import Redis

    model, watch = Model(folder), Watch()
    client = Redis.from_url(f"redis://{host}")
    client.xgroup_create(name, "g", "0")
    watch.begin()
    done = 0
    while done < count:
        found: Any = client.xreadgroup("g", "one", {name: ">"}, BATCH, 5_000)
        batch = found[0][1]
        pipeline = client.pipeline(transaction=False)
        for answer in model([fields[b"body"] for _, fields in batch]):
            pipeline.xadd(f"{name}.out", {"body": answer})
        pipeline.execute()
        client.xack(name, "g", *[at for at, _ in batch])
        done += len(batch)
    watch.end()


def loop_kafka(folder: Path, host: str, name: str, count: int) -> None:
    """confluent-kafka: consume, produce, flush, commit."""
    from confluent_kafka import Consumer, Producer

    model, watch = Model(folder), Watch()
    group = {"group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": host, **group})
    producer = Producer({"bootstrap.servers": host, "enable.idempotence": True, "linger.ms": 2})
    consumer.subscribe([name])
    batch: list[Any] = []
    while not batch:  # joining the group takes seconds
        batch = consumer.consume(BATCH, 1.0)
    watch.begin()
    done = 0
    while done < count:
        if batch:
            for answer in model([one.value() or b"" for one in batch]):
                producer.produce(f"{name}.out", answer)
            producer.flush()
            consumer.commit(asynchronous=False)
        done += len(batch)
        batch = consumer.consume(min(BATCH, count - done), 1.0) if done < count else []
    watch.end()
    consumer.close()


def fairlead(folder: Path, source: str, sink: str) -> None:
    """`fairlead stream`, as the command line runs it."""
    import uvloop

    from fairlead.app.compose import open_context
    from fairlead.operations.streaming_inference import Said, Streaming, StreamingAsked

    watch = Watch()
    watch.begin()
    begun = False

    def state(line: str) -> None:
        if " -> " in line:
            watch.begin()

    def progress(done: int, _: int) -> None:
        nonlocal begun
        if done and not begun and source.startswith("kafka"):  # joining the group takes seconds
            watch.begin()
        begun = begun or done > 0

    streaming = Streaming(
        open_context(folder / "home"), StreamingAsked("m", source, sink, batch=BATCH, wait=0.05, until_empty=True), {}
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(streaming.run(Said(state, progress)))
    watch.end()


FILLS: dict[str, Callable[[str, str, Sequence[bytes]], tuple[str, str]]] = {
    "nats": fill_nats,
    "redis": fill_redis,
    "kafka": fill_kafka,
}


def measured(call: str) -> tuple[float, float]:
    """Wall and CPU seconds of a process of its own."""
    code = f"from pathlib import Path; from benchmarks.streaming import *; {call}"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    wall, cpu = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu


def rounds(folder: Path, kind: str, host: str, count: int, times: int) -> dict[str, tuple[float, float]]:
    """Medians of alternating runs: each over a stream of its own."""
    found: dict[str, list[tuple[float, float]]] = {"fairlead": [], "plain loop": []}
    for turn in range(times):
        messages = bodies(count, f"{kind}-{turn}-{time.time_ns()}")
        shutil.rmtree(folder / "home" / "log", ignore_errors=True)  # a start reads what streams have logged before
        source, sink = FILLS[kind](host, f"{kind}-f{turn}", messages)
        found["fairlead"].append(measured(f"fairlead(Path({str(folder)!r}), {source!r}, {sink!r})"))
        name = f"{kind}-p{turn}"
        FILLS[kind](host, name, messages)
        found["plain loop"].append(measured(f"loop_{kind}(Path({str(folder)!r}), {host!r}, {name!r}, {count})"))
    return {
        who: (statistics.median(wall for wall, _ in runs), statistics.median(cpu for _, cpu in runs))
        for who, runs in found.items()
    }


def main() -> None:
    """Prints the table and the ratios."""
    from fairlead.testing.brokers import MockKafka, start_nats, start_valkey

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--brokers", nargs="*", default=list(FILLS), choices=list(FILLS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        makers: dict[str, Callable[[], Any]] = {
            "nats": lambda: start_nats(folder / "nats"),
            "redis": lambda: start_valkey(folder, durable=False),
            "kafka": MockKafka,
        }
        for kind in options.brokers:
            broker = makers[kind]()
            try:
                found = rounds(folder, kind, broker.host, options.messages, options.rounds)
            finally:
                broker.stop()
            base = found["plain loop"]
            for who, (wall, cpu) in found.items():
                each = cpu / options.messages * 1e6
                print(f"{kind:6} {who:11} {options.messages / wall:9,.0f} messages/s {each:7.1f} us of CPU a message "
                      f"{base[0] / wall:5.2f}x as fast, {cpu / base[1]:4.2f} of the CPU", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
