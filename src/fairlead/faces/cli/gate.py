"""gate and waive: the readiness checks, and who answers for what does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from fairlead.core.gate import CHECKS, Check, GateReport
from fairlead.core.gate_sections import SECTIONS, TITLES, section_of
from fairlead.errors import UsageError
from fairlead.faces.cli.options import day_option
from fairlead.faces.cli.output import emit_json, instant, leave, progress, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import gates, readiness, waivers

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Version = Annotated[str, typer.Argument(metavar="NAME@V")]
Where = Annotated[
    str, typer.Option("--environment", help="dev, staging or production [default: what this home serves].")
]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(gate)
    app.command()(waive)


def gate(
    context: typer.Context,
    version: Version,
    environment: Where = "",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as a page, too.")] = None,
    json: Json = False,
) -> None:
    """Measures whether a version is ready, and keeps the evidence. A version without a passed gate is not deployed.

    Leaves 0 when it passed, 1 when a check is breached, 3 when some are only undecided or could not be measured."""
    home = opened(context)
    with _told() as on_check:
        found = readiness.measure(home, version, environment, on_check)
    report, score = found.report, found.score
    if html is not None:
        readiness.save_page(found, html)
    if json:
        emit_json({**_as_json(report), "ml_test_score": score})
    else:
        show(report, serves=home.settings.environment)
        areas = ", ".join(f"{area} {points:g}" for area, points in score.areas.items())
        say(f"ML Test Score {score.score:g} of 7, the least of {areas}: {score.reading}")
    raise leave(report.outcome)


def waive(
    context: typer.Context,
    version: Version,
    check: Annotated[str, typer.Argument(metavar="CHECK")],
    until: Annotated[str, typer.Option(metavar="DATE", help="The day on which it ends, as 2027-01-31, UTC.")] = "",
    reason: Annotated[str, typer.Option(help="Why it may be so, for the journal.")] = "",
    environment: Where = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="Takes the waiver back.")] = False,
    json: Json = False,
) -> None:
    """Answers, in your name and until a day, for a check that does not hold."""
    home = opened(context)
    if revoke:
        report = waivers.revoke(home, version, check, reason, environment)
    elif not until:
        raise UsageError("a waiver ends on a day: give it with --until 2027-01-31")
    else:
        report = waivers.waive(home, version, check, day_option("--until", until), reason, environment)
    if json:
        emit_json(_as_json(report))
        return
    for name in report.waived:
        found = report.check(name)
        if found is not None and found.waived is not None:
            say(f"{name} is waived by {found.waived.by} until {instant(found.waived.until)} UTC: {found.waived.reason}")
    say(f"{report.model}@{report.version} for {report.environment}: {report.reason}")


@contextmanager
def _told() -> Iterator[gates.OnCheck]:
    """Hears each check; a bar on a terminal, nothing in a pipe."""
    with progress("readiness checks") as bar:
        made = 0

        def told(_check: Check) -> None:
            nonlocal made
            made += 1
            if bar is not None:
                bar(made, len(CHECKS))

        yield told


def _as_json(report: GateReport) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(report)
    told = {"passed": report.passed, "failed": report.failed, "waived": report.waived, "reason": report.reason}
    return {**fields, **told, "outcome": report.outcome.value}


def show(report: GateReport, serves: str) -> None:
    """The table by parts, and what comes next in a home that serves an environment."""
    for section in SECTIONS:
        rows = [_row(check, report) for check in report.checks if section_of(check.name) == section]
        if rows:
            table(TITLES[section], ("check", "", "measured", "took"), rows, ("took",))
    name = f"{report.model}@{report.version}"
    say(f"{name} for {report.environment}: {report.reason}")
    if not report.passed:
        say(f"{name} did not pass: {', '.join(report.failed)}")
    elif report.environment == serves:
        say(f"next: `fairlead deploy {name}`")
    elif report.environment != "dev":
        say(f"next: `fairlead promote {name} --to {report.environment}`")


def _row(check: Check, report: GateReport) -> tuple[str | Text, ...]:
    said = check.reason
    if check.waived is not None:
        said += f" Waived by {check.waived.by} until {instant(check.waived.until)[:10]}: {check.waived.reason}"
    elif check.name not in report.policy.required and not check.holds:
        said += f" Not asked for in {report.environment}."
    return check.name.replace("_", " "), state(check.state), said, f"{check.seconds:.1f} s"
