"""Where a stream is, as a URL.

    nats://[USER[:PASSWORD]@]HOST[:4222]/STREAM/SUBJECT[?group=…&retry=30s&start=first|new]
    redis://[[USER]:PASSWORD@]HOST[:6379]/STREAM[?group=…&retry=30s&start=first|new&db=0&field=body&maxlen=N]
    kafka://[USER:PASSWORD@]HOST[:9092][,HOST…]/TOPIC[?group=…&retry=30s&start=first|new]

`natss`, `rediss` and `kafkas` are the same over TLS. `${NAME}` is taken from the environment, so that a password need
not be typed. A password is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from msgspec import Struct, structs

from fairlead.config.grammar import duration
from fairlead.errors import SettingsError

Broker = Literal["nats", "redis", "kafka"]

PORTS: dict[Broker, int] = {"nats": 4222, "redis": 6379, "kafka": 9092}
SOURCE_KEYS = ("group", "retry", "start")
SINK_KEYS: dict[Broker, tuple[str, ...]] = {"nats": (), "redis": ("db", "field", "maxlen"), "kafka": ()}
KEYS: dict[Broker, tuple[str, ...]] = {
    "nats": SOURCE_KEYS,
    "redis": (*SOURCE_KEYS, *SINK_KEYS["redis"]),
    "kafka": SOURCE_KEYS,
}
DEAD = "dead"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_NAMES: dict[Broker, re.Pattern[str]] = {
    "nats": re.compile(r"[^\s.*>/\\]{1,255}"),
    "redis": re.compile(r"[^\s]{1,512}"),
    "kafka": re.compile(r"[A-Za-z0-9._-]{1,249}"),
}
_SUBJECT = re.compile(r"[^\s.]+(\.[^\s.]+)*")
_SHORTEST, _LONGEST = 0.1, 86_400.0  # seconds until a message is handed out again


class StreamUrl(Struct, frozen=True):
    """A stream's place. `subject` is NATS's; empty: all of the stream. `retry`: seconds until a message that was not
    done is handed out again. `anywhere`: whichever stream takes the subject will do."""

    broker: Broker
    hosts: tuple[tuple[str, int], ...]
    stream: str
    subject: str = ""
    tls: bool = False
    user: str = ""
    password: str = ""
    group: str = ""
    retry: float = 30.0
    start: Literal["first", "new"] = "first"
    db: int = 0
    field: str = "body"
    maxlen: int = 0
    anywhere: bool = False

    def __str__(self) -> str:
        """The URL without its password and options, for people and logs."""
        who = f"{self.user}@" if self.user else ""
        where = ",".join(f"{host}:{port}" for host, port in self.hosts)
        path = f"{self.stream}/{self.subject}" if self.subject else self.stream
        return f"{self.broker}{'s' * self.tls}://{who}{where}/{path}"

    def __repr__(self) -> str:
        """The same: what is printed by accident shows no password either."""
        return f"StreamUrl({str(self)!r})"

    @property
    def address(self) -> str:
        """Hosts and ports alone, for errors."""
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def parse_stream_url(text: str, option: str, environ: Mapping[str, str]) -> StreamUrl:
    """Reads a URL; `option` is the one that it was given to, and `--from` takes what only a source has.

    Raises `SettingsError`, whose text names the option and never a password.

    >>> str(parse_stream_url("redis://:${SECRET}@localhost/requests?group=g", "--from", {"SECRET": "x"}))
    'redis://localhost:6379/requests'
    """
    text = _VARIABLE.sub(lambda found: _variable(found[1], option, environ), text.strip())
    try:
        parts = urlsplit(text)
    except ValueError:  # its text may hold the password
        raise SettingsError(f"{option}: this is no URL: {_FORMS}") from None
    if "@" not in parts.netloc and "@" in text:  # the rest of a password would be taken for a host or a stream
        raise SettingsError(f"{option}: write an @, / or ? of a password or name as %40, %2F or %3F")
    broker, tls = _broker(parts.scheme, option)
    who, _, where = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    stream, subject = _path(broker, unquote(parts.path), option)
    if parts.fragment:
        raise SettingsError(f"{option}: a # begins no part of a stream's URL: write %23")
    known = StreamUrl(broker, _hosts(broker, where, option), stream, subject, tls, unquote(user), unquote(password))
    return _with_options(known, parts.query, option)


def dead_letters_beside(sink: StreamUrl) -> StreamUrl:
    """Where dead letters go unless told otherwise: the sink's name with `.dead`. A NATS stream's name takes no dot, so
    the subject has it, and the stream is `STREAM-dead` unless another takes that subject already.

    >>> str(dead_letters_beside(parse_stream_url("kafka://h/answers", "--to", {})))
    'kafka://h:9092/answers.dead'
    """
    if sink.broker == "nats":
        return structs.replace(sink, stream=f"{sink.stream}-{DEAD}", subject=f"{sink.subject}.{DEAD}", anywhere=True)
    return structs.replace(sink, stream=f"{sink.stream}.{DEAD}")


def is_same(one: StreamUrl, other: StreamUrl) -> bool:
    """Whether two URLs name the same stream as far as their text tells."""
    place = (one.broker, set(one.hosts), one.db, one.subject or one.stream)
    return place == (other.broker, set(other.hosts), other.db, other.subject or other.stream)


_FORMS = "write nats://HOST/STREAM/SUBJECT, redis://HOST/STREAM or kafka://HOST/TOPIC"


def _variable(name: str, option: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise SettingsError(f"{option}: the environment has no {name}: set it")
    return quote(environ[name], safe="")


def _broker(scheme: str, option: str) -> tuple[Broker, bool]:
    for name in PORTS:
        if scheme in (name, f"{name}s"):
            return name, scheme != name
    said = f"there is no broker {scheme!r}" if scheme else "this is no URL"
    raise SettingsError(f"{option}: {said}: {_FORMS}")


def _hosts(broker: Broker, where: str, option: str) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_host(broker, one, option) for one in where.split(","))
    if len(hosts) > 1 and broker == "redis":
        raise SettingsError(f"{option}: redis takes one host: put a proxy, or the primary, there")
    return hosts


def _host(broker: Broker, text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(PORTS[broker])
    if not host:
        raise SettingsError(f"{option}: the URL names no host: {_FORMS}")
    if not _HOST.fullmatch(host):
        raise SettingsError(f"{option}: {host!r} is no host's name")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(f"{option}: {port!r} is no port: write a number from 1 to 65535")
    return host, int(port)


def _path(broker: Broker, path: str, option: str) -> tuple[str, str]:
    stream, slash, subject = path.removeprefix("/").partition("/") if broker != "redis" else (path[1:], "", "")
    if not stream:
        what = {"nats": "/STREAM/SUBJECT", "redis": "/STREAM", "kafka": "/TOPIC"}[broker]
        raise SettingsError(f"{option}: the URL names no stream: end it with {what}")
    if not _NAMES[broker].fullmatch(stream):
        raise SettingsError(f"{option}: {stream!r} is no name of a {broker} stream")
    if slash and broker == "kafka":
        raise SettingsError(f"{option}: a Kafka topic has no part after a slash: write kafka://HOST/{stream}")
    if slash and not _SUBJECT.fullmatch(subject):
        raise SettingsError(
            f"{option}: {subject!r} is no NATS subject: write words with dots between, as in orders.new"
        )
    if broker == "nats" and option != "--from":
        if not subject:
            raise SettingsError(f"{option}: a subject to publish to is missing: write nats://HOST/{stream}/SUBJECT")
        if {"*", ">"} & set(subject.split(".")):
            raise SettingsError(f"{option}: {subject!r} is a pattern: name the one subject to publish to")
    return stream, subject


def _with_options(url: StreamUrl, query: str, option: str) -> StreamUrl:
    found: dict[str, object] = {}
    takes = KEYS[url.broker] if option == "--from" else SINK_KEYS[url.broker]
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in takes:
            near = get_close_matches(key, takes, n=1)
            said = f" (did you mean {near[0]}?)" if near else f": it takes {', '.join(takes) or 'none'}"
            raise SettingsError(f"{option}: {url.broker} has no option {key!r} here{said}")
        if key in found:
            raise SettingsError(f"{option}: {key} is given twice")
        found[key] = _option(key, value, option)
    return structs.replace(url, **cast("dict[str, str]", found))


def _option(key: str, value: str, option: str) -> object:
    if key == "retry":
        return _retry(value, option)
    if key == "start":
        if value not in ("first", "new"):
            raise SettingsError(f"{option}: start={value} is not known: first, or new")
        return value
    if key in ("db", "maxlen"):
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise SettingsError(f"{option}: {key}={value} is no whole number")
        return int(value)
    if not value or re.search(r"[\s.*>/\\]" if key == "group" else r"\s", value):
        raise SettingsError(f"{option}: {key}={value!r} is no name: letters, digits, - and _")
    return value


def _retry(value: str, option: str) -> float:
    try:
        seconds = duration(value)
    except SettingsError as error:
        raise SettingsError(f"{option}: retry: {error.line}") from None
    if not _SHORTEST <= seconds <= _LONGEST:
        raise SettingsError(f"{option}: retry={value} is out of range: from 100ms to 1d")
    return seconds
