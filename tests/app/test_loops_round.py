"""Audits of feedback loops by the controller: when one is due, that it runs by itself, that people are told once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec import Raw

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.compose import open_context
from fairlead.app.loops_round import LoopsRound
from fairlead.core.alarm import LOOP
from fairlead.core.event import AlertQuieted, AlertRaised, VersionRegistered, canonical
from fairlead.core.facts_act import LoopAudited
from fairlead.core.loops import LoopReport, Part, fact_of_loops
from fairlead.core.verdict import Outcome
from fairlead.flows.respond import Responder
from fairlead.operations.context import Context


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """An empty home."""
    return open_context(tmp_path / "home")


def started(context: Context) -> LoopsRound:
    """A round over it, as a controller begins it."""
    arguments, save = ["--home", str(context.home)], PostmortemFolder(context.home).write
    return LoopsRound(context, arguments, lambda name: Responder(name, context.journal, {}, context.clock, save), 0.0)


def audited(outcome: Outcome) -> LoopAudited:
    """An audit's fact."""
    return fact_of_loops(LoopReport("hotel", 100, 0.0, 1.0, (Part("shaped", outcome, "as it was read"),)), "asked for")


def looked(audits: LoopsRound) -> None:
    """One look, whenever the last was."""
    audits._due = 0.0
    audits.look()


def running(audits: LoopsRound) -> tuple[str, ...]:
    """The command of the audit that runs."""
    return audits.running


def told(context: Context) -> list[tuple[str, str]]:
    """Which alerts were raised and ended."""
    found = []
    for entry in context.journal.read(model="hotel", kinds=("alert_raised", "alert_quieted")):
        if isinstance(entry.fact, AlertRaised):
            found.append(("raised", entry.fact.alert))
        elif isinstance(entry.fact, AlertQuieted) and entry.fact.recovered:
            found.append(("over", entry.fact.alert))
    return found


def test_an_audit_is_told_once_and_ends_once_also_over_restarts(context: Context) -> None:
    """A breached audit raises the alert, a restart repeats nothing, one that holds ends it, and old audits that are
    read again at a start raise nothing."""
    context.journal.append([audited(Outcome.BREACHED)], actor="loops", at=context.clock.now())
    looked(started(context))
    looked(started(context))
    assert told(context) == [("raised", LOOP)]
    context.journal.append([audited(Outcome.HOLDS)], actor="loops", at=context.clock.now())
    looked(started(context))
    looked(started(context))
    assert told(context) == [("raised", LOOP), ("over", LOOP)]


def test_a_report_that_cannot_be_read_still_tells_its_verdict(context: Context) -> None:
    """What another program wrote is told by its own reason."""
    odd = LoopAudited("hotel", "", "breached", Raw(canonical({"other": 1})), "somebody else's words")
    context.journal.append([odd], actor="loops", at=context.clock.now())
    looked(started(context))
    assert told(context) == [("raised", LOOP)]


def test_the_first_version_is_not_audited_and_the_next_one_is(context: Context) -> None:
    """A version beside an older one starts a process; what it cannot read ends it, and it is tried again later."""
    now = context.clock.now()
    context.journal.append([VersionRegistered("hotel", 1, "a" * 64, "july")], actor="ana", at=now)
    audits = started(context)
    looked(audits)
    assert running(audits) == ()
    context.journal.append([VersionRegistered("hotel", 2, "b" * 64, "august")], actor="ana", at=now)
    looked(audits)
    assert running(audits)[-3:] == ("hotel", "--keep", "version 2 was registered")
    deadline = time.monotonic() + 240.0
    while running(audits) and time.monotonic() < deadline:
        time.sleep(0.05)
        looked(audits)
    assert running(audits) == ()


def test_an_audit_is_due_again_after_its_time(context: Context) -> None:
    """An old registration is audited; one that was audited since is not."""
    long_ago = context.clock.now() - 40 * 86_400.0
    context.journal.append([VersionRegistered("hotel", 1, "a" * 64, "july")], actor="ana", at=long_ago)
    context.journal.append([audited(Outcome.HOLDS)], actor="loops", at=context.clock.now())
    fresh = started(context)
    looked(fresh)
    assert running(fresh) == ()
    context.journal.append([VersionRegistered("inn", 1, "a" * 64, "july")], actor="ana", at=long_ago)
    looked(fresh)
    assert running(fresh)[-3:-1] == ("inn", "--keep")
    fresh.close()
