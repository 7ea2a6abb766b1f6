"""NATS JetStream: a durable pull consumer with explicit acknowledgements, and publishing with message ids.

A message id (`Nats-Msg-Id`) makes the server drop what it has had within the stream's duplicate window. Pulls and
acknowledgements of publishing are spoken by hand: the client's `fetch` waits for a whole batch, and a future for each
message costs more than the message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead.config.stream_url import StreamUrl
from fairlead.errors import MissingExtra, StateError, UsageError
from fairlead.ports.stream import Delivery, Message, TooLarge

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

CONNECT_SECONDS = 5
ANSWER_SECONDS = 5.0  # what the server may take for an answer
DUPLICATE_SECONDS = 600.0  # the window of a stream that is made here
MOST_HELD = 100_000  # messages of a group that may be handed out at a time
_NO_MESSAGES, _EXPIRED = "404", "408"

T = TypeVar("T")


class _Link:
    """One connection, made when it is needed and again after it broke."""

    def __init__(self, url: StreamUrl) -> None:
        self.url = url
        self._client: Client | None = None

    async def client(self, begin: Callable[[Client], Awaitable[None]]) -> Client:
        """The connection; `begin` is called with a new one."""
        if self._client is not None and self._client.is_connected:
            return self._client
        await self.drop()
        client = await self._connect()
        self._client = client
        await begin(client)
        return client

    async def _connect(self) -> Client:
        try:
            from nats.aio.client import Client
        except ImportError:
            raise MissingExtra("nats-py", "nats", "a NATS stream") from None
        url = self.url
        scheme = "tls" if url.tls else "nats"
        client = Client()
        try:
            await client.connect(
                servers=[f"{scheme}://{host}:{port}" for host, port in url.hosts],
                name="fairlead",
                user=url.user or None,
                password=url.password or None,
                allow_reconnect=False,
                connect_timeout=CONNECT_SECONDS,
                error_cb=_ignore,
            )
        except BaseException:  # who was refused still holds a socket
            with suppress(Exception):
                await client.close()
            raise
        return client

    async def drop(self) -> None:
        """Lets go of a connection, whatever state it is in."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await client.close()

    async def guarded(self, work: Awaitable[T]) -> T:
        """Turns what the client raises into this project's errors; after one, the next call connects anew."""
        from nats.errors import AuthorizationError, Error

        try:
            async with asyncio.timeout(CONNECT_SECONDS + 2 * ANSWER_SECONDS):
                return await work
        except AuthorizationError:
            await self.drop()
            raise UsageError(f"{self.url} refuses the user or the password: put them into the URL") from None
        except (Error, OSError, EOFError, TimeoutError) as error:
            await self.drop()
            if "authorization" in str(error).lower() or "authentication" in str(error).lower():
                raise UsageError(f"{self.url} refuses the user or the password: put them into the URL") from None
            said = str(error).strip() or type(error).__name__
            raise StateError(f"NATS at {self.url.address} is away ({said})") from None


async def _ignore(_: Exception) -> None:
    """Every failure is seen by the call that it fails."""


class NatsSource:
    """A durable consumer. Messages that are not acknowledged within `retry` are handed out again."""

    def __init__(self, url: StreamUrl) -> None:
        self._link = _Link(url)
        self._url = url
        self._inbox = ""
        self._waiting: asyncio.Queue[Msg] = asyncio.Queue()
        self._round = 0

    async def read(self, limit: int, seconds: float) -> list[Delivery]:
        """What there is now; if there is nothing, what comes first within `seconds`."""
        _check_installed()
        return await self._link.guarded(self._read(limit, seconds))

    async def _read(self, limit: int, seconds: float) -> list[Delivery]:
        client = await self._link.client(self._begin)
        found = await self._pull(client, {"batch": limit, "no_wait": True}, limit, ANSWER_SECONDS)
        if not found:
            expires = max(1, int(seconds * 1e9))
            found = await self._pull(client, {"batch": 1, "expires": expires}, 1, seconds + ANSWER_SECONDS)
            if found and limit > 1:
                more = {"batch": limit - 1, "no_wait": True}
                found += await self._pull(client, more, limit - 1, ANSWER_SECONDS)
        return [_delivery(message) for message in found]

    async def _pull(self, client: Client, ask: dict[str, Any], most: int, seconds: float) -> list[Msg]:
        """One request to the consumer, until it is served, or the server says that there is no more."""
        self._round += 1
        reply = f"{self._inbox}.{self._round}"
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._url.stream}.{self._url.group}"
        await client.publish(subject, json.dumps(ask).encode(), reply)
        found: list[Msg] = []
        try:
            async with asyncio.timeout(seconds):
                while len(found) < most:
                    message = await self._waiting.get()
                    status = message.headers.get("Status") if message.headers else None
                    if status is None:
                        found.append(message)
                    elif message.subject == reply:  # else it ends a request of before
                        _check_end(status, message, self._url.group)
                        break
        except TimeoutError:
            if not found:  # what has come is not given up for a word that has not
                raise
        return found

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledges, and waits until the server has read it."""
        if deliveries:
            await self._link.guarded(self._tell(deliveries, b"+ACK"))

    async def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Begins the time until the next delivery anew."""
        await self._link.guarded(self._tell(deliveries, b"+WPI"))

    async def _tell(self, deliveries: Sequence[Delivery], what: bytes) -> None:
        client = await self._link.client(self._begin)
        for delivery in deliveries:
            await client.publish(delivery.token, what)
        await client.flush(int(ANSWER_SECONDS))

    async def lag(self) -> int:
        """Messages that wait, and that are handed out and not acknowledged."""
        _check_installed()
        return await self._link.guarded(self._lag())

    async def _lag(self) -> int:
        client = await self._link.client(self._begin)
        info = await client.jetstream().consumer_info(self._url.stream, self._url.group, timeout=ANSWER_SECONDS)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def close(self) -> None:
        """Closes. The consumer stays: it knows how far the group is."""
        await self._link.drop()

    async def _begin(self, client: Client) -> None:
        await self._ensure(client)
        self._waiting = asyncio.Queue()
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._waiting.put)

    async def _ensure(self, client: Client) -> None:
        """Finds the group's consumer, or makes it. Raises `UsageError` for a stream that is not there, and for a group
        that reads another subject."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        url, stream = self._url, client.jetstream()
        try:
            await stream.stream_info(url.stream)
        except NotFoundError:
            raise UsageError(f"there is no stream {url.stream} at {url.address}: make it, or mend the URL") from None
        try:
            known = (await stream.consumer_info(url.stream, url.group)).config
        except NotFoundError:
            policy = DeliverPolicy.ALL if url.start == "first" else DeliverPolicy.NEW
            wanted = ConsumerConfig(
                durable_name=url.group,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=url.retry,
                deliver_policy=policy,
                filter_subject=url.subject or None,
                max_ack_pending=MOST_HELD,
            )
            await stream.add_consumer(url.stream, wanted)
            return
        if (known.filter_subject or "") != url.subject or known.ack_policy != AckPolicy.EXPLICIT:
            what = known.filter_subject or "everything"
            raise UsageError(f"group {url.group} of {url.stream} reads {what}, not {url.subject or 'everything'}, or "
                             "needs no acknowledgement: name another with ?group=")  # fmt: skip


def _check_end(status: str, message: Msg, group: str) -> None:
    """Raises `OSError` for a request that did not end because there is no more."""
    if status not in (_NO_MESSAGES, _EXPIRED):
        raise OSError(f"consumer {group}: {(message.headers or {}).get('Description', status)}")


def _delivery(message: Msg) -> Delivery:
    """The parts of an acknowledgement's subject are the message's place: stream, delivery, sequence, time."""
    parts = message.reply.split(".")
    first = 2 if len(parts) == 9 else 4  # newer servers put domain and account before
    stream, _, attempt, sequence, _, at = parts[first : first + 6]
    return Delivery(f"nats:{stream}:{sequence}:{at}", message.data, int(attempt), "", message.reply)


class NatsSink:
    """Publishes to one subject, and waits until the stream has stored each message."""

    def __init__(self, url: StreamUrl) -> None:
        self._link = _Link(url)
        self._url = url
        self._inbox = ""
        self._missing: set[str] = set()
        self._fault = ""
        self._all_there = asyncio.Event()

    async def write(self, messages: Sequence[Message]) -> None:
        """Publishes, and waits for the server's answers."""
        _check_installed()
        await self._link.guarded(self._write(messages))

    async def _write(self, messages: Sequence[Message]) -> None:
        client = await self._link.client(self._begin)
        if not messages:
            return
        if any(len(message.body) + 512 > client.max_payload for message in messages):
            raise TooLarge(f"NATS at {self._url.address} takes at most {client.max_payload} bytes")
        self._missing = {str(number) for number in range(len(messages))}
        self._fault = ""
        self._all_there.clear()
        for number, message in enumerate(messages):
            headers = {"Nats-Msg-Id": _header(message.id)}
            await client.publish(self._url.subject, message.body, f"{self._inbox}.{number}", headers)
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._all_there.wait()
        if self._fault:
            raise OSError(self._fault)

    async def _stored(self, message: Msg) -> None:
        if b'"error"' in message.data or not message.data:
            self._fault = self._fault or _reason(message)
        self._missing.discard(message.subject.rpartition(".")[2])
        if not self._missing:
            self._all_there.set()

    async def close(self) -> None:
        """Closes."""
        await self._link.drop()

    async def _begin(self, client: Client) -> None:
        await self._ensure(client)
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._stored)

    async def _ensure(self, client: Client) -> None:
        """Finds the stream that takes the subject, or makes it."""
        from nats.js.api import StreamConfig
        from nats.js.errors import APIError, NotFoundError

        url, stream = self._url, client.jetstream()
        try:
            found = await stream.find_stream_name_by_subject(url.subject)
        except NotFoundError:
            try:
                await stream.add_stream(
                    StreamConfig(name=url.stream, subjects=[url.subject], duplicate_window=DUPLICATE_SECONDS)
                )
            except APIError as error:
                raise UsageError(
                    f"stream {url.stream} at {url.address} does not take {url.subject} and cannot be made "
                    f"({error.description}): add the subject to it"
                ) from None
            return
        if found != url.stream and not url.anywhere:
            raise UsageError(f"{url.subject} at {url.address} belongs to stream {found}, not {url.stream}")


def _check_installed() -> None:
    try:
        import nats.errors  # noqa: F401 - whether it is there
    except ImportError:
        raise MissingExtra("nats-py", "nats", "a NATS stream") from None


def _header(text: str) -> str:
    """A message id that a header can hold."""
    return text if text.isascii() and text.isprintable() else sha256(text.encode()).hexdigest()


def _reason(message: Msg) -> str:
    try:
        said: str = json.loads(message.data)["error"]["description"]
    except (ValueError, KeyError):
        said = "no stream takes the subject"
    return said
