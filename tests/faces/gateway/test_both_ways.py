"""The same bytes, answered by the connection and by the application: nobody can tell which it was."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from benchmarks.hostile.documents import written
from benchmarks.hostile.requests import Request, worse

from fairlead.faces.gateway.direct import Direct
from fairlead.faces.gateway.protocol import LimitedProtocol
from fairlead.flows.warm import Live

Gateway = Any  # the fixtures' values: see conftest
House = Any
JSON = ((b"content-type", b"application/json"),)
ROW: dict[str, Any] = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}
ROWS: tuple[dict[str, Any], ...] = (
    ROW,
    {**ROW, "segment": "Cruise"},
    {**ROW, "lead_time": 850.0},
    {**ROW, "lead_time": 950.0},
    {**ROW, "nights": 0},
)
END = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
VARIES = re.compile(rb"(date: [^\r]*|[0-9a-f]{32})")  # the second, and ids that are made up
LIES = 0.05  # of the connections: what they say of a length is wrong


def asked(random: Random, number: int) -> bytes:
    """A request to the native path, seldom a right one."""
    if random.random() < 0.2:
        document: dict[str, Any] = {"features": {"nights": random.choice((1, 2, "x"))}}
        path = "/v1/models/price/predict"
    else:
        document = {"features": random.choice(ROWS)}
        path = "/v1/models/hotel/predict"
    document |= random.choice(({}, {"unit_id": 7}, {"timestamp": 1.7e9}, {"request_id": f"r{number}", "unit_id": "u"}))
    request = Request("native", "", path, written(document), JSON, document=document)
    request = worse(random, request) if random.random() < 0.7 else request
    if random.random() < 0.05:
        return request.chunked(random)
    return request.raw()


def connection(seed: str) -> list[bytes]:
    """What one connection is sent, in pieces: one to four requests, a few of them twice, and then the last."""
    random = Random(seed)
    parts = [asked(random, number) for number in range(random.choice((1, 1, 2, 4)))]
    if random.random() < 0.5:
        parts += parts[:2]  # their heads are known by then
    if random.random() < LIES:
        parts[-1] = parts[-1].replace(
            b"content-length: ", random.choice((b"content-length: 1", b"content-length: 0")), 1
        )
    if random.random() < 0.3:
        parts = [b"".join(parts)]
    cut = random.randrange(1, len(parts[0]))
    return [parts[0][:cut], parts[0][cut:], *parts[1:], END] if random.random() < 0.3 else [*parts, END]


def heard(port: int, pieces: list[bytes]) -> bytes:
    """All that is answered on a connection, but for what is another each time."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                line.sendall(piece)
                time.sleep(0.0005)  # so that they come one by one, mostly; what comes together is right too
            while data := line.recv(65536):
                said += data
        except ConnectionError:
            pass  # the server closed it before it had read everything
    return VARIES.sub(b"*", said)


def kept(gateway: Gateway) -> list[tuple[Any, ...]]:
    """What was logged, but for what is another each time."""
    records = gateway.log.kept_predictions
    return sorted(
        (
            VARIES.sub(b"*", one.request_id.encode("utf-8", "replace")),
            bytes(one.features),
            one.status,
            repr(one.prediction),
        )
        for one in records
    )


def counted(gateway: Gateway) -> list[str]:
    """The answers by model, version, arm and status, and what was let through with a warning."""
    found = gateway.serving.tally.snapshot(0, 1, 3, [])
    return sorted(map(repr, (*found.requests, *found.warned)))


def alone(live: Live) -> Live:
    """The champions only: an arm that is dealt by a made-up id would be another each time."""
    models = {
        name: msgspec.structs.replace(
            model,
            route=msgspec.structs.replace(
                model.route, arms=(msgspec.structs.replace(model.route.arms[-1], share=1.0),)
            ),
        )
        for name, model in live.models.items()
    }
    return msgspec.structs.replace(live, models=models)


def compare(start: Callable[..., Gateway], house: House, seed: int, count: int) -> Gateway:
    """Sends the same connections both ways, and compares answers, log and counters."""
    told = []
    for is_direct in (True, False):
        house.door.is_direct = is_direct
        gateway = start()
        gateway.serving.live = alone(gateway.serving.live)
        answers = [heard(house.port, connection(f"{seed}/{number}")) for number in range(count)]
        told.append((answers, kept(gateway), counted(gateway)))
    house.door.is_direct = True
    (direct, log, counts), (application, its_log, its_counts) = told
    for number, (one, other) in enumerate(zip(direct, application, strict=True)):
        assert one == other, (number, connection(f"{seed}/{number}"))
    assert log == its_log
    assert counts == its_counts
    return gateway


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request that was tried directly was answered so. Requests must be whole in a third of a second."""
    found: list[bool] = []
    take = Direct.take

    def watched(self: Direct, *arguments: Any) -> bool:
        found.append(take(self, *arguments))
        return found[-1]

    monkeypatch.setattr(Direct, "take", watched)
    monkeypatch.setattr(LimitedProtocol, "read_seconds", 0.3)
    return found


def test_both_ways_answer_alike(start_gateway: Callable[..., Gateway], house: House, taken: list[bool]) -> None:
    """Five hundred connections with changed requests, in pieces, behind each other and repeated: the bytes of every
    answer are the same, and so are the log and the counters. A good many were answered by the connection."""
    gateway = compare(start_gateway, house, 11, 500)
    assert taken.count(True) > 200
    assert taken.count(False) > 100
    assert len(gateway.log.kept_predictions) > 200


@pytest.mark.slow
def test_both_ways_answer_alike_for_long(
    start_gateway: Callable[..., Gateway], house: House, taken: list[bool]
) -> None:
    """Five thousand."""
    compare(start_gateway, house, 5, 5000)
    assert taken.count(True) > 2000
