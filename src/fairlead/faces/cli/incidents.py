"""incident: list, show, open, acknowledge, triage, act, message, item, note, resolve, postmortem; timeline note."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from fairlead.core.incident import Incident
from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, instant, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.flows.incident_round import ACTOR
from fairlead.operations import incidents
from fairlead.operations.acting import act as act_on
from fairlead.operations.context import Context
from fairlead.operations.triage import triage as run_triage

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Id = Annotated[str, typer.Argument(metavar="INCIDENT")]


def add_to(app: typer.Typer) -> None:
    """Adds the groups."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What went wrong, and what became of it.")
    group.command("list")(list_)
    group.command("open")(open_)
    for verb in (show, acknowledge, triage, act, message, item, note, resolve, postmortem):
        group.command()(verb)
    app.add_typer(group, name="incident")
    changes = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What was changed elsewhere, and when.")
    changes.command("note")(change)
    changes.callback()(lambda: None)
    app.add_typer(changes, name="timeline")


def list_(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only this model's.")] = None,
    which: Annotated[str | None, typer.Option("--state", help="open, acknowledged, mitigated or resolved.")] = None,
    json: Json = False,
) -> None:
    """All incidents, newest first."""
    found = incidents.list_incidents(opened(context), model, which)
    if json:
        emit_json(found)
        return
    if not found:
        say("no incidents")
        return
    rows = [(one.id, state(one.state), one.severity, instant(one.opened_at), one.title) for one in found]
    table("", ("incident", "state", "severity", "opened (UTC)", ""), rows)


def show(context: typer.Context, incident: Id, json: Json = False) -> None:
    """One incident: its triage, what was done, what is to be done, whom to tell, and its timeline."""
    found = incidents.show_incident(opened(context), incident)
    if json:
        emit_json(found)
        return
    say(f"{found.id}  {found.state}, {found.severity}, {found.category}; owner {found.owner or 'unassigned'}")
    say(f"{found.title}: {found.reason}")
    _triage(found)
    if found.actions:
        rows = [
            (instant(one.at), "by itself" if one.automatic else one.actor, one.action, one.reason)
            for one in found.actions
        ]
        table("done", ("when (UTC)", "by", "action", ""), rows)
    if found.items:
        items = [
            ("done" if one.done else "to do", one.owner, _day(one.due_at), one.item)
            for one in sorted(found.items, key=lambda one: one.due_at)
        ]
        table("items", ("", "owner", "due", ""), items)
    if found.messages:
        told = [
            (one.audience, one.channel, instant(one.due_at), "" if one.sent_at is None else instant(one.sent_at))
            for one in sorted(found.messages, key=lambda one: one.due_at)
        ]
        table("to be told", ("audience", "by", "until (UTC)", "sent (UTC)"), told)
    table("timeline", ("when (UTC)", "who", ""), [(instant(one.at), one.actor, one.text) for one in found.timeline])
    for line in _next(found):
        say(line)


def _next(found: Incident) -> Iterator[str]:
    """What a person can do now."""
    if found.state == "resolved":
        yield f"read it: fairlead incident postmortem {found.id}"
        return
    if found.state == "open":
        yield f"take it up: fairlead incident acknowledge {found.id}"
    action = "" if found.triage is None else found.triage.action
    if action and action != "none" and not any(one.action == action for one in found.actions):
        yield f"do what the triage recommends: fairlead incident act {found.id} {action}"
    elif found.triage is None:
        yield f"find out where it lies: fairlead incident triage {found.id}"


def open_(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME")],
    title: Annotated[str, typer.Argument(help="What users see, in a few words.")],
    severity: Annotated[str, typer.Option(help="critical, high, medium or low.")] = "high",
    category: Annotated[str, typer.Option(help="data, model, infrastructure, integration or business.")] = "model",
    reason: Annotated[str, typer.Option(help="What is known of it.")] = "",
    since: Annotated[str, typer.Option(help="When it was first seen, as 2026-01-31T12:00Z.")] = "",
    json: Json = False,
) -> None:
    """Opens an incident by hand; only a person resolves it."""
    found = incidents.open_incident(
        opened(context), model, title, severity, category, reason=reason, began_at=_instant(since)
    )
    emit_json(found) if json else say(f"{found.id} is open")


def acknowledge(
    context: typer.Context,
    incident: Id,
    text: Annotated[str, typer.Argument(help="What is being done.")] = "",
) -> None:
    """Says that somebody works on it: the clock stops."""
    say(f"{incident} is {incidents.acknowledge_incident(opened(context), incident, text).state}: its clock has stopped")


def triage(
    context: typer.Context,
    incident: Id,
    by_itself: Annotated[bool, typer.Option("--by-itself", hidden=True)] = False,
    json: Json = False,
) -> None:
    """Runs the five steps: infrastructure, panels, golden set, timeline, decision."""
    found = run_triage(_opened(context, by_itself=by_itself), incident)
    if json:
        emit_json(found.triage)
        return
    _triage(found)


def act(
    context: typer.Context,
    incident: Id,
    action: Annotated[str, typer.Argument(help="rollback, threshold, recalibrate, retrain, fix_data, scale or none.")],
    reason: Annotated[str, typer.Option(help="Why, for the journal.")] = "",
    by_itself: Annotated[bool, typer.Option("--by-itself", hidden=True)] = False,
    json: Json = False,
) -> None:
    """Does what helps, once; a threshold or a recalibration becomes a version and passes the gate first."""
    found = act_on(_opened(context, by_itself=by_itself), incident, action, reason, automatic=by_itself)
    done = next(one for one in reversed(found.actions) if one.action == action)
    emit_json(done) if json else say(f"{action.replace('_', ' ')}: {done.reason}")
    raise typer.Exit(1 if done.failed else 0)


def message(
    context: typer.Context,
    incident: Id,
    audience: Annotated[str, typer.Argument(help="engineering, product, users or leadership.")],
    sent: Annotated[bool, typer.Option("--sent", help="It has been sent.")] = False,
    channel: Annotated[str, typer.Option(help="How it was sent.")] = "",
) -> None:
    """The draft of what an audience is to be told; with --sent that they were."""
    home = opened(context)
    if sent:
        incidents.message_sent(home, incident, audience, channel)
        say(f"{audience} told")
    else:
        say(incidents.message_of(home, incident, audience))


def item(
    context: typer.Context,
    incident: Id,
    text: Annotated[str, typer.Argument(help="What is to be done.")],
    owner: Annotated[str, typer.Option(help="By whom [default: the incident's owner].")] = "",
    due: Annotated[str, typer.Option(help="Until when, as 2026-01-31 [default: five working days].")] = "",
    done: Annotated[bool, typer.Option("--done", help="It is done.")] = False,
) -> None:
    """Gives somebody something to do afterwards."""
    found = incidents.assign_item(opened(context), incident, text, owner, _instant(due), done=done)
    one = next(one for one in found.items if one.item == text.strip())
    say(f"{one.owner}, {'done' if one.done else f'until {_day(one.due_at)}'}: {one.item}")


def note(
    context: typer.Context,
    incident: Id,
    text: Annotated[str, typer.Argument(help="What was seen or done.")],
    becomes: Annotated[str, typer.Option("--state", help="acknowledged, mitigated or resolved.")] = "",
) -> None:
    """Writes down what a person saw or did."""
    found = incidents.note_incident(opened(context), incident, text, becomes)
    say(f"noted; {found.id} is {found.state}")


def resolve(
    context: typer.Context,
    incident: Id,
    text: Annotated[str, typer.Argument(help="How it is known to be over.")],
    without_triage: Annotated[
        str, typer.Option("--without-triage", metavar="REASON", help="Why, where no triage has run.")
    ] = "",
) -> None:
    """Says that it is over; its triage has run, or there is a reason why none is needed."""
    found = incidents.resolve_incident(opened(context), incident, text, without_triage)
    say(f"{incident} is {found.state}")


def postmortem(context: typer.Context, incident: Id) -> None:
    """The postmortem: drafted from the facts, with what people have written into it."""
    typer.echo(incidents.read_postmortem(opened(context), incident))


def change(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What was changed.")],
    source: Annotated[str, typer.Option(help="Where: a table, a service, a team.")],
    model: Annotated[str, typer.Option(help="Whose inputs [default: all models'].")] = "",
    at: Annotated[str, typer.Option(help="When, as 2026-01-31T12:00Z [default: now].")] = "",
    link: Annotated[str, typer.Option(help="Where it is written.")] = "",
) -> None:
    """Notes a change upstream; a triage lays it beside what went wrong."""
    incidents.note_change(opened(context), model, source, text, _instant(at), link)
    say(f"noted: {source}: {text}")


def _opened(context: typer.Context, *, by_itself: bool) -> Context:
    """The home; what the controller has started is written in its name."""
    return replace(opened(context), actor=ACTOR) if by_itself else opened(context)


def _triage(found: Incident) -> None:
    triaged = found.triage
    if triaged is None:
        return
    table("triage", ("step", "", ""), [(one.step, state(one.outcome.value), one.reason) for one in triaged.checks])
    may = "may be done without asking" if triaged.approved else "waits for you"
    say(f"recommended: {triaged.action.replace('_', ' ')} ({may}), because {triaged.reason}")


def _instant(text: str) -> float | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no instant: write 2026-01-31 or 2026-01-31T12:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
