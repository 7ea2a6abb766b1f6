"""Mail, handed in at a real SMTP server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fairlead.adapters.mail import MailDigest, MailNotifier, MailServer
from fairlead.errors import StateError
from fairlead.ports import Digest
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import MailReceiver, mail_receiver

DAY = 86_400.0
NOON = 20_000.5 * DAY


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


def test_a_digest_is_one_letter_a_day(post: MailReceiver, tmp_path: Path) -> None:
    """Nothing before midnight, then all of the day in one, once; also after a restart."""
    path = tmp_path / "digests" / "post.jsonl"
    MailDigest(channel(post), path, lambda: NOON).send(NOTICE)
    digest = MailDigest(channel(post), path, lambda: NOON + 60.0)
    assert isinstance(digest, Digest)
    digest.send(replace(NOTICE, title="Second", severity="low"))
    digest.resolve(replace(NOTICE, title="Third"))
    digest.flush(NOON + DAY / 4)
    assert post.letters == []
    digest.flush(NOON + DAY / 2 + 1.0)
    digest.flush(NOON + DAY)
    (letter,) = post.letters
    assert letter["Subject"] == "fairlead: 3 notices of 2024-10-04"
    body = letter.get_content()
    assert "CRITICAL Harmful drift" in body
    assert "LOW Second" in body
    assert "RESOLVED Third" in body


def test_a_digest_that_failed_is_kept(post: MailReceiver, tmp_path: Path) -> None:
    """It is tried again after ten minutes, not at each call; what comes meanwhile is in the next one."""
    digest = MailDigest(channel(post), tmp_path / "post.jsonl", lambda: NOON)
    digest.send(NOTICE)
    post.refuse = True
    midnight = NOON + DAY / 2
    with pytest.raises(StateError, match="channel post"):
        digest.flush(midnight)
    post.refuse = False
    digest.send(replace(NOTICE, title="Meanwhile"))
    digest.flush(midnight + 1.0)
    assert post.letters == []
    digest.flush(midnight + 700.0)
    assert [letter["Subject"] for letter in post.letters] == ["fairlead: 1 notice of 2024-10-04"]
    digest.flush(midnight + 701.0)
    assert "Meanwhile" in post.letters[1].get_content()


def test_a_torn_line_costs_that_line(post: MailReceiver, tmp_path: Path) -> None:
    """A power cut in the middle of a write."""
    path = tmp_path / "post.jsonl"
    digest = MailDigest(channel(post), path, lambda: NOON)
    digest.send(NOTICE)
    path.write_bytes(path.read_bytes() + b'{"at": 17')
    digest.flush(NOON + DAY)
    assert len(post.letters) == 1
    assert not path.exists()


def test_a_disk_that_refuses_is_told(post: MailReceiver, tmp_path: Path) -> None:
    """A file stands where the folder would be."""
    (tmp_path / "file").write_text("")
    check_failure(MailDigest(channel(post), tmp_path / "file" / "post.jsonl", lambda: NOON))
