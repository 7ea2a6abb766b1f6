"""Debian's Alertmanager: it is pushed to, and what it then tells its own receivers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from fairlead.adapters.alertmanager import AlertmanagerNotifier
from fairlead.errors import SettingsError, StateError
from fairlead.ports import Reminded, Resolver
from fairlead.testing.alertmanager import alertmanager
from fairlead.testing.notifier import NOTICE, check_failure, check_notifier
from fairlead.testing.receivers import http_receiver


def wait_for(holds: Callable[[], object]) -> None:
    """Until something holds."""
    end = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def test_a_real_one_takes_what_stands_and_its_end(tmp_path: Path) -> None:
    """All that the reader needs is there, its receiver is told, and told again when it is over; what is not said again
    ends by itself."""
    now = time.time()
    notice = replace(NOTICE, notice="aaaa", details=(("Suspect", "adr"),), link="http://127.0.0.1:8081/models/hotel")
    with http_receiver() as hook, alertmanager(tmp_path, hook.url) as server:
        channel = AlertmanagerNotifier("manager", server.url)
        assert isinstance(channel, Resolver)
        assert isinstance(channel, Reminded)
        check_notifier(channel, lambda: str(server.alerts()))
        AlertmanagerNotifier("manager", f"{server.url}/").resolve(NOTICE)
        channel.send(notice)
        AlertmanagerNotifier("manager", server.url, now=lambda: now - 298.0).send(replace(notice, notice="short"))
        (stands,) = [one for one in server.alerts() if one["labels"].get("fairlead") == "aaaa"]
        assert stands["labels"] == {
            "alertname": "harmful-drift",
            "model": "hotel",
            "severity": "critical",
            "fairlead": "aaaa",
        }
        assert stands["annotations"]["details"] == "Suspect: adr"
        assert stands["generatorURL"] == notice.link
        wait_for(lambda: any(one["status"] == "firing" for one in hook.documents))
        wait_for(lambda: {one["labels"].get("fairlead") for one in server.alerts()} == {"aaaa"})
        channel.resolve(notice)
        wait_for(lambda: server.alerts() == [])
        wait_for(lambda: hook.documents[-1]["status"] == "resolved")


def test_a_refusal_shows_no_secret() -> None:
    """Nor does an address that is none."""
    with http_receiver(usual=400) as server:
        check_failure(
            AlertmanagerNotifier("manager", f"http://user:s3cret@127.0.0.1:{server.server_port}"), ("s3cret",)
        )
        assert server.paths == ["/api/v2/alerts"]
    with pytest.raises(SettingsError, match="'manager' is not an http"):
        AlertmanagerNotifier("manager", "127.0.0.1:9093")


def test_without_the_program_it_is_said_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For those who run the tests."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match=r"scripts/alertmanager\.sh"), alertmanager(tmp_path, "http://127.0.0.1:9"):
        raise AssertionError("it cannot run")
