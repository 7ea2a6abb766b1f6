"""Usual requests are answered by the connection, and nobody can tell but by the clock."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.faces.gateway.connection import Connection
from fairlead.faces.gateway.direct import BODY_BYTES, HEAD_BYTES, MOST_HEADS, Direct

Gateway = Any  # the fixtures' values: see conftest
House = Any
BODY = b'{"features":{"nights":2},"request_id":"r-1"}'
START = b"POST /v1/models/price/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
HOTEL = b'{"features":{"lead_time":30.5,"nights":2,"segment":"Groups","repeated":null},"request_id":"%d"}'


def whole(body: bytes = BODY, start: bytes = START) -> bytes:
    """A request's bytes."""
    return start + b"content-length: %d\r\n\r\n" % len(body) + body


class Line:
    """One raw connection that reads one answer at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._read = b""

    def ask(self, *pieces: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to what is sent in these pieces."""
        for piece in pieces:
            self.socket.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.01)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """The next answer."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, rest = self._read.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        self._read = rest
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(head.split()[1]), body

    def is_closed(self) -> bool:
        """Whether the server hung up."""
        return self.socket.recv(1) == b""

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the server hung up"
        self._read += data


@pytest.fixture
def line(gateway: Gateway) -> Iterator[Line]:
    """A connection to the gateway."""
    made = Line(gateway.port)
    yield made
    made.socket.close()


@pytest.fixture
def direct(gateway: Gateway, house: House) -> Direct:
    """The gateway's direct answers."""
    assert gateway
    found: Direct = house.door.app.direct
    return found


@pytest.fixture
def taken(direct: Direct, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request that reached `Direct.take` was answered there."""
    seen: list[bool] = []
    take = direct.take

    def watched(*arguments: Any) -> bool:
        seen.append(take(*arguments))
        return seen[-1]

    monkeypatch.setattr(direct, "take", watched)
    return seen


def test_a_usual_request_is_answered_directly(line: Line, gateway: Gateway, taken: list[bool]) -> None:
    """The first by way of the parser, the next by its head's bytes alone; each is in the log."""
    for _ in range(3):
        status, body = line.ask(whole())
        assert status == 200
        assert msgspec.json.decode(body)["prediction"] == 200.0
    assert taken == [True, True, True]
    assert len(gateway.log.kept_predictions) == 3


def test_a_known_head_is_not_parsed_again(
    line: Line, direct: Direct, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the parser made of the same bytes cannot differ."""
    line.ask(whole())
    assert list(direct.heads) == [whole()[: -len(BODY)]]
    monkeypatch.setattr(Connection, "on_message_begin", lambda _: pytest.fail("the parser was asked"))
    assert line.ask(whole())[0] == 200
    assert taken == [True, True]


@pytest.mark.parametrize("cut", [1, 20, len(START), len(whole()) - len(BODY), len(whole()) - 1])
def test_a_request_may_come_in_pieces(line: Line, cut: int) -> None:
    """Wherever it is cut, and whether its head is known or not."""
    data = whole()
    for _ in range(2):
        assert line.ask(data[:cut], data[cut:])[0] == 200


def test_requests_behind_each_other_are_answered_in_order(line: Line) -> None:
    """In one piece of bytes, known heads or not."""
    bodies = [b'{"features":{"nights":%d},"request_id":"%d"}' % (at, at) for at in range(1, 6)]
    for _ in range(2):
        line.socket.sendall(b"".join(whole(body) for body in bodies))
        answers = [msgspec.json.decode(line.answer()[1])["request_id"] for _ in bodies]
        assert answers == ["1", "2", "3", "4", "5"]


def test_what_comes_behind_a_request_that_waits_is_bounded(line: Line, house: House) -> None:
    """While an answer is still being sought, no more is read than one body may be long; then all is answered."""
    assert line.ask(whole())[0] == 200
    direct: Direct = house.door.app.direct
    held: list[Any] = []

    def hold(head: Any, body: bytes, send: Any) -> bool:
        assert (head.model, len(body)) == ("price", head.length)
        held.append(send)
        return True

    direct.take = hold  # type: ignore[method-assign]
    line.socket.sendall(whole())
    while not held:
        time.sleep(0.001)
    line.socket.setblocking(False)
    sent = 0
    for _ in range(1000):
        try:
            sent += line.socket.send(whole() * 100)
        except BlockingIOError:
            time.sleep(0.001)
    line.socket.setblocking(True)
    (send,) = held
    assert len(send.__self__._after) <= BODY_BYTES + 256 * 2**10
    assert sent > BODY_BYTES
    house.loop.call_soon_threadsafe(send, 200, b"{}", None)
    assert line.answer() == (200, b"{}")
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # the rest is not asked for
    line.socket.close()
    while house.server.server_state.connections:
        time.sleep(0.01)


def test_nobody_overtakes_a_request_that_waits(line: Line, house: House, gateway: Gateway) -> None:
    """Requests that came with it are answered after it, by whichever way: so they are not parsed behind it."""
    assert gateway
    direct: Direct = house.door.app.direct
    held: list[Any] = []

    def hold(head: Any, body: bytes, send: Any) -> bool:
        assert (head.model, len(body)) == ("price", head.length)
        held.append(send)
        return True

    direct.take = hold  # type: ignore[method-assign]
    line.socket.sendall(whole() + whole())
    assert [line.answer()[0] for _ in range(2)] == [200, 200]
    assert held == []
    line.socket.sendall(whole())
    while not held:
        time.sleep(0.001)
    line.socket.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(0.05)
    house.loop.call_soon_threadsafe(held[0], 200, b"{}", None)
    assert line.answer() == (200, b"{}")
    assert b"generation" in line.answer()[1]


def test_many_connections_share_a_turn(gateway: Gateway) -> None:
    """Each gets its own answer."""
    lines = [Line(gateway.port) for _ in range(100)]
    for _ in range(3):
        for at, one in enumerate(lines):
            one.socket.sendall(whole(b'{"features":{"nights":%d},"request_id":"%d"}' % (at, at)))
        for at, one in enumerate(lines):
            body = msgspec.json.decode(one.answer()[1])
            assert (body["request_id"], body["prediction"]) == (str(at), 100.0 * at)
    for one in lines:
        one.socket.close()
    assert len(gateway.log.kept_predictions) == 300


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"features":{"nights":"two"}}', 422),
        (b'{"features":{}}', 422),
        (b'{"features":', 400),
        (b"", 400),
        (b'{"instances":[{"nights":1}]}', 200),
        (b'{"features":{"nights":1},"version":1}', 200),
        (b'{"features":{"nights":1},"timestamp":"yesterday"}', 400),
        (b'{"features":{"nights":1},"request_id":"\xff"}', 400),
    ],
)
def test_what_is_not_usual_is_left_to_the_application(
    line: Line, gateway: Gateway, taken: list[bool], body: bytes, status: int
) -> None:
    """With nothing counted or logged twice, and the connection goes on."""
    for _ in range(2):
        assert line.ask(whole(body))[0] == status
        assert line.ask(whole())[0] == 200
    assert taken == [False, True, False, True]
    assert sum(one.count for one in gateway.serving.tally.snapshot(0, 1, 1, []).requests) == 4


@pytest.mark.parametrize(
    "field",
    [
        b"expect: 100-continue\r\n",
        b"connection: close\r\n",
        b"origin: http://evil.example\r\n",
        b"content-type: application/json\r\n",
        b"content-encoding: gzip\r\n",
        b"transfer-encoding: chunked\r\n",
    ],
)
def test_an_unusual_head_is_left_to_the_application(
    line: Line, taken: list[bool], direct: Direct, field: bytes
) -> None:
    """Its bytes are never known."""
    line.socket.sendall(START + field + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
    line.socket.settimeout(60.0)
    assert line.socket.recv(9) == b"HTTP/1.1 "
    assert taken == []
    assert direct.heads == {}


def test_heads_that_are_known_are_few_and_short(line: Line, direct: Direct) -> None:
    """Whoever invents heads fills no memory."""
    line.ask(START + b"a: " + b"v" * HEAD_BYTES + b"\r\n" + whole()[len(START) :])
    assert direct.heads == {}
    for at in range(MOST_HEADS + 10):
        assert line.ask(START + b"a: %d\r\n" % at + whole()[len(START) :])[0] == 200
    assert len(direct.heads) <= MOST_HEADS


def test_each_trace_is_its_own(line: Line, gateway: Gateway, direct: Direct) -> None:
    """A head is known whatever trace it tells, and each request's record has its own."""
    heads = []
    for at in (1, 2, 3):
        trace = b"traceparent: 00-%032x-%016x-01\r\n" % (at, at)
        assert line.ask(START + trace + whole()[len(START) :])[0] == 200
        heads.append(list(direct.heads))
    assert [record.trace_id for record in gateway.log.kept_predictions] == [f"{at:032x}" for at in (1, 2, 3)]
    assert heads == [[START + b"traceparent: \r\n" + whole()[len(START) : -len(BODY)]]] * 3


@pytest.mark.parametrize(
    "field",
    [
        b"traceparent: 00-%032x-%016x-01\r\ntracestate: a=b\r\n",
        b"Traceparent: 00-%032x-%016x-01\r\n",
    ],
)
def test_a_trace_told_otherwise_is_parsed_each_time(line: Line, gateway: Gateway, direct: Direct, field: bytes) -> None:
    """And is no less told."""
    for at in (1, 2):
        assert line.ask(START + field % (at, at) + whole()[len(START) :])[0] == 200
    assert [record.trace_id for record in gateway.log.kept_predictions] == [f"{at:032x}" for at in (1, 2)]
    assert direct.heads == {}


def test_a_trace_that_is_none_is_not_told(line: Line, gateway: Gateway) -> None:
    """Also where the head is known but for it."""
    for value in (b"00-%032x-%016x-01" % (1, 1), b"00-%032x-%016x-01" % (0, 1), b"z" * 55):
        assert line.ask(START + b"traceparent: " + value + b"\r\n" + whole()[len(START) :])[0] == 200
    assert [record.trace_id for record in gateway.log.kept_predictions] == [f"{1:032x}", None, None]


def test_a_body_too_long_for_the_connection_goes_on(line: Line, taken: list[bool]) -> None:
    """The application takes it."""
    body = BODY + b" " * BODY_BYTES
    assert line.ask(whole(body))[0] == 200
    assert taken == []


def test_a_failure_is_told_and_counted_for_its_version(line: Line, gateway: Gateway, taken: list[bool]) -> None:
    """500 for a model that raises, 503 for a log that is full, and the connection lives."""
    start = START.replace(b"price", b"hotel")
    failing = HOTEL.replace(b"30.5", b"950") % 1
    assert line.ask(whole(failing, start))[0] == 500
    gateway.log.full = True
    status, body = line.ask(whole())
    assert (status, b"full" in body) == (503, True)
    gateway.log.full = False
    assert line.ask(whole())[0] == 200
    assert taken == [True, True, True]
    counted = {(one.model_name, one.code) for one in gateway.serving.tally.snapshot(0, 1, 1, []).requests}
    assert counted == {("hotel", 500), ("price", 503), ("price", 200)}


def test_a_request_that_stops_half_way_is_given_up(
    line: Line, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408, also where its head is known; the same holds for a first request."""
    assert line.ask(whole())[0] == 200
    monkeypatch.setattr(Connection, "read_seconds", 0.3)
    status, _ = line.ask(whole()[:-3])
    assert status == 408
    assert line.is_closed()
    assert len(gateway.log.kept_predictions) == 1


def test_an_idle_connection_is_closed_in_time(house: House, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while it is used, though no request sets a timer of its own; not by the timer of the first request either."""
    assert gateway
    monkeypatch.setattr(Connection, "read_seconds", 0.4)
    monkeypatch.setattr(house.server.config, "timeout_keep_alive", 3.0)
    line = Line(gateway.port)
    begun = time.monotonic()
    while time.monotonic() - begun < 3.5:
        assert line.ask(whole())[0] == 200
        time.sleep(0.6)
    assert line.is_closed()
    line.socket.close()


def test_the_last_answer_leaves_before_the_server(start_gateway: Callable[..., Gateway], house: House) -> None:
    """A connection that is told to end while its request is under way answers, says so, and closes."""
    gateway = start_gateway()
    line = Line(gateway.port)
    assert line.ask(whole())[0] == 200
    direct: Direct = house.door.app.direct
    take = direct.take

    def taken(head: Any, body: bytes, send: Any) -> bool:
        done = take(head, body, send)
        send.__self__.shutdown()
        return done

    direct.take = taken  # type: ignore[method-assign]
    line.socket.sendall(whole())
    said = b""
    while data := line.socket.recv(65536):
        said += data
    line.socket.close()
    assert said.startswith(b"HTTP/1.1 200")
    assert b"connection: close\r\n" in said
    assert len(gateway.log.kept_predictions) == 2


def test_where_answers_wait_for_the_disk_the_application_answers(
    start_gateway: Callable[..., Gateway], house: House
) -> None:
    """`durability: sync` syncs before it answers."""
    gateway = start_gateway(sync=True)
    line = Line(gateway.port)
    assert line.ask(whole())[0] == 200
    assert gateway.log.synced == 1
    line.socket.close()
    assert house.door.app.direct.heads == {}


PIECES = st.lists(
    st.sampled_from(
        [
            whole(),
            whole(HOTEL % 1, START.replace(b"price", b"hotel")),
            whole(b'{"features":{"nights":-1}}'),
            whole(b'{"features":{"nights":"x"}}'),
            whole(b"{"),
            whole(b'{"instances":[{"nights":1},{"nights":2}],"request_id":"b"}'),
            b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
            START + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        ]
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(requests=PIECES, cuts=st.lists(st.integers(1, 400), max_size=6), data=st.data())
def test_the_connection_answers_as_the_application_does(
    gateway: Gateway, house: House, requests: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    """Any requests, cut anywhere: the same statuses and bodies by both ways, but for ids and versions drawn by them."""
    assert data
    stream = b"".join(requests)
    places = sorted({cut for cut in cuts if cut < len(stream)})
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]

    def heard(is_direct: bool) -> list[tuple[int, Any]]:
        house.door.is_direct = is_direct
        line = Line(gateway.port)
        try:
            for piece in pieces:
                line.socket.sendall(piece)
            answers = [line.answer() for _ in requests]
        finally:
            line.socket.close()
            house.door.is_direct = True
        return [(status, _without_ids(msgspec.json.decode(body))) for status, body in answers]

    assert heard(True) == heard(False)


def _without_ids(body: Any) -> Any:
    if isinstance(body, dict) and len(body.get("request_id", "")) == 32:
        return {key: value for key, value in body.items() if key not in ("request_id", "version", "arm")}
    return body
