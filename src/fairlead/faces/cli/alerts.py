"""`alerts`: what stands, what conditions say, the budget; silences, acknowledgements, and whether channels deliver."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.core.outbox import Silence
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.options import duration_option
from fairlead.faces.cli.output import emit_json, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import alerts as operations
from fairlead.operations import silences as hand
from fairlead.operations.alerts import AlertsView, Budget, StandingAlert

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    group = typer.Typer(help="What stands, what conditions say now, and the budget of pages.")
    app.add_typer(group, name="alerts")
    group.callback(invoke_without_command=True)(shown)
    group.command("test")(try_channels)
    group.command("silence")(silence)
    group.command("silences")(silences)
    group.command("unsilence")(unsilence)
    group.command("acknowledge")(acknowledge)
    group.command("budget")(budgets)


def shown(context: typer.Context, json: Json = False) -> None:
    """Standing alerts, conditions and pages spent."""
    if context.invoked_subcommand is not None:
        return
    view = operations.alerts(opened(context))
    if json:
        emit_json(view)
        return
    _standing(view)
    if view.silences:
        _list(view.silences)
    looks = [(one.model, one.name, state(one.outcome.value), _at(one.at), one.reason) for one in view.conditions]
    if looks:
        table("conditions", ("model", "condition", "says", "at", "why"), looks)
    for aim in view.aims:
        say(aim.said)
    if view.stale:
        say("the controller has not looked for some minutes: is `fairlead up` running?")
    for budget in view.budgets:
        say(spent_of(budget))


def _standing(view: AlertsView) -> None:
    rows = [
        (one.model or "(all)", one.alert, state(one.severity), _at(one.raised_at), one.owner, _why(one))
        for one in view.standing
    ]
    if rows:
        table("standing alerts", ("model", "alert", "severity", "since", "owner", "why"), rows)
    else:
        say("no alert stands")
    late = [
        (one.channel, one.title, str(one.attempts), _at(one.next_at), one.reason or "-") for one in view.undelivered
    ]
    if late:
        table("not delivered yet", ("channel", "notice", "tries", "next at", "why"), late)


def try_channels(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(help="One channel [default: all of them].")] = "",
    json: Json = False,
) -> None:
    """Sends a test notice by each channel; exit code 1 where one fails."""
    deliveries = operations.send_test(opened(context), channel)
    if json:
        emit_json(deliveries)
    else:
        for one in deliveries:
            say(one.failure or f"channel {one.channel}: delivered")
    raise leave(Outcome.BREACHED if any(one.failure for one in deliveries) else Outcome.HOLDS)


def silence(
    context: typer.Context,
    pattern: Annotated[str, typer.Argument(help="An alert's name, or a pattern such as 'data-*'.")],
    reason: Annotated[str, typer.Option(help="Why; others will ask.")],
    length: Annotated[str, typer.Option("--for", help="How long, such as 2h.")],
    model: Annotated[str, typer.Option(help="Only of this model [default: all].")] = "",
    json: Json = False,
) -> None:
    """Tells nobody of some alerts for a while. They are raised and kept; what still stands at its end is told then."""
    seconds = duration_option("--for", length)
    found = hand.silence(opened(context), pattern, seconds, reason, model)
    if json:
        emit_json(found)
        return
    say(f"silence {found.id}: {pattern} of {model or 'all models'} until {_at(found.ends_at)}")


def silences(context: typer.Context, json: Json = False) -> None:
    """The silences that stand."""
    found = hand.silences(opened(context))
    if json:
        emit_json(found)
    elif found:
        _list(found)
    else:
        say("nothing is silenced")


def unsilence(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SILENCE", help="Its id, as `alerts silences` lists it.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Ends a silence before its time."""
    found = hand.end_silence(opened(context), name, reason)
    say(f"silence {found.id} is over: what it held back and still stands is told now")


def acknowledge(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Whose alert it is.")],
    alert: Annotated[str, typer.Argument(help="Its name, as `alerts` lists it.")],
    note: Annotated[str, typer.Option(help="What you do about it.")] = "",
    length: Annotated[str, typer.Option("--for", help="How long, such as 4h [default: until it is over].")] = "",
) -> None:
    """Says that you work on an alert: nobody else is called for it, unless it rises."""
    seconds = duration_option("--for", length) if length else None
    found = hand.acknowledge(opened(context), model, alert, note, seconds)
    until = "it is over, or rises" if found.until is None else _at(found.until)
    say(f"{alert} of {model} is acknowledged until {until}")


def budgets(context: typer.Context, json: Json = False) -> None:
    """How the budget of false pages is dealt out over each model's monitors, and what their looks have spent."""
    found = operations.alerts(opened(context)).budgets
    if json:
        emit_json(found)
        return
    for budget in found:
        say(spent_of(budget))


def _list(found: Sequence[Silence]) -> None:
    rows = [
        (one.id, one.model or "(all)", ", ".join(one.alerts) or "all", _at(one.ends_at), one.actor, one.reason)
        for one in found
    ]
    table("silences", ("silence", "model", "alerts", "until", "by", "why"), rows)


def _why(one: StandingAlert) -> str:
    more = one.acknowledged or one.held
    return f"{one.reason} [{more}]" if more else one.reason


def spent_of(budget: Budget) -> str:
    """A model's pages against what is allowed, and what looks may have cost by chance, in one line."""
    days = f"{budget.per_seconds / 86_400:g} days"
    allowed = "no budget is stated" if budget.allowed is None else f"{budget.allowed} allowed"
    line = f"{budget.model}: {counted(budget.spent, 'page')} in the last {days}, {allowed}"
    return f"{line}; {budget.dealt}" if budget.dealt else line


def _at(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"
