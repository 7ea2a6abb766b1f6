"""Feast's Redis online store (Redis or Valkey, one node), read only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairlead.adapters.features.feast_online import Asked, Stored
from fairlead.adapters.features.feast_plan import PlannedView
from fairlead.errors import MissingExtra, SettingsError
from fairlead.ports.features import FeaturesDown

if TYPE_CHECKING:
    from redis import Redis

_TRUTH = {"true": True, "false": False}


class RedisStore:
    """All entities of all views in one pipeline. A client for each thread that reads."""

    def __init__(self, address: str, project: str, timeout: float) -> None:
        """`address` as Feast writes it: `host:6379,db=0,ssl=true,password=…`. `timeout` in seconds.

        Raises `MissingExtra`, and `SettingsError` for an address that says something else.
        """
        self._options = options(address)
        self._project = project.encode()
        self._timeout = timeout
        self._own = threading.local()
        _redis()

    def read(self, asked: Sequence[Asked]) -> list[list[Stored | None]]:
        """For each view, what is held of each entity key. Raises `FeaturesDown` and `TimeoutError`."""
        redis = _redis()
        try:
            pipe = self._client().pipeline(transaction=False)
            for view, keys in asked:
                fields: list[bytes | str] = [*(bytes.fromhex(one.field) for one in view.features), view.stamp]
                for key in keys:
                    pipe.hmget(key + self._project, fields)
            replies = iter(pipe.execute() if any(keys for _, keys in asked) else [])
        except (redis.RedisError, OSError) as error:
            where = f"{self._options['host']}:{self._options['port']}"
            if isinstance(error, redis.TimeoutError | TimeoutError):
                raise TimeoutError(f"the feature store at {where} did not answer") from error
            raise FeaturesDown(f"the feature store at {where} cannot be read: {error}") from error
        return [[_stored(view, next(replies)) for _ in keys] for view, keys in asked]

    def read_at_once(self, asked: Sequence[Asked]) -> list[list[Stored | None]] | None:  # noqa: ARG002  # the port's
        """None: the network is waited for."""
        return None

    def _client(self) -> Redis:
        client: Redis | None = getattr(self._own, "client", None)
        if client is None:
            limits = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
            client = self._own.client = _redis().Redis(**self._options, **limits, retry=None)
        return client


def options(address: str) -> dict[str, Any]:
    """The client's options in Feast's address. Raises `SettingsError`.

    >>> options("redis.example:6379,db=2,ssl=true")
    {'host': 'redis.example', 'port': 6379, 'db': 2, 'ssl': True}
    """
    places = [part for part in address.split(",") if "=" not in part]
    host, _, port = places[0].rpartition(":") if places else ("", "", "")
    if len(places) != 1 or not host or not port.isdigit():
        shown = ", ".join(places) or "nothing"
        raise SettingsError(f"the feature store's address is {shown}: one host:port can be read, no cluster")
    found: dict[str, Any] = {"host": host, "port": int(port)}
    for part in address.split(","):
        name, equals, text = part.partition("=")
        if equals:
            found[name] = int(text) if name == "db" and text.isdigit() else _TRUTH.get(text, text.strip('"'))
    return found


def _stored(view: PlannedView, cells: Sequence[bytes | None]) -> Stored | None:
    """Feast writes a view's features and its time together; without the time nothing was written."""
    *values, stamp = cells
    if stamp is None:
        return None
    return Stored(
        _instant(stamp),
        {one.name: data for one, data in zip(view.features, values, strict=True) if data is not None},
    )


def _instant(stamp: bytes) -> float:
    """A `google.protobuf.Timestamp`, whose first field are the seconds; less than a second is not looked at."""
    if not stamp or stamp[0] != 0x08:
        return 0.0
    seconds = shift = 0
    for byte in stamp[1:]:
        seconds |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return float(seconds)


def _redis() -> Any:
    try:
        import redis
    except ModuleNotFoundError as error:
        raise MissingExtra("redis", "redis", "looking features up in Redis") from error
    return redis
