"""diff: two versions of a model side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fairlead.core.contract_diff import Change
from fairlead.core.listing import counted, first_of
from fairlead.core.version_diff import DataDiff, Side, VersionDiff
from fairlead.faces.cli.output import emit_json, figure, instant, probability, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations.diff import diff as compare
from fairlead.stats.drift import ColumnDrift

_SHOWN = 15
_DIGEST = re.compile("[0-9a-f]{40,64}")  # shown as far as it tells two apart
_CELL = 72  # characters of a value; a card's text can be long


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(diff)


def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="NAME@A")],
    after: Annotated[str, typer.Argument(metavar="NAME@B")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the comparison as a page, too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What B has otherwise than A: lineage, data, metrics, schema, importances, card, environment."""
    found = compare(opened(context), before, after, html)
    if json:
        emit_json(found)
        return
    show(found)


def show(found: VersionDiff) -> None:
    """All parts; one without a difference is a line."""
    one, two = f"@{found.before.version}", f"@{found.after.version}"
    for side in (found.before, found.after):
        say(_side(found.model, side))
    if found.before.bundle == found.after.bundle:
        say("the two are one bundle: nothing differs")
        return
    table("lineage", ("", one, two), [(line.what, *_cells(line)) for line in found.lineage])
    _data(found.data)
    _metrics(found, one, two)
    _changes("schema", found.schema, (one, two), "the same contract")
    _importances(found, one, two)
    _changes("model card", found.card, (one, two), "the same in every field")
    _changes("environment", found.environment, (one, two), "the same packages")


def _side(model: str, side: Side) -> str:
    named = f", {', '.join(side.aliases)}" if side.aliases else ""
    return f"{model}@{side.version}  {side.status}{named}  registered {instant(side.registered_at)}  {side.bundle[:16]}"


def _cells(line: Change) -> tuple[str | Text, str | Text]:
    return _cell(line.before), Text("the same", style="dim") if line.same else _cell(line.after)


def _cell(text: str) -> str:
    flat = " ".join(text.split())
    return (
        "–"
        if not flat
        else flat[:16]
        if _DIGEST.fullmatch(flat)
        else flat
        if len(flat) <= _CELL
        else flat[: _CELL - 1] + "…"
    )


def _changes(title: str, lines: Sequence[Change], sides: tuple[str, str], same: str) -> None:
    if not lines:
        say(f"{title}: {same}")
        return
    table(title, ("", *sides), [(line.what, _cell(line.before), _cell(line.after)) for line in lines])


def _data(data: DataDiff) -> None:
    say(f"data: {data.verdict.outcome.value}: {data.verdict.reason}")
    table("", ("column", "", "effect", "PSI", "KS", "p"), [_column(one) for one in data.columns[:_SHOWN]], _RIGHT)
    if len(data.columns) > _SHOWN:
        say(f"and {counted(len(data.columns) - _SHOWN, 'more column')}: --json lists all")
    for names, side in ((data.only_before, "the first"), (data.only_after, "the second")):
        if names:
            say(f"only {side} has {first_of(names)}")


_RIGHT = ("effect", "PSI", "KS", "p")


def _column(one: ColumnDrift) -> tuple[str | Text, ...]:
    if one.unmeasured:
        return one.name, state("unmeasured"), "", "", "", one.unmeasured
    known = {distance.name: distance.corrected for distance in one.distances}
    psi, ks = (figure(known[name]) if name in known else "" for name in ("psi", "ks"))
    return one.name, state(one.level), figure(one.effect, 2), psi, ks, probability(one.p_value)


def _metrics(found: VersionDiff, one: str, two: str) -> None:
    rows = [
        (shift.name, figure(shift.before), figure(shift.after), _signed(shift.difference)) for shift in found.metrics
    ]
    table("metrics on the held-out rows", ("", one, two, "difference"), rows, (one, two, "difference"))
    if found.quality is not None:
        rows_are = "the same held-out rows" if found.quality.same_rows else "each on its own held-out rows"
        say(f"{found.quality.verdict.reason} (95 %, {rows_are})")


def _importances(found: VersionDiff, one: str, two: str) -> None:
    if "importances" in found.unmeasured:
        say(f"importances: {found.unmeasured['importances']}")
        return
    rows = [
        (weight.feature, figure(weight.before), figure(weight.after), _signed(weight.difference))
        for weight in found.importances[:_SHOWN]
    ]
    table("importances: what shuffling costs", ("", one, two, "difference"), rows, (one, two, "difference"))


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"
