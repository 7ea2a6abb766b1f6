"""Receivers of the registry's events: real ones on loopback, which check MLflow's own signature."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.cursor_file import CursorFile
from fairlead.adapters.signed_webhook import SignedWebhook, signed
from fairlead.config.fields import Secret
from fairlead.config.registry import RegistrySettings, RegistryWebhook
from fairlead.core.event import AliasMoved, Entry, GateMeasured, StatusChanged, VersionRegistered
from fairlead.core.registry_event import NAMES, events_of
from fairlead.errors import SettingsError, StateError
from fairlead.flows.registry_events import RegistryEvents
from fairlead.testing.journal import MemoryJournal

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of MLflow's own imports
    from mlflow.entities.webhook import WebhookEvent
    from mlflow.webhooks import delivery as theirs
    from mlflow.webhooks.types import get_payload_class_for_event

SECRET = "hush-hush"  # of a receiver that this test makes


class Receiver:
    """Takes posts, keeps them, and answers as it is told; `moved` sends callers elsewhere."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers.items()), body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/in?token=abc123"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The bodies, read."""
        return [json.loads(body) for _, body in self.got]

    def close(self) -> None:
        """Stops it."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def journal() -> MemoryJournal:
    """Something has happened already."""
    journal = MemoryJournal()
    journal.append([VersionRegistered("hotel", 1, "b1", "july")], actor="ana", at=100.0)
    return journal


def hook(receiver: Receiver, name: str = "ci", events: tuple[str, ...] = NAMES, secret: str = SECRET) -> SignedWebhook:
    return SignedWebhook(name, receiver.url, secret, events, now=lambda: 1_700_000_000.9)


Follow = Callable[..., RegistryEvents]


@pytest.fixture
def follow(journal: MemoryJournal, tmp_path: Path) -> Follow:
    """A follower of the journal, as after a start of the process."""
    return lambda *hooks: RegistryEvents(journal, hooks, CursorFile(tmp_path / "registry" / "webhooks.json"))


def happen(journal: MemoryJournal) -> None:
    journal.append(
        [
            VersionRegistered("hotel", 2, "b2", "august"),
            StatusChanged("hotel", 2, "staging"),
            AliasMoved("hotel", "champion", 2, 1),
            GateMeasured("hotel", 2, "b2", True, (), "r"),
            AliasMoved("hotel", "challenger", None, 2),
        ],
        actor="ana",
        at=1_000.5,
    )


def test_a_receiver_verifies_every_event_by_mlflows_own_rule(
    receiver: Receiver, journal: MemoryJournal, follow: Follow
) -> None:
    """Headers, signature, body and payload are MLflow's: its own function gives the same signature."""
    told = follow(hook(receiver))
    assert told.deliver() == 0  # it begins at the journal's end
    happen(journal)
    assert told.deliver() == 4
    for headers, body in receiver.got:
        expected = theirs._generate_hmac_signature(
            SECRET, headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"], body.decode()
        )
        assert headers["X-MLflow-Signature"] == expected
        assert (headers["X-MLflow-Timestamp"], headers["Content-Type"]) == ("1700000000", "application/json")
    names = [f"{event['entity']}.{event['action']}" for event in receiver.events]
    assert names == [
        "model_version.created",
        "model_version_tag.set",
        "model_version_alias.created",
        "model_version_alias.deleted",
    ]
    for event in receiver.events:
        assert event["timestamp"] == "1970-01-01T00:16:40.500000+00:00"
        kind = get_payload_class_for_event(WebhookEvent(event["entity"], event["action"]))
        assert kind is not None
        assert set(event["data"]) == set(kind.__annotations__)
    assert receiver.events[1]["data"] == {
        "name": "hotel",
        "version": "2",
        "key": "fairlead.status",
        "value": "staging",
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_event_is_one_of_mlflows(name: str) -> None:
    """MLflow knows it by this name."""
    assert str(WebhookEvent.from_str(name)) == name  # type: ignore[arg-type]  # one of theirs


def test_the_first_version_makes_the_model(journal: MemoryJournal) -> None:
    """It is two events, the model's first, each with a delivery id of its own that never changes."""
    (entry,) = journal.read()
    made = events_of(entry)
    assert [event.name for event in made] == ["registered_model.created", "model_version.created"]
    assert len({event.delivery for event in made}) == 2
    assert events_of(entry) == made


def test_without_a_secret_nothing_is_signed_and_only_wanted_events_are_sent(
    receiver: Receiver, journal: MemoryJournal, follow: Follow
) -> None:
    """As MLflow does it."""
    told = follow(hook(receiver, events=("model_version_alias.created",), secret=""))
    told.deliver()
    happen(journal)
    assert told.deliver() == 1
    ((headers, _),) = receiver.got
    assert "X-MLflow-Signature" not in headers


def test_what_a_receiver_missed_is_told_later_once_and_in_order(
    receiver: Receiver, journal: MemoryJournal, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    """Three attempts, then again from the event that failed, also by a new process; another receiver is not held up."""
    other = Receiver()
    try:
        hooks = (hook(receiver), hook(other, "ops"))
        told = follow(*hooks)
        told.deliver()
        happen(journal)
        receiver.answers = [200, 500, 503, 429]
        assert told.deliver() == 1 + 4
        assert len(other.got) == 4
        ids = [headers["X-MLflow-Delivery-Id"] for headers, _ in receiver.got]
        assert len(set(ids[1:])) == 1
        receiver.answers = [500, 500, 500]
        assert told.deliver() == 0
        assert [record.getMessage() for record in caplog.records] == [
            "webhook ci: 127.0.0.1 answered 429; it is tried again",
            "webhook ci: 127.0.0.1 answered 500; it is tried again",
        ]
        receiver.got.clear()
        assert follow(*hooks).deliver() == 3
        assert len(other.got) == 4
        assert [event["entity"] for event in receiver.events] == ["model_version_tag"] + ["model_version_alias"] * 2
        assert follow(*hooks).deliver() == 0
    finally:
        other.close()


def test_what_a_receiver_refuses_is_not_repeated(
    receiver: Receiver, journal: MemoryJournal, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    """A 4xx, and a redirect, which is not followed; the events after it arrive."""
    told = follow(hook(receiver))
    told.deliver()
    happen(journal)
    receiver.answers = [404, 302]
    assert told.deliver() == 2
    assert len(receiver.got) == 4
    assert "answered 404; the event is not repeated (model_version.created, entry 2)" in caplog.text
    assert "answered 302" in caplog.text


def test_no_log_shows_the_secret_or_the_address(
    receiver: Receiver, journal: MemoryJournal, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither ours nor the client's own, at any level; nor do the settings."""
    caplog.set_level(logging.DEBUG)
    told = follow(hook(receiver))
    told.deliver()
    happen(journal)
    receiver.answers = [500, 500, 500]
    told.deliver()
    gone = SignedWebhook("gone", "http://127.0.0.1:9/in?token=abc123", SECRET, NAMES, timeout_seconds=1.0)
    gone_events = follow(gone)
    gone_events.deliver()
    journal.append([StatusChanged("hotel", 1, "archived")], actor="ana", at=1.0)
    gone_events.deliver()
    assert "webhook gone: 127.0.0.1 cannot be reached" in caplog.text
    settings = RegistryWebhook(url=Secret(receiver.url), secret=Secret(SECRET))
    for text in (caplog.text, repr(settings), settings.shown):
        assert SECRET not in text
        assert "abc123" not in text


@pytest.mark.parametrize(
    "url",
    ["", "file:///etc/passwd", "ftp://host/x", "https://", "http://[", "http://host:0/", "host/x"],
)
def test_only_http_addresses_are_taken(url: str) -> None:
    """What cannot be posted to is refused before anything starts, and not shown."""
    with pytest.raises(SettingsError, match="is not an http\\(s\\) address") as refused:
        RegistryWebhook(url=Secret(url))
    assert refused.value.line == "the url of a registry webhook is not an http(s) address: write https://host/path"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/x", "http://localhost/x", "http://10.0.0.3/x", "https://[::1]/x"]
)
def test_addresses_of_this_machine_and_network_are_taken(url: str) -> None:
    """Receivers often live there; two of one name are told apart or refused."""
    one = RegistryWebhook(url=Secret(url))
    assert one.shown.rpartition("-")[0] in url
    with pytest.raises(SettingsError, match="twice: give each a name of its own"):
        RegistrySettings((one, one))
    assert len(RegistrySettings((one, RegistryWebhook(url=Secret(url + "y")))).webhooks) == 2
    with pytest.raises(SettingsError, match="has no events"):
        RegistryWebhook(url=Secret(url), events=())


def test_a_damaged_cursor_is_told_and_nothing_is_sent(
    receiver: Receiver, journal: MemoryJournal, tmp_path: Path, follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever mends it decides what is told again."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "webhooks.json").write_text("{")
    assert follow(hook(receiver)).deliver() == 0
    assert (receiver.got, "remove it, and receivers are told from now on" in caplog.text) == ([], True)
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be read"):
        CursorFile(tmp_path / "file" / "below.json").put("x", 1)


def test_a_signature_depends_on_every_part() -> None:
    """Id, time, body and key."""
    base = ("key", "id", "1", "{}")
    others = [("k", "id", "1", "{}"), ("key", "i", "1", "{}"), ("key", "id", "2", "{}"), ("key", "id", "1", "[]")]
    assert len({signed(*each) for each in (base, *others)}) == 5


def test_an_entry_of_another_kind_is_no_event() -> None:
    """A gate is none of the registry's."""
    assert events_of(Entry(1, 0.0, "ana", GateMeasured("hotel", 1, "b", True, (), "r"), "", "")) == ()
