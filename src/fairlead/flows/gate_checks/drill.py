"""A fire drill: the watch, a rollout's judge and the channels, before anything has gone wrong."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.gate import Check
from fairlead.core.judge_drill import Channel, judge_drills
from fairlead.errors import FairleadError
from fairlead.flows.gate_checks.drill_rollout import rollout_drills
from fairlead.flows.gate_checks.drill_watch import watch_drills
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.notifier import Notice, Notifier, Resolver

ALERT = "fire-drill"


def check_monitors(subject: Subject) -> Check:
    """Shows each monitor faults, and what is as it should be; sends every channel a notice that says it is a test."""
    rows, watched = watch_drills(subject)
    return judge_drills(rows, [*watched, *rollout_drills(subject)], _noticed(subject, subject.channels))


def _noticed(subject: Subject, channels: Sequence[Notifier]) -> list[Channel]:
    notice = Notice(
        model=subject.info.model,
        alert=ALERT,
        severity="low",
        title=f"Test notice of the gate of {subject.info.model} version {subject.info.version}",
        reason="Nothing is wrong: the gate asks whether this channel takes notices",
        owner="",
        runbook="",
        at=subject.at,
    )
    return [Channel(channel.name, _error(channel, notice)) for channel in channels]


def _error(channel: Notifier, notice: Notice) -> str:
    try:
        channel.send(notice)
        if isinstance(channel, Resolver):
            channel.resolve(notice)  # what it keeps open until then must not page anyone again
    except FairleadError as error:
        return error.line
    return ""
