"""Mail over SMTP. Letters on one trouble are one conversation."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from msgspec import Struct

from fairlead.errors import StateError
from fairlead.ports.notifier import Notice

_TIMEOUT_SECONDS = 10.0
_DOMAIN = "fairlead.local"


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
        self.mail(f"[{notice.severity}] {notice.title}", _body(notice), notice)

    def resolve(self, notice: Notice) -> None:
        """Mails that it is over. Raises `StateError`."""
        self.mail(f"[resolved] {notice.title}", _body(notice), notice)

    def mail(self, subject: str, body: str, notice: Notice | None = None) -> None:
        """Hands a text in; that of one notice has the same id at each attempt. Raises `StateError` with the server's
        code, and nothing of what it said."""
        server = self._server
        letter = EmailMessage()
        letter["From"], letter["To"] = server.sender, ", ".join(self._recipients)
        letter["Subject"] = " ".join(subject.split())[:200]
        letter["Date"] = formatdate()
        if notice is not None and notice.notice:
            letter["Message-ID"] = f"<{notice.notice}@{_DOMAIN}>"
            if notice.thread not in ("", notice.notice):
                letter["In-Reply-To"] = letter["References"] = f"<{notice.thread}@{_DOMAIN}>"
        else:
            letter["Message-ID"] = make_msgid(domain=_DOMAIN)
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
        *([f"Dashboard: {notice.link}"] if notice.link else []),
        *(f"\n{name}\n  {text}" for name, text in notice.details),
    )
    return "\n".join(lines) + "\n"
