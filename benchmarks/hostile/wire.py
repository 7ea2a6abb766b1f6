"""HTTP that is broken, or lies about itself, or is right and comes in pieces: what one connection is sent."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from itertools import pairwise
from random import Random
from socket import SO_LINGER, SOL_SOCKET
from typing import NamedTuple

from msgspec import Struct, field

from benchmarks.hostile.answers import ALLOWED, PARSER, Answer, Torn, read_answer, rows_of
from benchmarks.hostile.documents import bytes_changed
from benchmarks.hostile.house import SLOW, WIRE, House
from benchmarks.hostile.requests import Request, right

TOGETHER = 128  # connections at a time
HANG_SECONDS = 60.0
START = b"POST /v1/models/wire/predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
LENGTHS = (
    b"-1", b"abc", b"1 2", b"+5", b"0x5", b"9" * 30, b"18446744073709551616", b"", b"5\r\ncontent-length: 6", b"0",
    b"1", b"5,5", b" 7 ", b"1e3", b"00000000000000000000005", b"2097153", b"4294967296", b"\xb2",
)  # fmt: skip
CODINGS = (
    b"chunked\r\ncontent-length: 5", b"chunked, gzip", b"gzip, chunked", b"identity", b"xchunked", b"Chunked ",
    b"chunked;q=1", b"chunked\r\ntransfer-encoding: chunked", b"\x0bchunked", b"chunked,", b"", b"gzip",
    b"chunked\r\ntransfer-encoding: identity",
)  # fmt: skip
CHUNKS = (
    b"fffffffffffffffff\r\n", b"-1\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"5\r\nhello0\r\n\r\n",
    b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"\r\n", b"g\r\n",
    b"5\r\nhello\r\n0\r\nx: y", b"5\r\nhello\r\n0\r\ncontent-length: 9\r\n\r\n",
    b"00000000000000000000002\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n2\r\n", b"7fffffffffffffff\r\n{}", b"\x00",
    b"2\r\n{}\r\n0\r\n: z\r\n\r\n",
)  # fmt: skip
LINES = (
    b"POST /v1/models/wire/predict", b"POST /v1/models/wire/predict HTTP/1.0", b"POST /v1/models/wire/predict HTTP/0.9",
    b"POST /v1/models/wire/predict HTTP/2.0", b"POST /v1/models/wire/predict HTTP/1.2",
    b"POST /v1/models/wire/predict HTTP/9.9", b"post /v1/models/wire/predict HTTP/1.1",
    b"POST  /v1/models/wire/predict HTTP/1.1", b"POST /v1/models/wire /predict HTTP/1.1",
    b"POST\t/v1/models/wire/predict\tHTTP/1.1", b"POST http://127.0.0.1/v1/models/wire/predict HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1", b"POST /v1/models/w\xffre/predict HTTP/1.1", b"POST /v1/models/w\x00re/predict HTTP/1.1",
    b"PRI * HTTP/2.0", b"\x00", b"GET / HTTP/1.1 x", b"POST //evil/v1/models/wire/predict HTTP/1.1",
    b"POST ?x HTTP/1.1", b"POST http:// HTTP/1.1", b"OPTIONS * HTTP/1.1", b"HTTP/1.1 200 OK", b"SOURCE /x ICE/1.0",
    b"M-SEARCH * HTTP/1.1", b"POST /v1/models/wire/predict HTTP/1.1\r", b" POST /v1/models/wire/predict HTTP/1.1",
    b"POST /v1/models/wire/predict rtsp/1.1", b"POST /v1/models/" + b"%41" * 2000 + b"/predict HTTP/1.1",
)  # fmt: skip
HEADS = (
    b"nocolon\r\n", b"space : x\r\n", b" folded: x\r\n", b"a: b\r\n c\r\n", b"a: b\rc: d\r\n", b"a: b\nc: d\n",
    b"nul: \x00\r\n", b": empty\r\n", b"a\x00b: c\r\n", b"x: " + b"y" * 70_000 + b"\r\n", b"z: 1\r\n" * 3000,
    b"upgrade: h2c\r\nconnection: upgrade\r\n", b"\xff\xfe: x\r\n",
    b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n",
    b"connection: close\r\n", b"connection: close\r\nconnection: keep-alive\r\n", b"expect: 100-continue\r\n",
    b"expect: 999\r\n", b"host: a\r\nhost: b\r\n", b"trailer: x\r\n", b"upgrade: x\r\n", b"connection: upgrade\r\n",
    b"te: chunked\r\n", b"proxy-connection: close\r\n", b"keep-alive: timeout=0\r\n", b"x: \x7f\x01\r\n",
)  # fmt: skip
OTHERS = (
    b"", b"\r\n", b"\r\n" * 3000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-OpenSSH_9.6\r\n",
    b"EHLO here\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", b"GET",
    b"{}", b"*1\r\n$4\r\nPING\r\n", b"\x80\x9e\x01\x03\x01", b"POST ", START, START + b"\r\n",
    START + b"content-length: 5\r\n\r\n", START[:-2],
)  # fmt: skip

TAILS = (
    b"\x00", b"{}", b"GET", b"GET / HTTP/9.9\r\n\r\n", START + b"content-length: x\r\n\r\n", START + b"nocolon\r\n\r\n",
    START + b"transfer-encoding: chunked\r\n\r\nzz\r\n", START + b"content-length: 5\r\n\r\n{", b"\x16\x03\x01",
    START + b"a\x00: b\r\n\r\n",
)  # fmt: skip


class Shot(NamedTuple):
    """What one connection is sent, in pieces. `ids`: of the answers that must come, in order, where all of it is right;
    `leaves`: how the caller goes, without waiting for an answer: it closes (`fin`) or resets (`rst`)."""

    kind: str
    pieces: tuple[bytes, ...]
    ids: tuple[str, ...] | None = None
    leaves: str = ""


class Heard(Struct):
    """What came of the shots."""

    shots: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)


def shot(random: Random, number: int) -> Shot:
    """One connection's bytes."""
    kinds = (
        _length,
        _coding,
        _chunk,
        _line,
        _head,
        _bytes,
        _other,
        _pieces,
        _pieces,
        _pipeline,
        _pipeline,
        _tail,
        _leave,
    )
    return random.choice(kinds)(random, number)


def _right(random: Random, number: int, part: int = 0) -> Request:
    protocol = random.choice(("native", "native", "batch"))
    made = right(random, number, protocol, WIRE)
    return made._replace(body=made.body.replace(b'"q%d' % number, b'"w%d-%d' % (number, part)))


def _length(random: Random, number: int) -> Shot:
    body = _right(random, number).body
    lies = (
        b"%d" % (len(body) - random.randrange(1, 9)),
        b"%d" % (len(body) + random.randrange(1, 99)),
        random.choice(LENGTHS),
    )
    return Shot("length", (START + b"content-length: " + random.choice(lies) + b"\r\n\r\n" + body,))


def _coding(random: Random, number: int) -> Shot:
    body = _right(random, number).body
    framed = random.choice((b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), body))
    return Shot("coding", (START + b"transfer-encoding: " + random.choice(CODINGS) + b"\r\n\r\n" + framed,))


def _chunk(random: Random, number: int) -> Shot:
    del number
    return Shot("chunk", (START + b"transfer-encoding: chunked\r\n\r\n" + random.choice(CHUNKS),))


def _line(random: Random, number: int) -> Shot:
    raw = _right(random, number).raw()
    return Shot("line", (random.choice(LINES) + raw[raw.index(b"\r\n") :],))


def _head(random: Random, number: int) -> Shot:
    raw = _right(random, number).raw()
    at = raw.index(b"\r\n") + 2 if random.random() < 0.5 else raw.index(b"\r\n\r\n") + 2
    return Shot("head", (raw[:at] + random.choice(HEADS) + raw[at:],))


def _bytes(random: Random, number: int) -> Shot:
    raw = _right(random, number).raw()
    for _ in range(random.choice((1, 1, 3))):
        raw = bytes_changed(random, raw)
    return Shot("bytes", (raw,))


def _other(random: Random, number: int) -> Shot:
    del number
    return Shot("other", (random.choice((*OTHERS, random.randbytes(500))),))


def _whole(random: Random, number: int, count: int) -> tuple[bytes, tuple[str, ...]]:
    """Right requests, one behind another, and the ids of their answers."""
    asked = [right(random, number, "native", random.choice((WIRE, WIRE, WIRE, SLOW))) for _ in range(count)]
    parts = []
    for part, request in enumerate(asked):
        body = request.body.replace(b'"q%d"' % number, b'"w%d-%d"' % (number, part))
        renamed = request._replace(body=body)
        parts.append(renamed.chunked(random) if random.random() < 0.2 else renamed.raw())
    return b"".join(parts), tuple(f"w{number}-{part}" for part in range(count))


def _cut(random: Random, raw: bytes, most: int) -> tuple[bytes, ...]:
    cuts = sorted({0, len(raw), *(random.randrange(len(raw)) for _ in range(random.randrange(1, most)))})
    return tuple(raw[start:end] for start, end in pairwise(cuts))


def _pieces(random: Random, number: int) -> Shot:
    """One request after the other, in pieces that end anywhere."""
    raw, ids = _whole(random, number, random.choice((1, 2)))
    return Shot("pieces", _cut(random, raw, 8), ids)


def _pipeline(random: Random, number: int) -> Shot:
    raw, ids = _whole(random, number, random.randrange(2, 9))
    return Shot("pipeline", _cut(random, raw, 4) if random.random() < 0.5 else (raw,), ids)


def _tail(random: Random, number: int) -> Shot:
    """Right requests, and behind them what is none: it costs those before it no answer."""
    raw, ids = _whole(random, number, random.randrange(1, 5))
    whole = raw + random.choice(TAILS)
    return Shot("tail", _cut(random, whole, 4) if random.random() < 0.3 else (whole,), ids)


def _leave(random: Random, number: int) -> Shot:
    raw, _ = _whole(random, number, random.choice((1, 2)))
    cut = raw[: random.randrange(1, len(raw) + 1)] if random.random() < 0.5 else raw
    return Shot("leave", (cut,), None, random.choice(("fin", "rst")))


async def _fire(port: int, one: Shot) -> list[Answer]:
    """All answers of a connection until the server ends it. Raises `Torn`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    heard: list[Answer] = []
    try:
        for index, piece in enumerate(one.pieces):
            if index:
                await asyncio.sleep(0.001)
            writer.write(piece)
        if one.leaves == "rst":
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        if one.leaves:
            return heard
        async with asyncio.timeout(HANG_SECONDS):
            while (answer := await read_answer(reader)) is not None:
                heard.append(answer)
                if one.ids is not None and len(heard) == len(one.ids):
                    break
    except ConnectionError:
        pass  # it was closed before all that was sent had been read: what came before may be lost with it
    finally:
        writer.close()
    return heard


def _judge(one: Shot, answers: list[Answer]) -> str | None:
    """What is wrong with what came."""
    for answer in answers:
        if answer.status not in ALLOWED:
            return f"the status {answer.status}"
        if answer.status != 200 and answer.body != PARSER and answer.headers.get("content-type") != "application/json":
            return f"no problem: {answer.body[:200]!r}"
    if one.ids is None:
        return None
    found = [row["request_id"] for answer in answers if answer.status == 200 for row in rows_of(answer)]
    return None if found == list(one.ids) else f"answered {found} for {list(one.ids)}: {[a.status for a in answers]}"


async def _one(port: int, seed: int, number: int, heard: Heard, gate: asyncio.Semaphore) -> None:
    made = shot(Random(f"wire/{seed}/{number}"), number)
    async with gate:
        try:
            answers = await _fire(port, made)
            wrong = _judge(made, answers)
        except (Torn, OSError, TimeoutError) as error:
            answers, wrong = [], f"{type(error).__name__} {error}"
    heard.shots += 1
    heard.kinds[made.kind] += 1
    heard.statuses.update(answer.status for answer in answers)
    heard.acknowledged.update(
        row["request_id"]
        for answer in answers
        if answer.status == 200 and b"request_id" in answer.body
        for row in rows_of(answer)
    )
    if wrong is not None:
        heard.complaints.append(f"shot {number} ({made.kind}): {wrong}, for {[piece[:600] for piece in made.pieces]!r}")


async def fire_all(house: House, heard: Heard, seed: int, numbers: range) -> None:
    """Fires the numbered shots."""
    gate = asyncio.Semaphore(TOGETHER)
    await asyncio.gather(*(_one(house.port, seed, number, heard, gate) for number in numbers))
