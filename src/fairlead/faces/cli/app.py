"""The command line as a whole: the shared options, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from fairlead.errors import FairleadError
from fairlead.faces.cli import (
    alerts,
    backtest,
    checklist,
    diff,
    drift,
    experiment,
    features,
    gate,
    incidents,
    journal,
    labels,
    log,
    loops,
    models,
    outcomes,
    performance,
    pipeline,
    replay,
    retrain,
    rollouts,
    runbooks,
    score,
    selftest,
    settings,
    simulate,
    skew,
    status,
    stream,
    validate,
    why,
    windows,
)
from fairlead.faces.cli.session import OpenContext, Session

# In the order of the help.
VERBS = (
    models,
    diff,
    features,
    gate,
    checklist,
    rollouts,
    why,
    replay,
    pipeline,
    selftest,
    score,
    validate,
    skew,
    loops,
    stream,
    drift,
    windows,
    status,
    performance,
    experiment,
    outcomes,
    labels,
    retrain,
    incidents,
    runbooks,
    alerts,
    backtest,
    simulate,
    journal,
    log,
    settings,
)


def build(open_context: OpenContext, version: str) -> typer.Typer:
    """The command line, without the verbs that start processes (`up`, `demo`): the composition root adds those."""
    app = typer.Typer(
        name="fairlead",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Takes a trained tabular model from registered to trusted in production, and keeps it honest there.",
    )

    @app.callback(invoke_without_command=True)
    def shared(
        context: typer.Context,
        home: Annotated[Path, typer.Option(envvar="FAIRLEAD_HOME", help="The folder that holds all state.")] = Path(
            ".fairlead"
        ),
        config: Annotated[
            Path | None, typer.Option(help="The settings file [default: fairlead.yaml, if there is one].")
        ] = None,
        environment: Annotated[
            str, typer.Option(envvar="FAIRLEAD_ENVIRONMENT", help="Merges fairlead.NAME.yaml over it.")
        ] = "",
        show_version: Annotated[bool, typer.Option("--version", help="Prints the version and leaves.")] = False,
    ) -> None:
        if show_version:
            sys.stdout.write(f"fairlead {version}\n")
            raise typer.Exit
        context.obj = Session(home, config, environment, open_context)

    for module in VERBS:
        module.add_to(app)
    return app


def run(app: typer.Typer, arguments: list[str]) -> int:
    """Runs one command and returns its exit code. Whatever the caller did wrong is one line on stderr and exit 2."""
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        message = error.format_message()
        if "\n" in message:  # no verb given: the message is the help text
            sys.stdout.write(message + "\n")
            return 0
        return _fail(message, f"`{_verb_of(error)} --help` says what there is")
    except FairleadError as error:
        return _fail(error.line)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


def _verb_of(error: TyperException) -> str:
    """The command that was typed wrongly, as in `fairlead log erase`; all of them where it is not known."""
    names: list[str] = []
    context = getattr(error, "ctx", None)
    while context is not None and context.parent is not None:  # the outermost is named after how it was started
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["fairlead", *names])


def _fail(line: str, hint: str = "") -> int:
    ending = "" if line.endswith((".", "!", "?")) or not hint else "."
    sys.stderr.write(f"fairlead: {' '.join(line.split())}{ending}{' ' + hint if hint else ''}\n")
    return 2
