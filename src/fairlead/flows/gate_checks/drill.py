"""A fire drill: the watch, a rollout's judge and the channels, before anything has gone wrong."""

from __future__ import annotations

from fairlead.core.gate import Check
from fairlead.core.judge_drill import REAL, UNASKED, Channel, Unattended, judge_drills
from fairlead.errors import FairleadError
from fairlead.flows.gate_checks.drill_rollout import rollout_drills
from fairlead.flows.gate_checks.drill_watch import watch_drills
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.notifier import Notice, Notifier, Resolver

ALERT = "fire-drill"


def check_monitors(subject: Subject) -> Check:
    """Shows each monitor faults, and what is as it should be; sends every channel a notice that says it is a test.

    A gate that runs by itself takes a real notice of late as the proof, and sends no test to a channel that calls
    people.
    """
    rows, watched = watch_drills(subject)
    return judge_drills(rows, [*watched, *rollout_drills(subject)], _noticed(subject))


def _noticed(subject: Subject) -> list[Channel]:
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
    alone = subject.unattended
    if alone is None:
        return [Channel(channel.name, _error(channel, notice)) for channel in subject.channels]
    return [_known(channel, notice, alone) for channel in subject.channels]


def _known(channel: Notifier, notice: Notice, alone: Unattended) -> Channel:
    """A channel that last took a real notice is asked nothing; one that did not, or had none, is if it calls nobody."""
    failure = alone.told.get(channel.name)
    if failure != "" and channel.name in alone.quiet:
        return Channel(channel.name, _error(channel, notice))
    return Channel(channel.name, how=UNASKED) if failure is None else Channel(channel.name, failure, REAL)


def _error(channel: Notifier, notice: Notice) -> str:
    try:
        channel.send(notice)
        if isinstance(channel, Resolver):
            channel.resolve(notice)  # what it keeps open until then must not page anyone again
    except FairleadError as error:
        return error.line
    return ""
