"""JSON documents as data that can be broken in ways that JSON libraries do not write: twice the same key, half of a
surrogate pair, a number without end, bytes that are no UTF-8."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

DEEP, WIDE, LONG = 3000, 100_000, 100_000


class Text(bytes):
    """JSON as it is written, well-formed or not."""


class Pairs(list[tuple[Any, Any]]):
    """An object by its pairs: a key may come twice."""


STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, -1e308, 5e-324, 1e22, 2**31, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63) - 1, 2**64, 10**40, "", " ", "x", "0", "1", "NaN", "null", "true", "Direct", "berlin", "a" * 256,
    "a" * 257, "\u0000", "\U0001f600", "\u202e", "é", "e\u0301", "../../etc/passwd", "' OR 1=1 --", "<script>",
    "{{7*7}}", "%s%n", "\r\nx: y", [], {}, [[]], [{}], [None], [0], ["x"], {"": 0}, {"features": {}},
    {"request_id": "a"}, {"unit_id": None}, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", 253402300799, 253402300800, -62135596800,
)  # fmt: skip
WRITTEN = tuple(
    Text(text)
    for text in (
        b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"1e400", b"-1e400", b"1e-400", b"01", b"+1", b".5", b"5.", b"1e",
        b"0x10", b"1_000", b"--1", b"- 1", b"1E+2", b"-0", b"1.0000000000000000000000000000000001", b"9" * 400,
        b"0." + b"0" * 400 + b"1", b"1e99999999999999999999", b"True", b"None", b"undefined", b"nul", b"'x'", b'"',
        b'"x', b'"\\', b'"\\u12"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\x00"',
        b'"\n"', b'"\\x41"', b'"\xff\xfe"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x28"',
        b"\xef\xbb\xbf1", b"[", b"]", b"{", b"}", b"[,]", b"[1,]", b"{,}", b'{"a"}', b'{"a":}', b'{1:2}', b"[1 2]",
        b"/*x*/1", b"//x\n1", b"", b" ", b"\x00",
    )
)  # fmt: skip
KEYS: tuple[Any, ...] = (
    "", "x", "features", "instances", "request_id", "unit_id", "timestamp", "version", "id", "inputs", "outputs",
    "parameters", "params", "data", "shape", "datatype", "name", "\u0000", "a" * 300, "__proto__", "AGE", "age ",
    "\U0001f600", Text(b'"\\ud800"'), Text(b'"\xff"'), Text(b"age"), Text(b"'age'"), Text(b"1"), Text(b'"ag\\u0065"'),
)  # fmt: skip


def written(value: Any) -> bytes:
    """A document as bytes, whatever is in it."""
    if isinstance(value, Text):
        return bytes(value)
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        return b"{" + b",".join(written(key) + b":" + written(one) for key, one in value) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(written, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is in a document, its root first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] + [path for key, one in inner for path in places(one, (*at, key))]


def changed(random: Random, document: Any) -> Any:
    """The document with something else in one place."""
    at = random.choice(places(document))
    return _with(document, at, lambda value: _altered(random, value))


def _with(value: Any, at: tuple[Any, ...], alter: Any) -> Any:
    """A copy with one place altered; copies no more than the way there."""
    if not at:
        return alter(value)
    key, *rest = at
    if isinstance(value, dict):
        return {name: _with(one, tuple(rest), alter) if name == key else one for name, one in value.items()}
    return [_with(one, tuple(rest), alter) if index == key else one for index, one in enumerate(value)]


def _altered(random: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.6:
        return _object(random, value)
    if isinstance(value, list) and random.random() < 0.6:
        return _list(random, value)
    kind = random.random()
    if kind < 0.45:
        return random.choice(STRANGE)
    if kind < 0.8:
        return random.choice(WRITTEN)
    if kind < 0.9:
        return random.choice(([value], {"x": value}, [value, value], str(value), [[value]], Text(written(value) * 2)))
    return _large(random, value)


def _object(random: Random, value: dict[Any, Any]) -> Any:
    pairs = Pairs(value.items())
    at = random.randrange(len(pairs))
    match random.randrange(7):
        case 0:
            del pairs[at]
        case 1:
            pairs.insert(at, (random.choice(KEYS), random.choice(STRANGE)))
        case 2:
            pairs.append((pairs[at][0], random.choice((pairs[at][1], random.choice(STRANGE)))))
        case 3:
            pairs[at] = (random.choice(KEYS), pairs[at][1])
        case 4:
            random.shuffle(pairs)
        case 5:
            pairs[at] = (str(pairs[at][0]).upper(), pairs[at][1])
        case _:
            return [list(pair) for pair in pairs]
    return pairs


def _list(random: Random, value: list[Any]) -> Any:
    match random.randrange(6):
        case 0:
            return value[:-1]
        case 1:
            return [*value, random.choice(STRANGE)]
        case 2:
            return value * random.choice((2, 3, 10))
        case 3:
            return [value]
        case 4:
            return {str(index): one for index, one in enumerate(value)}
        case _:
            return value[::-1]


def _large(random: Random, value: Any) -> Any:
    """Deep, wide or long."""
    return random.choice(_LARGE)(random, value)


_LARGE: tuple[Callable[[Random, Any], Any], ...] = (
    lambda _random, _value: Text(b"[" * DEEP + b"]" * DEEP),
    lambda random, _value: Text(b"[" * random.choice((10, 500, 100_000))),
    lambda _random, _value: Text(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    lambda random, value: Text(b"[" + b",".join([written(value)[:50] or b"0"] * random.choice((257, 5000))) + b"]"),
    lambda random, _value: Text(b"[" + b"0," * (random.choice((9, 99, 999, WIDE)) - 1) + b"0]"),
    lambda random, _value: "a" * random.choice((1024, 1025, 4096, LONG)),
    lambda random, _value: Text(b'"' + b"\\u0041" * random.choice((256, 5000)) + b'"'),
    lambda random, _value: Text(
        b"{" + b",".join(b'"k%d":0' % index for index in range(random.choice((50, 2000)))) + b"}"
    ),
)


def bytes_changed(random: Random, data: bytes) -> bytes:
    """The bytes with a wrong one, one too many, one too few, or much worse."""
    if not data:
        return random.choice((b"\x00", b"\xff", b" ", b"{}", b"[]", b"null"))
    at, to = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return random.choice(_CHANGES)(random, data, at, to)


def _flipped(random: Random, data: bytes, at: int, to: int) -> bytes:
    del to
    spot = min(at, len(data) - 1)
    return data[:spot] + bytes([data[spot] ^ (1 << random.randrange(8))]) + data[spot + 1 :]


def _framed(random: Random, data: bytes, at: int, to: int) -> bytes:
    del at, to
    return random.choice((b"\xef\xbb\xbf" + data, b" \r\n\t" + data + b"\n", data + data, data + b"x", b"\x0c" + data))


def _recoded(random: Random, data: bytes, at: int, to: int) -> bytes:
    del at, to
    return data.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-16-le", "utf-32")))


_CHANGES: tuple[Callable[[Random, bytes, int, int], bytes], ...] = (
    lambda _random, data, at, _to: data[:at],
    lambda _random, data, _at, to: data[:to],
    _flipped,
    _flipped,
    lambda random, data, at, _to: data[:at] + random.randbytes(random.choice((1, 2, 16))) + data[at:],
    lambda _random, data, at, to: data[:at] + data[to:],
    lambda _random, data, at, to: data[:to] + data[at:],
    lambda _random, data, at, _to: data[:at] + b"\x00" + data[at:],
    _framed,
    _recoded,
    lambda random, _data, _at, _to: random.randbytes(random.choice((1, 64, 1000))),
    lambda _random, _data, _at, _to: b"",
)
