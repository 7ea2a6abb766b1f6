"""A caller of the stage."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Thread

from fairlead.flows.gate_checks.caller import Caller, Reply, ask, predict_path
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.loopback import own_port
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def serve_once(answer: bytes) -> str:
    """A server that reads one request with the body {}, says this, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener, listener.accept()[0] as connection:
            heard = b""
            while not heard.endswith(b"{}"):
                heard += connection.recv(65536)
            connection.sendall(answer)

    Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def told(answer: bytes) -> Reply:
    """What a caller makes of an answer."""
    with Caller(serve_once(answer)) as caller:
        return caller.post("/", b"{}")


def test_an_answer_is_read_and_timed(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Status, body and milliseconds; the connection is used again."""
    examined = subject(put())
    with Caller(stage(examined).base_url) as caller:
        body = ask(b'{"age":30.0,"nights":2,"city":"cairo"}', "r1")
        replies = [caller.post(predict_path("stay"), body) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert replies[0].body["request_id"] == "r1"
    assert all(reply.milliseconds > 0 for reply in replies)


def test_nobody_there_is_an_answer_too() -> None:
    """A refused connection has status 0 and says why."""
    with Caller(f"http://127.0.0.1:{own_port()}") as caller:
        reply = caller.post("/", b"{}")
    assert (reply.status, reply.ok) == (0, False)
    assert "ConnectionRefusedError" in reply.said


def test_a_connection_that_ends_early_is_an_answer_too() -> None:
    """A server that hangs up without a word has status 0."""
    reply = told(b"")
    assert (reply.status, reply.body) == (0, {})


def test_a_body_that_is_no_json_has_no_error_text() -> None:
    """An HTML error page is a status without a JSON error."""
    page = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\n<h1>502</"
    reply = told(page)
    assert (reply.status, reply.error, reply.said) == (502, "", "502")


def test_an_error_that_is_no_text_is_none() -> None:
    """`error` counts only where it is a text."""
    page = b'HTTP/1.1 400 Bad\r\ncontent-length: 12\r\n\r\n{"error": 1}'
    assert told(page).error == ""
