"""`settings`: what the settings file may hold."""

from __future__ import annotations

import sys

import typer

from fairlead.config.schema import text


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    group = typer.Typer(no_args_is_help=True, help="The settings file.")
    app.add_typer(group, name="settings")

    @group.command("schema")
    def schema() -> None:
        """Prints the JSON Schema of fairlead.yaml, for editors."""
        sys.stdout.write(text())
