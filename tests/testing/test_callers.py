"""Callers from a thread, before a small server that refuses, hangs up or breaks off as it is told."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any

import pytest

from fairlead.testing.callers import Callers, stays


class Gateway(ThreadingHTTPServer):
    """Answers 200; every sixth request 503, and hangs up; every tenth in half, and hangs up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        self.numbers = count(1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Gateway

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append({**body, "path": self.path})
        number = next(self.server.numbers)
        busy, half = number % 6 == 0, number % 10 == 0
        said = json.dumps({"error": "the log is full"} if busy else {"version": 3}).encode()
        self.send_response(503 if busy else 200)
        self.send_header("content-length", str(len(said)))
        if busy:
            self.send_header("retry-after", "1")
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(said[:4] if half else said)
        self.close_connection = busy or half

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A running server, stopped at the end."""
    with Gateway() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(gateway: Gateway, callers: Callers, requests: int) -> None:
    """Leaves the callers after so many requests."""
    with callers:
        while len(gateway.asked) < requests:
            time.sleep(0.005)


def test_each_request_is_asked_once_and_is_answered_or_broken(gateway: Gateway) -> None:
    """Whatever the server does: what it was asked is what the callers know of, under one id each, and they go on."""
    begun = time.time()
    callers = Callers(gateway.server_port, 3, pause=0.0)
    asked(gateway, callers, 120)
    names = [one["request_id"] for one in gateway.asked]
    assert len(set(names)) == len(names)
    assert Counter(names) == Counter([*(answer.request_id for answer in callers.answers), *callers.broken])
    assert all(one["unit_id"] == one["request_id"] for one in gateway.asked)
    assert gateway.connections >= 20, "who was hung up on connects again"
    assert callers.statuses[503] == sum(number % 6 == 0 and number % 10 != 0 for number in range(1, len(names) + 1))
    assert {(one.status, one.version, one.retry_after, one.error) for one in callers.answers} == {
        (200, 3, "", ""),
        (503, 0, "1", "the log is full"),
    }
    assert len(callers.broken) == len(names) // 10
    assert callers.acknowledged == [answer.request_id for answer in callers.by(3)]
    assert callers.since(begun) == callers.answers
    assert callers.since(time.time()) == []
    assert all(begun <= one.begun <= one.ended <= time.time() for one in callers.answers)


def test_rows_are_asked_in_turn_of_the_model_that_is_named(gateway: Gateway) -> None:
    """The formula's by default, each connection in another order; else the ones that are given."""
    asked(gateway, Callers(gateway.server_port, 2), 40)
    assert {one["path"] for one in gateway.asked} == {"/v1/models/stay/predict"}
    assert len({json.dumps(one["features"]) for one in gateway.asked}) >= 30
    assert all(one["features"] in stays() for one in gateway.asked)
    gateway.asked.clear()
    asked(gateway, Callers(gateway.server_port, 2, model="hotel", rows=[{"x": 1}, {"x": 2}]), 20)
    assert {one["path"] for one in gateway.asked} == {"/v1/models/hotel/predict"}
    assert {one["features"]["x"] for one in gateway.asked} == {1, 2}
