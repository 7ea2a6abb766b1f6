"""The controller's look at what is no model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.app.compose import open_context
from fairlead.app.home_round import HomeRound
from fairlead.config.load import parse_settings
from fairlead.config.watchpoints import watchpoints
from fairlead.core.event import AlertQuieted, AlertRaised
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.core.verdict import Outcome
from fairlead.flows.respond import Responder
from fairlead.flows.tally import Counts, Usage, new_timing
from fairlead.operations.context import Context
from fairlead.ports.routes import WorkerState


def opened(folder: Path, text: str = "{}") -> tuple[Context, HomeRound]:
    """A home that serves one model, and its round, which has looked for a while."""
    context = replace(open_context(folder / "home"), settings=parse_settings(text))
    context.board.publish(RouteTable(1, {"hotel": ModelRoute((Arm("champion", 3, 1.0),), {3: "d" * 64})}))
    responder = Responder("", context.journal, {}, context.clock, lambda incident, _: incident)
    made = HomeRound(context, lambda _: responder, watchpoints(context.settings))
    made._since -= 3_600.0
    return context, made


def again(made: HomeRound) -> bool:
    """The next look, without the second before it."""
    made._next = made._take = made._minute = 0.0
    return made.look()


def test_a_home_without_workers_raises_a_critical_alert_until_one_answers(tmp_path: Path) -> None:
    """Once, and it is over once; not where the defaults are off."""
    context, made = opened(tmp_path)
    assert made.look()
    assert not made.look(), "once a second"
    again(made)
    context.board.report(WorkerState(0, 1, 1, 0.0, context.clock.now()))
    again(made)
    again(made)
    facts = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, AlertRaised | AlertQuieted)]
    assert [(type(fact), fact.model, fact.alert) for fact in facts] == [
        (AlertRaised, "", "no-worker"),
        (AlertQuieted, "", "no-worker"),
    ]
    quiet, off = opened(tmp_path / "off", "alerting: {defaults: false}")
    assert again(off)
    assert not any(isinstance(entry.fact, AlertRaised) for entry in quiet.journal.read())


def test_machines_are_one_alert_of_the_home(tmp_path: Path) -> None:
    """What the workers wrote of themselves, held against the usual levels; of no model."""
    text = "alerting: {defaults: false, alerts: [{name: memory_share}, {name: cpu_share}]}"
    context, made = opened(tmp_path, text)
    assert made.wanted
    usage = Usage(1.0, 2**50, new_timing())
    note = Counts(0, 1, 1, [], [], [], {}, 0, 0, [], usage=usage)
    NoteFolder(context.home / COUNTERS).write("0", msgspec.json.encode(note))
    again(made)
    said = {look.point.key: look.judgement.outcome for look in made.looks}
    assert said["memory_share:critical"] is Outcome.BREACHED
    assert said["cpu_share"] is Outcome.UNMEASURED, "what is sustained is not known yet"
    raised = [entry.fact for entry in context.journal.read() if isinstance(entry.fact, AlertRaised)]
    assert [(fact.model, fact.alert) for fact in raised] == [("", "memory_share"), ("", "memory_share:critical")]
