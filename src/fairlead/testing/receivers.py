"""Loopback servers that take notices: one for HTTP, one for SMTP. They keep what they were sent, as it came."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import msgspec

from fairlead.testing.paging_rules import change_faults, event_faults, slack_faults

Rules = Callable[[Mapping[str, Any]], list[str]]


class HttpReceiver(HTTPServer):
    """Answers posts with the statuses it is given, then 200 (202 where it is PagerDuty's)."""

    def __init__(self, usual: int = 200, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Post)
        self.usual = usual
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        """Its address, with a secret in path and query."""
        return f"http://127.0.0.1:{self.server_port}/hooks/s3cret?token=t0ken"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The bodies as JSON."""
        return [msgspec.json.decode(body, type=dict[str, Any]) for body in self.bodies]

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body that a post is answered with."""
        self.paths.append(path)
        self.bodies.append(body)
        return (self.statuses.pop(0) if self.statuses else self.usual), b""


class CheckedReceiver(HttpReceiver):
    """Takes only what a service's documents allow. `rules` gives what is wrong with a body posted to a path; what is
    refused is in `refused`, with the reasons. A path without rules is not found."""

    def __init__(self, rules: Mapping[str, Rules], usual: int, port: int = 0) -> None:
        super().__init__(usual, port)
        self.rules = rules
        self.refused: list[tuple[str, list[str]]] = []
        self.taken: list[tuple[str, dict[str, Any]]] = []

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Refused with 400, or taken."""
        if self.statuses:
            return self.statuses.pop(0), b""
        if path not in self.rules:
            return 404, b""
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
            faults = self.rules[path](document)
        except msgspec.MsgspecError as error:
            document, faults = {}, [str(error)]
        if faults:
            self.refused.append((path, faults))
            return 400, msgspec.json.encode({"status": "invalid event", "errors": faults})
        self.bodies.append(body)
        self.taken.append((path, document))
        return self.usual, b"ok"


class _Post(BaseHTTPRequestHandler):
    server: HttpReceiver

    def do_POST(self) -> None:
        """Takes a body in."""
        status, said = self.server.answer(self.path, self.rfile.read(int(self.headers["content-length"])))
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class MailReceiver(socketserver.TCPServer):
    """Takes mail by SMTP as far as a client that only delivers needs it; `refuse` answers each recipient with 550."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.refuse = False
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.server_address[1])


class _Mail(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        """One session."""
        self._say("220 receiver ESMTP")
        to: list[str] = []
        for raw in self.rfile:
            verb = raw.decode("ascii", "replace").strip().upper()
            if verb.startswith("DATA"):
                self._take(to)
                to = []
            elif verb.startswith("RCPT TO:"):
                to.append(raw.decode().strip()[8:].strip("<> "))
                self._say("550 no such user" if self.server.refuse else "250 OK")
            elif verb.startswith("QUIT"):
                self._say("221 bye")
                return
            else:
                self._say("250 OK")

    def _take(self, to: list[str]) -> None:
        self._say("354 go on")
        lines = []
        for raw in self.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw.removeprefix(b".") if raw.startswith(b"..") else raw)
        letter = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(letter, EmailMessage), "the default policy makes no other"
        self.server.letters.append(letter)
        self.server.recipients.append(to)
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def http_receiver(usual: int = 200) -> Iterator[HttpReceiver]:
    """A running HTTP server, stopped at the end."""
    with HttpReceiver(usual) as server:
        yield from _running(server)


@contextmanager
def pagerduty_receiver(port: int = 0) -> Iterator[CheckedReceiver]:
    """A stand-in for PagerDuty's Events API v2 at `/v2/enqueue` and `/v2/change/enqueue`, which answers 202. A `port`
    of 0 is any that is free."""
    rules = {"/v2/enqueue": event_faults, "/v2/change/enqueue": change_faults}
    with CheckedReceiver(rules, 202, port) as server:
        yield from _running(server)


@contextmanager
def slack_receiver() -> Iterator[CheckedReceiver]:
    """A stand-in for Slack's incoming webhooks at `/services/T/B/x`."""
    with CheckedReceiver({"/services/T/B/x": slack_faults}, 200) as server:
        yield from _running(server)


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """A running mail server, stopped at the end."""
    with MailReceiver() as server:
        yield from _running(server)


def _running(server: Any) -> Iterator[Any]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
