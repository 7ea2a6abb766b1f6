"""Apprise's services, by the real library over real HTTP."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace

from fairlead.adapters.apprise_notifier import AppriseNotifier
from fairlead.errors import MissingExtra, SettingsError
from fairlead.ports import Acknowledger, Resolver
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import http_receiver


def test_the_contract_is_kept() -> None:
    """All that the reader needs arrives, and its details; that it is over, and who works on it, too."""
    with http_receiver() as server:
        channel = AppriseNotifier("many", [f"json://127.0.0.1:{server.server_port}/s3cret"])
        check_notifier(channel, lambda: str(server.bodies[-1], "utf-8"))
        assert isinstance(channel, Resolver)
        assert isinstance(channel, Acknowledger)
        channel.resolve(replace(NOTICE, details=(("Suspect", "adr"),)))
        channel.acknowledge(NOTICE)
        raised, over, seen = server.documents
        assert (raised["type"], over["type"], seen["type"]) == ("failure", "success", "info")
        assert over["title"] == "RESOLVED: Harmful drift"
        assert "Suspect: adr" in over["message"]


def test_a_service_that_refuses_is_named_without_its_secrets() -> None:
    """One of two addresses failed: the line says how many, and no more."""
    with http_receiver() as server, http_receiver(usual=500) as broken:
        ports = server.server_port, broken.server_port
        channel = AppriseNotifier("many", [f"json://user:s3cret@127.0.0.1:{port}/t0ken" for port in ports])
        check_failure(channel, ("s3cret", "t0ken", "127.0.0.1"))
        assert len(server.bodies) == 1


def test_an_address_of_no_service_is_told_at_the_start() -> None:
    """By its place, without quoting it."""
    with pytest.raises(SettingsError, match="address 2 of channel 'many'") as caught:
        AppriseNotifier("many", ["json://127.0.0.1:9", "s3cret://nothing"])
    assert "s3cret" not in str(caught.value)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what needs it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MissingExtra, match=r"the channel 'many' needs apprise.*fairlead\[notify\]"):
        AppriseNotifier("many", ["json://127.0.0.1:9"])
