"""Mail over SMTP: each notice by itself, or those of a day together."""

from __future__ import annotations

import os
import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.core.listing import counted
from fairlead.errors import StateError
from fairlead.ports.notifier import Notice

_TIMEOUT_SECONDS = 10.0
_AGAIN_SECONDS = 600.0  # until a digest that failed is tried again


class MailServer(Struct, frozen=True):
    """Where mail is handed in, and by whom. `security`: none, starttls or tls."""

    host: str = "127.0.0.1"
    port: int = 25
    security: str = "none"
    username: str = ""
    password: str = ""
    sender: str = "fairlead@localhost"

    def __repr__(self) -> str:
        """Without the password."""
        return f"MailServer({self.host}:{self.port}, {self.security}, {self.sender})"


class MailNotifier:
    """One mail a notice."""

    def __init__(self, name: str, server: MailServer, recipients: Sequence[str]) -> None:
        self._name = name
        self._server = server
        self._recipients = tuple(recipients)

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._name

    def send(self, notice: Notice) -> None:
        """Mails the notice. Raises `StateError`."""
        self.mail(f"[{notice.severity}] {notice.title}", _body(notice))

    def resolve(self, notice: Notice) -> None:
        """Mails that it is over. Raises `StateError`."""
        self.mail(f"[resolved] {notice.title}", _body(notice))

    def mail(self, subject: str, body: str) -> None:
        """Hands a text in. Raises `StateError` with the server's code, and nothing of what it said."""
        server = self._server
        letter = EmailMessage()
        letter["From"], letter["To"] = server.sender, ", ".join(self._recipients)
        letter["Subject"] = " ".join(subject.split())[:200]
        letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain="fairlead.local")
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(body)
        try:
            self._hand_in(letter)
        except smtplib.SMTPRecipientsRefused:
            raise self._failed("the server takes mail for none of the recipients") from None
        except smtplib.SMTPResponseException as error:
            raise self._failed(f"the server answered {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
            raise self._failed(f"the server cannot be reached or used ({type(error).__name__})") from None

    def _hand_in(self, letter: EmailMessage) -> None:
        server = self._server
        if server.security == "tls":
            made: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        else:
            made = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_SECONDS)
        with made as client:
            if server.security == "starttls":
                client.starttls(context=ssl.create_default_context())
            if server.password:
                client.login(server.username, server.password)
            client.send_message(letter, server.sender, self._recipients)

    def _failed(self, what: str) -> StateError:
        return StateError(
            f"channel {self._name}: {self._server.host}:{self._server.port}: {what}; the notice was not delivered"
        )


class Collected(Struct, frozen=True):
    """A notice that waits for its digest."""

    at: float  # when it was collected, by the wall clock
    notice: Notice
    over: bool = False


class MailDigest:
    """Collects notices in a file, and mails those of a day (UTC) together when it is over. What was collected survives
    a stop; a stop while a digest is mailed may mail it twice, never not at all."""

    def __init__(self, mail: MailNotifier, path: Path, now: Callable[[], float] = time.time) -> None:
        """`path` is the file; its folder is made when it is needed."""
        self._mail = mail
        self._path = path
        self._now = now
        self._again_at = float("-inf")

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        return self._mail.name

    def send(self, notice: Notice) -> None:
        """Collects the notice. Raises `StateError` where the disk refuses."""
        self._collect(Collected(self._now(), notice))

    def resolve(self, notice: Notice) -> None:
        """Collects that it is over. Raises `StateError`."""
        self._collect(Collected(self._now(), notice, over=True))

    def flush(self, now: float) -> None:
        """Mails what was collected before today. Raises `StateError`, and keeps what was not delivered."""
        sending = self._path.with_suffix(".sending")
        if now < self._again_at:
            return
        if not sending.exists():
            first = next(iter(_read(self._path)), None)
            if first is None or _day(first.at) >= _day(now):
                return
            self._moved(sending)
        found = _read(sending)
        if found:
            self._again_at = now + _AGAIN_SECONDS  # should it fail
            self._mail.mail(f"fairlead: {counted(len(found), 'notice')} of {_day(found[0].at)}", _digest(found))
            self._again_at = now
        sending.unlink(missing_ok=True)

    def _moved(self, sending: Path) -> None:
        try:
            self._path.rename(sending)
        except OSError as error:
            raise StateError(f"channel {self.name}: {self._path} cannot be moved ({error.strerror})") from None

    def _collect(self, collected: Collected) -> None:
        line = msgspec.json.encode(collected) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StateError(f"channel {self.name}: {self._path} cannot be written ({error.strerror})") from None


def _read(path: Path) -> list[Collected]:
    """What was collected. A line that a power cut tore is passed over."""
    found = []
    with suppress(OSError):
        for line in path.read_bytes().splitlines():
            with suppress(msgspec.MsgspecError):
                found.append(msgspec.json.decode(line, type=Collected))
    return found


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _body(notice: Notice) -> str:
    at = datetime.fromtimestamp(notice.at, UTC)
    lines = (
        notice.reason,
        "",
        f"Model: {notice.model or '(all)'}",
        f"Severity: {notice.severity}",
        f"Since: {at:%Y-%m-%d %H:%M:%S} UTC",
        f"Owner: {notice.owner}",
        f"Runbook: {notice.runbook}",
    )
    return "\n".join(lines) + "\n"


def _digest(found: Sequence[Collected]) -> str:
    parts = [
        f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M} "
        f"{'RESOLVED' if one.over else one.notice.severity.upper()} {one.notice.title}\n\n{_body(one.notice)}"
        for one in found
    ]
    return "\n".join(parts)
