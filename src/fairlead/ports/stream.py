"""A broker: where requests come from and where answers go, at least once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from fairlead.core.record import Prediction
from fairlead.errors import UsageError


class TooLarge(UsageError):
    """A message that the broker takes never, however often it is sent."""


class Delivery(NamedTuple):
    """A message as it was handed out. `id` is the broker's own identity of it, the same at every delivery.

    `attempt` is the delivery's number, from 1; None where the broker does not tell, and it may be a later one. `fault`
    says why the broker's entry is no message at all. `token` is the adapter's own.
    """

    id: str
    body: bytes
    attempt: int | None = 1
    fault: str = ""
    token: Any = None


class Message(NamedTuple):
    """What is sent. The same `id` is the same message."""

    id: str
    body: bytes


class StreamSource(Protocol):
    """Hands out messages to one of the processes of a group, again and again until they are done.

    Every method raises `StateError` while the broker is away, and connects again at the next call; `UsageError` for
    what will not mend by itself.
    """

    async def read(self, limit: int, seconds: float) -> list[Delivery]:
        """What there is, at most `limit`; waits at most about `seconds` for the first."""
        ...

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """They are not to be handed out again. The broker may still do so, if it is told too late."""
        ...

    async def hold(self, deliveries: Sequence[Delivery]) -> None:
        """They are being worked on: nobody else is to have them yet."""
        ...

    async def lag(self) -> int:
        """Messages of the group that are not done, handed out or not."""
        ...

    async def close(self) -> None:
        """Leaves the group. What is not done is handed out to others."""
        ...


class StreamSink(Protocol):
    """Takes messages."""

    async def write(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has all of them; one whose id it remembers is not kept twice. Of none: whether the
        broker is there. Raises `StateError`, and is then called again with the same; `TooLarge`; `UsageError`."""
        ...

    async def close(self) -> None:
        """Lets go of the connection."""
        ...


class AnsweredBefore(Protocol):
    """What the prediction log knows of requests that other processes answered, or this one in an earlier life."""

    def catch_up(self) -> None:
        """Reads what they have logged since. Raises `StateError`."""
        ...

    def find(self, request_id: str) -> Prediction | None:
        """The record of a request, None for one that is not known to be answered. Raises `StateError`."""
        ...
