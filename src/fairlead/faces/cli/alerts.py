"""`alerts`: what stands, what conditions say now, what is left of the budget; and whether the channels deliver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.output import emit_json, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import alerts as operations
from fairlead.operations.alerts import Budget

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    group = typer.Typer(help="What stands, what conditions say now, and the budget of pages.")
    app.add_typer(group, name="alerts")
    group.callback(invoke_without_command=True)(shown)
    group.command("test")(try_channels)


def shown(context: typer.Context, json: Json = False) -> None:
    """Standing alerts, conditions and pages spent."""
    if context.invoked_subcommand is not None:
        return
    view = operations.alerts(opened(context))
    if json:
        emit_json(view)
        return
    rows = [
        (one.model or "(all)", one.alert, state(one.severity), _at(one.raised_at), one.owner, one.reason)
        for one in view.standing
    ]
    if rows:
        table("standing alerts", ("model", "alert", "severity", "since", "owner", "why"), rows)
    else:
        say("no alert stands")
    looks = [(one.model, one.name, state(one.outcome.value), _at(one.at), one.reason) for one in view.conditions]
    if looks:
        table("conditions", ("model", "condition", "says", "at", "why"), looks)
    if view.stale:
        say("the controller has not looked for some minutes: is `fairlead up` running?")
    for budget in view.budgets:
        say(_spent(budget))


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


def _spent(budget: Budget) -> str:
    days = f"{budget.per_seconds / 86_400:g} days"
    allowed = "no budget is stated" if budget.allowed is None else f"{budget.allowed} allowed"
    return f"{budget.model}: {counted(budget.spent, 'page')} in the last {days}, {allowed}"


def _at(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"
