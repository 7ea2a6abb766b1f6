"""PagerDuty's Events API v2, spoken to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest
from msgspec.structs import replace

from fairlead.adapters.pagerduty import PagerDutyNotifier, key_of, trigger
from fairlead.errors import SettingsError, StateError
from fairlead.ports import Resolver
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import HttpReceiver, http_receiver

KEY = "R0UT1NGKEY"


@pytest.fixture
def pagerduty() -> Iterator[HttpReceiver]:
    """A server that answers as PagerDuty does."""
    with http_receiver(usual=202) as server:
        yield server


def test_the_contract_is_kept(pagerduty: HttpReceiver) -> None:
    """All that the reader needs arrives, in one event."""
    check_notifier(PagerDutyNotifier("pager", KEY, pagerduty.url), lambda: str(pagerduty.bodies[-1], "utf-8"))
    assert len(pagerduty.bodies) == 1


def test_an_alert_is_triggered_and_resolved_under_one_key(pagerduty: HttpReceiver) -> None:
    """The fields that the API requires, with its own severities; the end has the same dedup key and nothing to page."""
    channel = PagerDutyNotifier("pager", KEY, pagerduty.url)
    assert isinstance(channel, Resolver)
    channel.send(replace(NOTICE, severity="high", runbook="https://example.com/harm.md"))
    channel.resolve(NOTICE)
    raised, over = pagerduty.documents
    assert raised["routing_key"] == over["routing_key"] == KEY
    assert (raised["event_action"], over["event_action"]) == ("trigger", "resolve")
    assert raised["dedup_key"] == over["dedup_key"] == "fairlead:hotel:harmful-drift"
    payload = raised["payload"]
    assert payload["severity"] == "error"
    assert payload["source"] == "hotel"
    assert datetime.fromisoformat(payload["timestamp"]).timestamp() == NOTICE.at
    assert raised["links"] == [{"href": "https://example.com/harm.md", "text": "Runbook"}]
    assert "payload" not in over


@pytest.mark.parametrize(
    ("ours", "theirs"), [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info")]
)
def test_each_severity_has_one_of_theirs(ours: str, theirs: str) -> None:
    """PagerDuty knows four, and refuses any other."""
    assert trigger(replace(NOTICE, severity=ours))["payload"]["severity"] == theirs


def test_long_texts_are_cut_to_what_the_api_takes() -> None:
    """A summary of 1,024 characters; a longer key becomes a digest, the same for the same alert and no other."""
    long = replace(NOTICE, reason="x" * 3000, alert="a" * 400)
    assert len(trigger(long)["payload"]["summary"]) == 1024
    assert trigger(long)["payload"]["custom_details"]["reason"] == long.reason
    assert len(key_of(long)) <= 255
    assert key_of(long) != key_of(replace(long, alert="a" * 401))


def test_a_path_is_no_link() -> None:
    """Only addresses are: a link with a path in it is refused by the API."""
    assert "links" not in trigger(NOTICE)


def test_a_refusal_names_the_channel_and_no_secret(pagerduty: HttpReceiver) -> None:
    """A 400 is not repeated, a 429 and a 500 are; neither key nor address is in the error."""
    channel = PagerDutyNotifier("pager", KEY, pagerduty.url)
    pagerduty.statuses = [400]
    check_failure(channel, (KEY, "s3cret", "t0ken"))
    assert len(pagerduty.bodies) == 1
    pagerduty.statuses = [429, 500]
    channel.send(NOTICE)
    assert len(pagerduty.bodies) == 4


def test_without_a_key_every_notice_says_so(pagerduty: HttpReceiver) -> None:
    """Nothing is sent, and the fix is in the line."""
    with pytest.raises(StateError, match="PAGERDUTY_ROUTING_KEY"):
        PagerDutyNotifier("pager", "", pagerduty.url).send(NOTICE)
    assert pagerduty.bodies == []


def test_an_address_that_is_none_is_told_at_the_start() -> None:
    """Without quoting it."""
    with pytest.raises(SettingsError, match="'pager' is not an http") as caught:
        PagerDutyNotifier("pager", KEY, "file:///s3cret")
    assert "s3cret" not in str(caught.value)


def test_what_is_sent_is_json_of_utf8(pagerduty: HttpReceiver) -> None:
    """Whatever the model's or the data's words are."""
    PagerDutyNotifier("pager", KEY, pagerduty.url).send(replace(NOTICE, title='Größe "x" \n 💥'))
    assert msgspec.json.decode(pagerduty.bodies[0])["payload"]["summary"].startswith('Größe "x" \n 💥')
