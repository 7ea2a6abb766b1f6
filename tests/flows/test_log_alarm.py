"""A log that refuses records is told at once, and its end is too."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fairlead.core.alert import AlertPolicy
from fairlead.core.event import AlertQuieted, AlertRaised, AnyFact, Entry
from fairlead.core.standing import Standing
from fairlead.errors import StateError
from fairlead.flows.log_alarm import LogAlarm
from fairlead.ports import Notifier
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier

POLICY = AlertPolicy("ana", repeat_seconds=3600.0)
FULL = "worker 0: the log takes nothing: the disk is full"


class Blocked(MemoryJournal):
    """A journal on the disk that is full."""

    is_full = True

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Fails while the disk is full."""
        if self.is_full:
            raise StateError("the disk is full")
        return super().append(facts, actor=actor, at=at, expected=expected)


class Broken(MemoryNotifier):
    """A channel that fails in a way of its own."""

    def send(self, notice: object) -> None:
        """Fails."""
        raise RuntimeError("no route to host")


def alarm(journal: MemoryJournal, clock: ManualClock) -> tuple[LogAlarm, MemoryNotifier]:
    """An alarm with one channel."""
    channel = MemoryNotifier()
    return LogAlarm(journal, {channel: ("critical", "high")}, clock, POLICY), channel


def test_it_is_told_once_and_its_end_is_journalled() -> None:
    """However often it is looked at; after the end the next one is new; what stands too long is told again."""
    journal, clock = MemoryJournal(), ManualClock()
    looks, channel = alarm(journal, clock)
    looks.look("")
    for _ in range(5):
        looks.look(FULL)
    looks.look("")
    looks.look(FULL)
    clock.advance(3601.0)
    looks.look(FULL)
    facts = [entry.fact for entry in journal.read()]
    assert [type(fact) for fact in facts] == [AlertRaised, AlertQuieted, AlertRaised, AlertRaised]
    assert [notice.reason for notice in channel.sent] == [FULL] * 3
    first = channel.sent[0]
    assert (first.model, first.severity, first.owner) == ("", "critical", "ana")
    assert first.runbook == "docs/runbooks/log-refused.md"


def test_a_controller_that_starts_again_knows_what_was_told() -> None:
    """The journal has it: no second notice, and the end is told by the successor."""
    journal, clock = MemoryJournal(), ManualClock()
    alarm(journal, clock)[0].look(FULL)
    later, channel = alarm(journal, clock)
    later.look(FULL)
    assert channel.sent == []
    later.look("")
    assert [type(entry.fact) for entry in journal.read()] == [AlertRaised, AlertQuieted]


def test_people_are_told_though_the_journal_is_on_the_same_disk() -> None:
    """Once; the facts follow in order when there is room."""
    journal, clock = Blocked(), ManualClock()
    looks, channel = alarm(journal, clock)
    for _ in range(3):
        looks.look(FULL)
    assert (len(channel.sent), list(journal.read())) == (1, [])
    looks.look("")
    journal.is_full = False
    looks.look("")
    assert [type(entry.fact) for entry in journal.read()] == [AlertRaised, AlertQuieted]


def test_a_channel_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the fact stands."""
    journal, good = MemoryJournal(), MemoryNotifier()
    channels: dict[Notifier, Sequence[str]] = {Broken(): ("high",), good: ("high",), MemoryNotifier(): ("low",)}
    LogAlarm(journal, channels, ManualClock(), POLICY).look(FULL, "high")
    assert [notice.alert for notice in good.sent] == ["log-refused"]
    assert "no route to host" in caplog.text
    assert len(list(journal.read())) == 1
