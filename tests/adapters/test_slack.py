"""Slack's incoming webhooks, spoken to a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.adapters.slack import SlackNotifier, escaped, message
from fairlead.errors import SettingsError
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import HttpReceiver, http_receiver


@pytest.fixture
def slack() -> Iterator[HttpReceiver]:
    """A webhook."""
    with http_receiver() as server:
        yield server


def test_the_contract_is_kept(slack: HttpReceiver) -> None:
    """All that the reader needs arrives."""
    check_notifier(SlackNotifier("team", slack.url), lambda: str(slack.bodies[-1], "utf-8"))


def test_a_message_has_a_text_and_blocks(slack: HttpReceiver) -> None:
    """What notifications show, a header, the reason, and whose it is; its end is a message of its own."""
    channel = SlackNotifier("team", slack.url)
    channel.send(NOTICE)
    channel.resolve(NOTICE)
    sent, over = slack.documents
    assert sent["text"].startswith("CRITICAL: Harmful drift. AUROC fell")
    assert [block["type"] for block in sent["blocks"]] == ["header", "section", "context"]
    assert sent["blocks"][0]["text"] == {"type": "plain_text", "text": "CRITICAL: Harmful drift", "emoji": False}
    assert over["text"].startswith("RESOLVED: Harmful drift")


def test_words_of_the_data_are_no_markup() -> None:
    """A feature called <!channel> rings nobody."""
    found = message(replace(NOTICE, reason="<!channel> & <http://x|y> moved"), "HIGH")
    assert found["blocks"][1]["text"]["text"] == "&lt;!channel&gt; &amp; &lt;http://x|y&gt; moved"
    assert "<" not in found["text"]


@given(text=st.text(max_size=400), longest=st.integers(1, 300))
def test_escaped_text_is_never_longer_than_a_block_takes(text: str, longest: int) -> None:
    """However many characters become entities; and short text is whole."""
    found = escaped(text, longest)
    assert len(found) <= longest
    if len(text) * 5 <= longest:
        assert found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_a_refusal_shows_no_secret(slack: HttpReceiver) -> None:
    """The webhook's address is its password."""
    slack.statuses = [403]
    check_failure(SlackNotifier("team", slack.url), ("s3cret", "t0ken"))
    with pytest.raises(SettingsError, match="'team' is not an http"):
        SlackNotifier("team", "not an address")
