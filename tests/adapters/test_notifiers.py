"""Notices reach the terminal and a real web server, or say why not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from msgspec.structs import replace

from fairlead.adapters.json_post import ATTEMPTS
from fairlead.adapters.notifiers import ConsoleNotifier, WebhookNotifier
from fairlead.errors import SettingsError, StateError
from fairlead.testing.loopback import own_port
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier


class Hook(HTTPServer):
    """A server that answers with the statuses it is given, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses: list[int] = []
        self.bodies: list[str] = []

    @property
    def url(self) -> str:
        """Its address, with a secret in path and query."""
        return f"http://127.0.0.1:{self.server_port}/hooks/s3cret?token=t0ken"


class Answer(BaseHTTPRequestHandler):
    """Takes a post."""

    server: Hook

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running server."""
    server = Hook()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_console_keeps_the_contract() -> None:
    """One line with everything that the reader needs."""
    stream = io.StringIO()
    check_notifier(ConsoleNotifier(stream=stream), stream.getvalue)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("2016-02-01 00:00:00Z CRITICAL hotel: Harmful drift.")


def test_the_console_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays clean for programs."""
    ConsoleNotifier().send(NOTICE)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Harmful drift" in captured.err


def test_a_closed_terminal_is_an_error() -> None:
    """A stream that is gone is a failed delivery, not a crash."""
    stream = io.StringIO()
    stream.close()
    check_failure(ConsoleNotifier(stream=stream))


def test_the_webhook_keeps_the_contract(hook: Hook) -> None:
    """The notice arrives as JSON, with a text for chat services."""
    check_notifier(WebhookNotifier("chat", hook.url), lambda: "".join(hook.bodies))
    body = json.loads(hook.bodies[0])
    assert body["alert"] == NOTICE.alert
    assert body["text"] == f"[critical] Harmful drift: {NOTICE.reason} ({NOTICE.runbook})"
    assert body["state"] == "raised"


def test_the_webhook_hears_who_works_on_it_and_that_it_is_over(hook: Hook) -> None:
    """What is automated on a notice can be ended: the state says so, and the thread which trouble it is."""
    notifier = WebhookNotifier("chat", hook.url)
    thread = replace(NOTICE, thread="t1", reason="the metric holds again")
    notifier.acknowledge(thread)
    notifier.resolve(thread)
    told = [json.loads(body) for body in hook.bodies]
    assert [(one["state"], one["thread"]) for one in told] == [("acknowledged", "t1"), ("over", "t1")]
    assert told[1]["text"].startswith("[over] Harmful drift: the metric holds again")


def test_a_server_error_is_tried_again(hook: Hook) -> None:
    """Two failures of the server are survived, three are told with the last status, and no secret with it."""
    notifier = WebhookNotifier("chat", hook.url)
    hook.statuses = [503, 500]
    notifier.send(NOTICE)
    assert len(hook.bodies) == ATTEMPTS
    hook.statuses = [500, 502, 503]
    with pytest.raises(StateError, match=r"channel chat: 127\.0\.0\.1 answered 503; the notice was not delivered"):
        notifier.send(NOTICE)
    hook.statuses = [500] * 3
    check_failure(notifier, secrets=("s3cret", "t0ken"))


def test_a_refusal_is_not_repeated(hook: Hook) -> None:
    """A 404 will be a 404 the next time."""
    hook.statuses = [404]
    with pytest.raises(StateError, match="answered 404"):
        WebhookNotifier("chat", hook.url).send(NOTICE)
    assert len(hook.bodies) == 1


def test_an_unreachable_host_gives_no_secret_away() -> None:
    """Nobody listens: the error names the host and the kind of failure only."""
    check_failure(WebhookNotifier("chat", f"http://127.0.0.1:{own_port()}/s3cret?token=t0ken"), ("s3cret", "t0ken"))


@pytest.mark.parametrize("url", ["", "chat.example.com/hook", "ftp://example.com/x", "http:///path"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """A channel without a usable address is found when it is set up, not at the first incident."""
    with pytest.raises(SettingsError, match="channel 'chat' is not an http"):
        WebhookNotifier("chat", url)
