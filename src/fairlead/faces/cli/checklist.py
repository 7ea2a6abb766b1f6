"""checklist and attest: the lifecycle's checklists with live state, and the answers that people give."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.checklist import PHASES
from fairlead.core.checklist_items import items_of
from fairlead.errors import UsageError
from fairlead.faces.cli.options import day_option
from fairlead.faces.cli.output import emit_json, instant, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import checklists
from fairlead.operations.checklists import Checklist

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(checklist)
    app.command()(attest)


def checklist(
    context: typer.Context,
    phase: Annotated[str, typer.Argument(metavar="PHASE", help=f"One of {', '.join(PHASES)}.")] = "",
    version: Annotated[str, typer.Argument(metavar="NAME@V")] = "",
    environment: Annotated[
        str, typer.Option("--environment", help="Whose gate counts [default: what this home serves].")
    ] = "",
    json: Json = False,
) -> None:
    """The lifecycle's checklists: what proves each item and, for a version, how it stands. Leaves 0, 1 or 3 as gate."""
    if "@" in phase:  # the version alone
        if version:
            raise UsageError(f"{phase} names a version where the phase belongs: write the phase first")
        phase, version = "", phase
    if not version:
        _show_items(phase, json=json)
        return
    found = checklists.checklist(opened(context), version, phase, environment)
    if json:
        emit_json({"outcome": found.outcome.value, **_fields(found)})
    else:
        _show(found)
    raise leave(found.outcome)


def attest(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="As `fairlead checklist` names it.")],
    model: Annotated[str, typer.Argument(metavar="NAME[@V]", help="A version; without one, every version.")],
    answer: Annotated[str, typer.Option(help="What you attest.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    link: Annotated[str, typer.Option(help="Where it can be read up: a URL or a path.")] = "",
    until: Annotated[
        str, typer.Option(metavar="DATE", help="The day on which it is asked again [default: a year].")
    ] = "",
    json: Json = False,
) -> None:
    """Answers an item of a checklist that no machine can know: with owner, date and link, until it expires."""
    ends = day_option("--until", until) if until else None
    found = checklists.attest(opened(context), item, model, answer, owner, link, ends)
    if json:
        emit_json(found)
        return
    say(f"{found.item} is attested by {found.owner} until {instant(found.until)[:10]}: {found.answer} ({found.link})")


def _fields(found: Checklist) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _show_items(phase: str, *, json: bool) -> None:
    items = items_of(checklists.phase_named(phase))
    if json:
        emit_json([{"name": one.name, "phase": one.phase, "text": one.text, "by": one.by} for one in items])
        return
    for each in PHASES:
        rows = [(item.name, item.text, item.by) for item in items if item.phase == each]
        if rows:
            table(each.replace("-", " "), ("item", "", "proven by"), rows)
    say("with a version, as in `fairlead checklist pre-deployment churn@1`, each item's state is shown")


def _show(found: Checklist) -> None:
    for phase in PHASES:
        rows = [(line.name, state(line.state), line.text, line.reason) for line in found.lines if line.phase == phase]
        if rows:
            table(phase.replace("-", " "), ("item", "", "", "why"), rows)
    states = ("proven", "attested", "waived", "open", "expired", "failed")
    said = ", ".join(f"{number} {word}" for word in states if (number := found.counted(word)))
    say(f"{found.model}@{found.version} for {found.environment}: {said}")
