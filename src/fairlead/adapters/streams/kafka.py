"""The Kafka protocol: a consumer group whose offsets are committed by hand, and an idempotent producer.

The client works in threads of its own; its blocking calls are made in one here, so that the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from fairlead.config.stream_url import StreamUrl
from fairlead.errors import FairleadError, MissingExtra, StateError, UsageError
from fairlead.ports.stream import Delivery, Message, TooLarge

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
LONGEST_BATCH_SECONDS = 3600.0  # a process that works on one batch for longer loses its partitions
_REST_SECONDS = 0.002  # what has come with the first message is taken, what is on its way is not waited for

T = TypeVar("T")


class _Caller:
    """Runs the client's blocking calls one after another in a thread."""

    def __init__(self, url: StreamUrl) -> None:
        self.url = url
        self._thread = ThreadPoolExecutor(1, "kafka")

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """The result. Raises what `told` makes of the client's errors."""
        from confluent_kafka import KafkaException

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except KafkaException as error:
            raise self.told(error.args[0]) from None

    def told(self, error: Any) -> FairleadError:
        """This project's error for one of the client's."""
        from confluent_kafka import KafkaError

        said = error.str() if isinstance(error, KafkaError) else str(error)
        code = error.code() if isinstance(error, KafkaError) else None
        if code in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):  # noqa: SLF001 - its public name
            return UsageError(f"{self.url} refuses the user or the password: put them into the URL")
        if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            return UsageError(f"{self.url} may not be used by this user ({said})")
        return StateError(f"Kafka at {self.url.address} is away ({said})")

    def end(self) -> None:
        """Lets the thread go."""
        self._thread.shutdown(wait=False)


def _settings(url: StreamUrl) -> dict[str, Any]:
    """What consumers and producers have in common."""
    known: dict[str, Any] = {
        "bootstrap.servers": url.address,
        "client.id": "fairlead",
        "socket.connection.setup.timeout.ms": int(CONNECT_SECONDS * 1000),
        "reconnect.backoff.max.ms": 1000,
        "log_level": 0,
    }
    if url.user:
        known |= {"sasl.mechanism": "PLAIN", "sasl.username": url.user, "sasl.password": url.password}
    protocol = ("SASL_" if url.user else "") + ("SSL" if url.tls else "PLAINTEXT")
    return known | {"security.protocol": protocol}


def _client() -> Any:
    try:
        import confluent_kafka
    except ImportError:
        raise MissingExtra("confluent-kafka", "kafka", "a Kafka topic") from None
    return confluent_kafka


class KafkaSource:
    """One member of a group. What was read and not committed is read again, by whoever has the partition then."""

    def __init__(self, url: StreamUrl) -> None:
        self._caller = _Caller(url)
        self._url = url
        self._consumer: Any = None
        self._asker: Any = None  # what is asked on the consumer's own connection waits for its fetch to end
        self._ends: dict[int, int] = {}  # where each partition ended when it became ours: before it all may be repeats
        self._is_away = ""

    async def read(self, limit: int, seconds: float) -> list[Delivery]:
        """The first message within `seconds`, and what came with it."""
        _client()
        return await self._caller.run(self._read, limit, seconds)

    def _read(self, limit: int, seconds: float) -> list[Delivery]:
        consumer = self._opened()
        first = consumer.poll(seconds)
        found = [] if first is None else [first]
        if found and limit > 1:
            found += consumer.consume(limit - 1, _REST_SECONDS)
        messages = [self._delivery(one) for one in found if self._is_message(one)]
        if not found and self._is_away:
            away, self._is_away = self._is_away, ""
            raise StateError(f"Kafka at {self._url.address} is away ({away})")
        self._is_away = ""
        return messages

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Commits. Partitions that are another's by now are left: it reads the messages again."""
        if deliveries:
            await self._caller.run(self._commit, [delivery.token for delivery in deliveries])

    def _commit(self, places: list[tuple[int, int]]) -> None:
        kafka, consumer = _client(), self._opened()
        reached: dict[int, int] = {}
        for partition, offset in places:
            reached[partition] = max(offset + 1, reached.get(partition, 0))
        ours = {one.partition for one in consumer.assignment()}
        offsets = [
            kafka.TopicPartition(self._url.stream, partition, offset)
            for partition, offset in reached.items()
            if partition in ours
        ]
        lost = (kafka.KafkaError.ILLEGAL_GENERATION, kafka.KafkaError.UNKNOWN_MEMBER_ID,
                kafka.KafkaError.REBALANCE_IN_PROGRESS, kafka.KafkaError._STATE)  # noqa: SLF001  # fmt: skip
        try:
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        except kafka.KafkaException as error:
            if error.args[0].code() not in lost:
                raise

    async def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing: the client itself tells the broker that this process lives."""

    async def lag(self) -> int:
        """Messages beyond what was committed, in all partitions."""
        _client()
        return await self._caller.run(self._lag)

    def _lag(self) -> int:
        kafka, asker = _client(), self._asking()
        self._opened()
        partitions = [kafka.TopicPartition(self._url.stream, number) for number in self._partitions(asker)]
        total = 0
        for one in asker.committed(partitions, ANSWER_SECONDS):
            low, high = asker.get_watermark_offsets(one, ANSWER_SECONDS)
            start = low if self._url.start == "first" else high
            total += high - max(low, one.offset if one.offset >= 0 else start)
        return total

    async def close(self) -> None:
        """Leaves the group."""
        if self._asker is not None:
            with suppress(FairleadError):
                await self._caller.run(self._close)
        self._caller.end()

    def _close(self) -> None:
        for one in (self._consumer, self._asker):
            if one is not None:
                one.close()
        self._consumer = self._asker = None

    def _asking(self) -> Any:
        if self._asker is None:
            asker = _client().Consumer({**_settings(self._url), "group.id": self._url.group})
            try:
                self._partitions(asker)
            except BaseException:
                asker.close()
                raise
            self._asker = asker
        return self._asker

    def _opened(self) -> Any:
        if self._consumer is not None:
            return self._consumer
        self._asking()
        retry = int(max(6.0, self._url.retry) * 1000)
        consumer = _client().Consumer(
            {
                **_settings(self._url),
                "group.id": self._url.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest" if self._url.start == "first" else "latest",
                "session.timeout.ms": retry,
                "heartbeat.interval.ms": max(500, min(3000, retry // 4)),
                "max.poll.interval.ms": int(LONGEST_BATCH_SECONDS * 1000),
                "allow.auto.create.topics": False,
                "error_cb": self._note,
            }
        )
        consumer.subscribe([self._url.stream], on_assign=self._assigned)
        self._consumer = consumer
        return consumer

    def _partitions(self, consumer: Any) -> list[int]:
        known = consumer.list_topics(self._url.stream, CONNECT_SECONDS).topics[self._url.stream]
        if known.error is not None:
            if known.error.code() == _client().KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise UsageError(
                    f"there is no topic {self._url.stream} at {self._url.address}: make it, or mend the URL"
                )
            raise self._caller.told(known.error)
        return sorted(known.partitions)

    def _assigned(self, _: Any, partitions: list[Any]) -> None:
        for one in partitions:
            with suppress(_client().KafkaException):
                self._ends[one.partition] = self._asker.get_watermark_offsets(one, ANSWER_SECONDS)[1]

    def _note(self, error: Any) -> None:
        if error.code() == _client().KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - its public name
            self._is_away = error.str()

    def _is_message(self, one: Any) -> bool:
        error = one.error()
        if error is None:
            return True
        if error.retriable() or error.code() == _client().KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return False
        raise self._caller.told(error)

    def _delivery(self, one: Any) -> Delivery:
        partition, offset = one.partition(), one.offset()
        attempt = None if offset < self._ends.get(partition, 2**63) else 1
        at = f"kafka:{self._url.stream}:{partition}:{offset}:{one.timestamp()[1]}"
        return Delivery(at, one.value() or b"", attempt, "", (partition, offset))


class KafkaSink:
    """Produces to a topic, keyed by the message's id. The producer's own retries are told apart by the broker."""

    def __init__(self, url: StreamUrl) -> None:
        self._caller = _Caller(url)
        self._url = url
        self._producer: Any = None
        self._kept: set[str] = set()  # of a write that failed in part: what the broker has all the same

    async def write(self, messages: Sequence[Message]) -> None:
        """Produces, and waits until all in-sync replicas have it."""
        _client()
        await self._caller.run(self._write, messages)

    def _write(self, messages: Sequence[Message]) -> None:
        producer = self._opened()
        faults: list[Any] = []

        def told(error: Any, one: Any) -> None:
            if error is None:
                self._kept.add(one.key().decode())
            else:
                faults.append(error)

        for message in messages:
            if message.id not in self._kept:
                self._produce(producer, message, told)
        left = producer.flush(ANSWER_SECONDS)
        if left or faults:
            fault = self._fault(faults)
            if left or not isinstance(fault, TooLarge):
                self._drop()
            raise fault
        self._kept.clear()

    def _produce(self, producer: Any, message: Message, told: Callable[[Any, Any], None]) -> None:
        kafka = _client()
        while True:
            try:
                producer.produce(self._url.stream, message.body, message.id.encode(), on_delivery=told)
            except BufferError:
                producer.poll(0.1)
            except kafka.KafkaException as error:
                raise self._fault([error.args[0]]) from None
            else:
                return

    def _fault(self, errors: list[Any]) -> FairleadError:
        kafka = _client()
        if not errors:
            return StateError(f"Kafka at {self._url.address} did not take the messages within {ANSWER_SECONDS:g} s")
        if errors[0].code() in (kafka.KafkaError.MSG_SIZE_TOO_LARGE, kafka.KafkaError.INVALID_MSG_SIZE):
            return TooLarge(f"{self._url} takes no message of this size")
        return self._caller.told(errors[0])

    async def close(self) -> None:
        """Closes."""
        if self._producer is not None:
            with suppress(FairleadError):
                await self._caller.run(self._drop)
        self._caller.end()

    def _drop(self) -> None:
        """Gives up what is under way: a new producer sends it again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(1.0)

    def _opened(self) -> Any:
        if self._producer is None:
            producer = _client().Producer(
                {
                    **_settings(self._url),
                    "enable.idempotence": True,
                    "delivery.timeout.ms": int(ANSWER_SECONDS * 1000),
                    "linger.ms": 2,
                }
            )
            known = producer.list_topics(self._url.stream, CONNECT_SECONDS).topics[self._url.stream]
            unknown = _client().KafkaError.UNKNOWN_TOPIC_OR_PART
            if known.error is not None and known.error.code() != unknown:
                raise self._caller.told(known.error)
            if known.error is not None:
                self._make(producer)
            self._producer = producer
        return self._producer

    def _make(self, producer: Any) -> None:
        """Makes a topic that is not there, with the broker's own numbers of partitions and replicas."""
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        kafka = _client()
        made = AdminClient(_settings(self._url)).create_topics([NewTopic(self._url.stream)])
        try:
            made[self._url.stream].result(ANSWER_SECONDS)
        except kafka.KafkaException as error:
            again = producer.list_topics(self._url.stream, CONNECT_SECONDS).topics[self._url.stream]
            if again.error is not None:
                raise UsageError(
                    f"there is no topic {self._url.stream} at {self._url.address} and it cannot be made "
                    f"({error.args[0].str()}): make it"
                ) from None
