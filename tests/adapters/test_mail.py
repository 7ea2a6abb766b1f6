"""Mail, handed in at a real SMTP server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fairlead.adapters.mail import MailNotifier, MailServer
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import MailReceiver, mail_receiver


@pytest.fixture
def post() -> Iterator[MailReceiver]:
    """A mail server."""
    with mail_receiver() as server:
        yield server


def channel(post: MailReceiver, *recipients: str) -> MailNotifier:
    """A channel that mails there."""
    server = MailServer(port=post.port, sender="fairlead@example.com")
    return MailNotifier("post", server, recipients or ("team@example.com",))


def test_the_contract_is_kept(post: MailReceiver) -> None:
    """All that the reader needs arrives."""
    check_notifier(channel(post), lambda: str(post.letters[-1]))


def test_a_notice_is_one_letter(post: MailReceiver) -> None:
    """To every recipient, with the headers that mail needs, and marked as a machine's."""
    channel(post, "a@example.com", "b@example.com").send(NOTICE)
    (letter,) = post.letters
    assert post.recipients == [["a@example.com", "b@example.com"]]
    assert letter["From"] == "fairlead@example.com"
    assert letter["To"] == "a@example.com, b@example.com"
    assert letter["Subject"] == "[critical] Harmful drift"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"]
    assert letter["Date"]
    assert "Runbook: docs/runbooks/harmful-drift.md" in letter.get_content()


def test_a_title_adds_no_header(post: MailReceiver) -> None:
    """Line breaks in what a model is called become spaces."""
    channel(post).send(replace(NOTICE, title="Drift\r\nBcc: evil@example.com", reason="ü.\r\n.\r\nQUIT"))
    (letter,) = post.letters
    assert letter["Bcc"] is None
    assert letter["Subject"] == "[critical] Drift Bcc: evil@example.com"
    assert "QUIT" in letter.get_content()


def test_a_refusal_is_told_without_the_servers_words(post: MailReceiver) -> None:
    """By the channel's name and the server's address."""
    post.refuse = True
    check_failure(channel(post), ("no such user",))
    assert post.letters == []


def test_a_server_that_is_away_is_told_without_the_password() -> None:
    """The port is closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = MailServer(port=taken.getsockname()[1], username="ana", password="hush")
        check_failure(MailNotifier("post", server, ("team@example.com",)), ("hush",))
        assert "hush" not in repr(server)


def test_letters_on_one_trouble_are_one_conversation(post: MailReceiver) -> None:
    """Each has its notice's id at every attempt, and what follows answers the first."""
    first = replace(NOTICE, notice="aaaa", thread="aaaa")
    channel(post).send(first)
    channel(post).send(first)
    channel(post).resolve(replace(NOTICE, notice="bbbb", thread="aaaa"))
    channel(post).send(replace(NOTICE, details=(("Suspect", "adr"),), link="http://127.0.0.1:8081"))
    assert [letter["Message-ID"] for letter in post.letters[:3]] == [
        "<aaaa@fairlead.local>",
        "<aaaa@fairlead.local>",
        "<bbbb@fairlead.local>",
    ]
    assert [letter["In-Reply-To"] for letter in post.letters[:3]] == [None, None, "<aaaa@fairlead.local>"]
    body = post.letters[3].get_content().replace("\r\n", "\n")
    assert "Suspect\n  adr" in body
    assert "Dashboard: http://127.0.0.1:8081" in body
