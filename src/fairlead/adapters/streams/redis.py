"""Redis and Valkey Streams: a consumer group, and a sink that remembers what it was sent.

A script appends a message and remembers its id in one step, in a sorted set beside the stream (`{STREAM}:seen`): the
same id is appended once while it is among the last `SEEN`. What a process was handed and did not acknowledge it is
handed again first when it comes back under its name; others take it over after `retry`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from fairlead.config.stream_url import StreamUrl
from fairlead.errors import FairleadError, MissingExtra, StateError, UsageError
from fairlead.ports.stream import Delivery, Message

CONNECT_SECONDS = 5.0
SEEN = 100_000  # ids that a sink remembers, about 15 MB
GONE = "the broker removed the entry before it was read: its stream is trimmed too early"

_APPEND = """
for place = 5, #ARGV, 2 do
  if redis.call('ZADD', KEYS[2], 'NX', ARGV[1], ARGV[place]) == 1 then
    if ARGV[2] == '0' then
      redis.call('XADD', KEYS[1], '*', 'request_id', ARGV[place], ARGV[3], ARGV[place + 1])
    else
      redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'request_id', ARGV[place], ARGV[3], ARGV[place + 1])
    end
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[4]))
return 1
"""
_PART = 1_000  # messages of one call of the script: nobody else is served meanwhile

T = TypeVar("T")
Entry = tuple[bytes, dict[bytes, bytes] | None]


class _Link:
    """One client, made when it is needed."""

    def __init__(self, url: StreamUrl) -> None:
        self.url = url
        self._client: Any = None

    def client(self, seconds: float = 0.0) -> Any:
        """The client. `seconds`: how long one of its calls may have to wait for data."""
        if self._client is None:
            self._client = self._made(seconds)
        return self._client

    def _made(self, seconds: float) -> Any:
        try:
            from redis.asyncio import Redis
        except ImportError:
            raise MissingExtra("redis", "redis", "a Redis stream") from None
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        url = self.url
        ((host, port),) = url.hosts
        return Redis(
            host=host.strip("[]"),
            port=port,
            db=url.db,
            username=url.user or None,
            password=url.password or None,
            ssl=url.tls,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS + seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            client_name="fairlead",
        )

    async def drop(self) -> None:
        """Lets go of the client, whatever state it is in."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await client.aclose()

    async def guarded(self, work: Awaitable[T]) -> T:
        """Turns what the client raises into this project's errors; after one, the next call connects anew."""
        try:
            return await work
        except (FairleadError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - told apart below
            await self.drop()
            raise self._told(error) from None

    def _told(self, error: Exception) -> FairleadError:
        from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

        said = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, RedisError | OSError | TimeoutError):
            return StateError(f"Redis at {self.url.address} answered what cannot be read ({said})")
        denied = AuthenticationError, AuthorizationError, NoPermissionError
        if isinstance(error, denied) or said.startswith(("NOAUTH", "WRONGPASS")) or "AUTH" in said.split(":")[0]:
            return UsageError(f"{self.url} refuses the user, the password or a command: look at its users ({said})")
        if said.startswith("WRONGTYPE"):
            return UsageError(f"{self.url} is no stream: name another key")
        return StateError(f"Redis at {self.url.address} is away ({said})")


class RedisSource:
    """One consumer of a group. `name` is this process's own, and the next one's that takes its place."""

    def __init__(self, url: StreamUrl, name: str) -> None:
        self._link = _Link(url)
        self._url = url
        self._name = name
        self._ready = False
        self._own: str | None = "0"  # how far what was handed out before has been read; None: all of it
        self._claim_at = 0.0
        self._was_there = False

    async def read(self, limit: int, seconds: float) -> list[Delivery]:
        """What this name had before; then what others left; then what is new."""
        return await self._guarded(self._read(limit, seconds))

    async def _read(self, limit: int, seconds: float) -> list[Delivery]:
        client = await self._client(seconds)
        found = await self._again(client, limit)
        if found:
            return found
        entries = await self._group_read(client, ">", limit, seconds)
        return [self._delivery(entry, 1) for entry in entries]

    async def _again(self, client: Any, limit: int) -> list[Delivery]:
        if self._own is not None:
            entries = await self._group_read(client, self._own, limit, None)
            if entries:
                self._own = entries[-1][0].decode()
                return [self._delivery(entry, 2) for entry in entries]
            self._own = None
        now = time.monotonic()
        if now < self._claim_at:
            return []
        idle = int(self._url.retry * 1000)
        _, entries, *gone = await client.xautoclaim(
            self._url.stream, self._url.group, self._name, idle, "0-0", count=limit
        )
        if not entries:
            self._claim_at = now + self._url.retry / 2
        lost = [Delivery(self._id(one), b"", 2, GONE, one) for one in (gone[0] if gone else ())]
        return [self._delivery(entry, 2) for entry in entries] + lost

    async def _group_read(self, client: Any, after: str, limit: int, seconds: float | None) -> list[Entry]:
        block = None if seconds is None else max(1, int(seconds * 1000))
        found = await client.xreadgroup(self._url.group, self._name, {self._url.stream: after}, limit, block)
        return list(found[0][1]) if found else []

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledges."""
        if deliveries:
            await self._guarded(self._acknowledge([delivery.token for delivery in deliveries]))

    async def _acknowledge(self, ids: list[bytes]) -> None:
        client = await self._client()
        await client.xack(self._url.stream, self._url.group, *ids)

    async def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Begins the time until another may have them anew."""
        await self._guarded(self._claim([delivery.token for delivery in deliveries]))

    async def _claim(self, ids: list[bytes]) -> None:
        client = await self._client()
        await client.xclaim(self._url.stream, self._url.group, self._name, 0, ids, justid=True)

    async def lag(self) -> int:
        """Entries that wait, and that are handed out and not acknowledged."""
        return await self._guarded(self._lag())

    async def _lag(self) -> int:
        client = await self._client()
        for group in await client.xinfo_groups(self._url.stream):
            if group["name"] == self._url.group.encode():
                waiting = group.get("lag")
                if waiting is None:  # entries were deleted: the server cannot tell, and this is the most it may be
                    info = await client.xinfo_stream(self._url.stream)
                    waiting = 0 if info["last-generated-id"] == group["last-delivered-id"] else info["length"]
                return int(waiting) + int(group["pending"])
        return 0

    async def close(self) -> None:
        """Closes; a consumer that owes nothing is forgotten."""
        with suppress(Exception):
            client = self._link.client()
            pending = await client.xpending_range(self._url.stream, self._url.group, "-", "+", 1, self._name)
            if not pending:
                await client.xgroup_delconsumer(self._url.stream, self._url.group, self._name)
        await self._link.drop()

    async def _client(self, seconds: float = 10.0) -> Any:
        client = self._link.client(seconds)
        if not self._ready:
            await self._ensure(client)
            self._ready, self._own = True, "0"
        return client

    async def _ensure(self, client: Any) -> None:
        from redis.exceptions import ResponseError

        url = self._url
        if not await client.exists(url.stream):
            if self._was_there:
                raise StateError(f"the stream {url.stream} at {url.address} is gone")
            raise UsageError(f"there is no stream {url.stream} at {url.address}: make it, or mend the URL")
        self._was_there = True
        try:
            await client.xgroup_create(url.stream, url.group, "0" if url.start == "first" else "$")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def _guarded(self, work: Awaitable[T]) -> T:
        try:
            return await self._link.guarded(work)
        except FairleadError:
            self._ready = False
            raise

    def _id(self, entry: bytes) -> str:
        return f"redis:{self._url.stream}:{entry.decode()}"

    def _delivery(self, entry: Entry, attempt: int) -> Delivery:
        at, fields = entry
        if not fields:
            return Delivery(self._id(at), b"", attempt, GONE, at)
        body = fields.get(self._url.field.encode())
        if body is None:
            names = ", ".join(sorted(name.decode("utf-8", "replace") for name in fields)[:10])
            held = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()}
            fault = f"the entry has no field {self._url.field!r}, but {names}: name it with ?field="
            return Delivery(self._id(at), msgspec.json.encode(held), attempt, fault, at)
        return Delivery(self._id(at), body, attempt, "", at)


class RedisSink:
    """Appends to a stream, each id once."""

    def __init__(self, url: StreamUrl) -> None:
        self._link = _Link(url)
        self._url = url

    async def write(self, messages: Sequence[Message]) -> None:
        """Appends those that were not appended before."""
        await self._link.guarded(self._write(messages))

    async def _write(self, messages: Sequence[Message]) -> None:
        client = self._link.client()
        if not messages:
            kind = await client.type(self._url.stream)
            if kind not in (b"stream", b"none"):
                raise UsageError(f"{self._url} is no stream: name another key")
            return
        append = client.register_script(_APPEND)
        keys = [self._url.stream, seen_key(self._url.stream)]
        for start in range(0, len(messages), _PART):
            values: list[Any] = [time.time(), self._url.maxlen, self._url.field, SEEN]
            for message in messages[start : start + _PART]:
                values += [message.id, message.body]
            await append(keys=keys, args=values)

    async def close(self) -> None:
        """Closes."""
        await self._link.drop()


def seen_key(stream: str) -> str:
    """Where a sink remembers its ids: in the same slot of a cluster as the stream.

    >>> seen_key("answers"), seen_key("{a}answers")
    ('{answers}:seen', '{a}answers:seen')
    """
    return f"{stream}:seen" if "{" in stream else f"{{{stream}}}:seen"
