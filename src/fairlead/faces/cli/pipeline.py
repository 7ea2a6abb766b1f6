"""pipeline: run the settings' stages, and render them for a CI."""

from __future__ import annotations

import shlex
import signal
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from fairlead.config.load import load_settings
from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, leave, progress_note, say, state, table
from fairlead.faces.cli.session import Session, opened
from fairlead.flows.pipeline import RunReport, StepReport
from fairlead.operations import pipeline_render, pipelines
from fairlead.operations.context import Context
from fairlead.operations.report_output import written

TAIL_LINES = 20
_CUT_OFF = (
    "the run was cut off and all stands as it is: `fairlead pipeline run --resume` goes on, "
    "`fairlead pipeline cancel` takes back what it has rolled out\n"
)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    group = typer.Typer(no_args_is_help=True, help="The stages of `pipeline` in the settings: here, or in a CI.")
    group.command("run")(run)
    group.command("cancel")(cancel)
    group.command("render")(render)
    app.add_typer(group, name="pipeline")


def run(
    context: typer.Context,
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE…]", help="[default: all]")] = None,
    model: Annotated[str, typer.Option(metavar="NAME@V", help="The version; NAME is its newest.")] = "",
    key: Annotated[str, typer.Option("--run", metavar="KEY", help="The run's name; one of it goes on.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Goes on with the last run: what passed is kept.")] = False,
    json: Json = False,
) -> None:
    """Runs stages for a version, step by step, and stops at the first that does not pass.

    Exit 0: all passed. 1: a step failed, and what this run had rolled out was taken back. 3: not decided yet, and all
    stands as it is: --resume goes on."""
    signal.signal(signal.SIGTERM, _interrupted)  # else a command would outlive a run that is told to leave
    home = opened(context, create=True)
    session = context.obj
    assert isinstance(session, Session)
    folder = session.config.absolute().parent if session.config is not None else Path.cwd()
    try:
        report = pipelines.run_pipeline(
            home, folder, tuple(stages or ()), model, key, resume=resume, told=lambda step: _tell(home, step)
        )
    except KeyboardInterrupt:
        sys.stderr.write(_CUT_OFF)
        raise
    emit_json(report) if json else _show(report)
    raise leave(report.outcome)


def cancel(
    context: typer.Context,
    model: Annotated[str, typer.Option(metavar="NAME@V", help="Whose run it is.")] = "",
    key: Annotated[str, typer.Option("--run", metavar="KEY", help="The run's name [default: the last run].")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is journalled.")] = "",
    json: Json = False,
) -> None:
    """Ends a run that was cut off, and takes back what it had rolled out, as when a step fails.

    Exit 0: nothing of it is before callers. 1: it cannot be taken back. 3: that was asked for and not seen yet, or is
    left to people."""
    cancelled = pipelines.cancel_pipeline(opened(context), model, key, reason)
    emit_json(cancelled) if json else say(f"{cancelled.run}: {cancelled.reason}")
    raise leave(cancelled.outcome)


def render(
    context: typer.Context,
    ci: Annotated[str, typer.Option("--for", metavar="CI", help="github or gitlab.")],
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes it there [default: stdout].")] = None,
) -> None:
    """Writes the pipeline as a workflow: a job for each stage, which runs `fairlead pipeline run STAGE`."""
    session = context.obj
    assert isinstance(session, Session)
    options, path = _options(session), session.config or Path("fairlead.yaml")
    needed = _needed(path, session.environment)
    # A variable stands for itself: no value is needed, none can get into the file, and it is the same everywhere.
    settings = load_settings(path, {name: f"${{{name}}}" for name in needed}, session.environment)
    text = pipeline_render.render(settings, ci, options, needed)
    if output is None:
        sys.stdout.write(text)
        return
    with suppress(OSError):  # who cannot make the folder is told by the next line
        output.parent.mkdir(parents=True, exist_ok=True)
    written(output, text)
    say(f"{output} runs the pipeline on {ci}: commit it, and render again whenever the settings change")


def _needed(path: Path, environment: str) -> tuple[str, ...]:
    """The variables of the settings file, and of its overlay."""
    overlay = path.with_name(f"{path.stem}.{environment}{path.suffix}")
    files = [one for one in (path, overlay) if one.is_file()]
    texts = [one.read_text(encoding="utf-8", errors="replace") for one in files]
    return tuple(dict.fromkeys(name for text in texts for name in pipeline_render.variables_of(text)))


def _options(session: Session) -> tuple[str, ...]:
    """What a job tells fairlead of the settings. Raises `UsageError` for a file that no other machine has."""
    if session.config is not None and session.config.is_absolute():
        raise UsageError(f"--config {session.config}: name the settings file relative to the repository's folder")
    config = () if session.config is None else ("--config", shlex.quote(session.config.as_posix()))
    environment = ("--environment", shlex.quote(session.environment)) if session.environment else ()
    return (*config, *environment)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _tell(home: Context, step: StepReport) -> None:
    """Each step on stderr: a CI shows it as it happens, and hides the secrets in what a command printed."""
    name = f"{step.stage}/{step.step}"
    if step.state == "started":
        progress_note(f"{name} …")
        return
    again = " (before)" if step.before else f" ({step.seconds:.1f} s)"
    sys.stderr.write(f"{name} {step.state}{again}: {step.reason}\n")
    log = step.reason.rpartition("its output is in ")[2] if step.state == "failed" else ""
    if log.startswith(pipelines.FOLDER):
        _tail(home.home / log)


def _tail(log: Path) -> None:
    try:
        with log.open(errors="replace") as lines:
            for line in deque(lines, TAIL_LINES):
                sys.stderr.write(f"    {line.rstrip()}\n")
    except OSError:
        return


def _show(report: RunReport) -> None:
    rows = [(one.stage, one.step, state(one.state), one.reason) for one in report.steps]
    table("", ("stage", "step", "", "why"), rows)
    say(f"{report.run}: {report.reason}")
    if report.rolled_back:
        say(report.rolled_back)
