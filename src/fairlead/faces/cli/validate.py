"""validate: a version's contract against a table."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.faces.cli.options import share_option
from fairlead.faces.cli.output import emit_json, leave, progress, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations.validation import validate_version
from fairlead.operations.validation_values import ContractReport, FieldReport

_COUNTS = ("missing", "wrong_type", "out_of_range", "unseen", "broken_rule", "refused")


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(validate)


def validate(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME@V", help="A version, by number or alias.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Parquet, CSV, JSON lines, a folder, a Delta table.")],
    allow: Annotated[str, typer.Option(metavar="SHARE", help="Rows that may break the contract, such as 0.1%.")] = "0%",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What would the gateway make of each row of a table? Exit 0: all may be answered; 1: some would be refused or fall
    back; 3: there are no rows."""
    with progress("validating") as told:
        report = validate_version(opened(context), version, data, allow=share_option("--allow", allow), progress=told)
    if json:
        emit_json(report.to_dict())
    else:
        _show(report)
    raise leave(report.verdict.outcome)


def _show(report: ContractReport) -> None:
    say(f"{report.verdict.outcome.value}: {report.verdict.reason}")
    fates = (
        ("clean", report.clean),
        ("warned", report.warned),
        ("imputed", report.imputed),
        ("fallback", report.fallback),
        ("refused", report.refused),
    )
    say(", ".join(f"{count:,} {name}" for name, count in fates if count or name == "clean"))
    strange = sorted((one for one in report.fields if one.strange), key=lambda one: (-one.refused, -one.strange))
    if strange:
        heads = [name.replace("_", " ") for name in _COUNTS]
        table("", ("field", *heads, "for instance"), [_row(one) for one in strange], heads)
    calm = len(report.fields) - len(strange)
    if strange and calm:
        say(f"nothing strange in {counted(calm, 'other field')}")


def _row(one: FieldReport) -> tuple[str | Text, ...]:
    cells = [f"{count:,}" if (count := getattr(one, name)) else "" for name in _COUNTS]
    first = one.examples[0]
    value = f"{first.value} " if first.value else ""
    return (one.name, *cells, f"{value}({first.what.replace('_', ' ')}, row {first.row:,})")
