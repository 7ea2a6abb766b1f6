"""deploy, rollout, why, and the operator's hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from fairlead.config.grammar import shares
from fairlead.core.listing import counted
from fairlead.core.rollout import Phase
from fairlead.errors import Refused, UsageError
from fairlead.faces.cli.options import read_as
from fairlead.faces.cli.output import emit_json, figure, instant, progress_note, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.faces.cli.shadow_table import show_shadow
from fairlead.operations import environments, outlook, rollouts
from fairlead.operations.context import Context
from fairlead.operations.refused import refusals
from fairlead.operations.rollouts import RolloutView

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str, typer.Option(help="Why, for the journal.")]
_ENDED = {Phase.PROMOTED: 0, Phase.ROLLED_BACK: 1, Phase.HELD: 3}


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(deploy)
    app.command()(rollout)
    app.command()(promote)
    for verb in rollouts.VERBS:
        if verb != "promote":
            app.command(verb, help=_VERBS[verb])(_operator(verb))


_VERBS: dict[str, str] = {
    "pause": "Holds the rollout where it is.",
    "resume": "Lets a held rollout go on.",
    "abort": "Ends the rollout and sends all traffic to the champion.",
    "rollback": "Goes back to the version before. Always allowed.",
}


def deploy(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME@V", help="What to roll out; several with ab: NAME@7,8.")],
    strategy: Annotated[
        str | None, typer.Option(help="shadow (then canary), canary, blue-green, ab, or rolling.")
    ] = None,
    arms: Annotated[str, typer.Option(metavar="V=SHARE,…", help="With ab: 7=25%,8=25% [default: even shares]")] = "",
    reason: Reason = "",
    watch: Annotated[bool, typer.Option("--watch", help="Stays until the rollout is over.")] = False,
    json: Json = False,
) -> None:
    """Starts a rollout. Refused without passed gates."""
    home = opened(context)
    rollout_id = rollouts.deploy(home, version, strategy, reason, read_as(shares, "--arms", arms) if arms else {})
    name = version.split("@", maxsplit=1)[0]
    seen = () if arms or "," in version else outlook.outlook(home, name, strategy)
    held = rollouts.why_held(home, name, strategy)
    if not watch and json:
        more = {"outlook": seen, "held_instead_of_rolled_back": held}
        emit_json({"rollout": rollout_id} | {key: value for key, value in more.items() if value})
        return
    for line in (*outlook.lines(seen), *_held_lines(name, held)):
        progress_note(line) if json else say(line)
    if not watch:
        which = "its arms, each a rollout of its own" if "," in version else "it"
        say(f"{rollout_id} was asked for: `fairlead rollout {name}` shows {which}")
        return
    views = _watch(home, name, rollout_id)
    _emit(views) if json else _show_all(views)
    raise typer.Exit(max(_ENDED.get(view.phase, 0) for view in views) if len(views) == 1 else 0)


def _held_lines(model: str, why: str) -> tuple[str, ...]:
    """What a broken guardrail does to this rollout, where it is not what people expect."""
    line = f"a broken guardrail will hold this rollout for a person instead of rolling it back, as {why}"
    return (f"{line}: `fairlead selftest {model}` tests the next",) if why else ()


def _watch(home: Context, model: str, group: str) -> tuple[RolloutView, ...]:
    """Stays until it is over. Raises `Refused` where the controller cannot start it."""
    last = ""
    while True:
        views = tuple(one for one in rollouts.rollouts(home, model) if one.group == group)
        lines = [
            f"v{view.version} {view.phase.value} {view.share:.0%}: {view.decision.forecast if view.decision else ''}"
            for view in views
        ]
        if views and (line := "; ".join(lines)) != last:
            progress_note(line)
            last = line
        if views and all(view.phase in _ENDED for view in views):
            return views
        if not views and (refused := [one for one in refusals(home, model) if one.group == group]):
            raise Refused(f"{group} was refused: {refused[-1].reason}")
        time.sleep(0.5)


def _emit(views: tuple[RolloutView, ...]) -> None:
    """A rollout is one document; one with several arms is a list of them."""
    emit_json(views[0] if len(views) == 1 else views)


def _show_all(views: tuple[RolloutView, ...]) -> None:
    for view in views:
        _show(view)
    if views[-1].refused:
        say(f"since then {views[-1].refused}")


def rollout(
    context: typer.Context, model: Annotated[str | None, typer.Argument(metavar="NAME")] = None, json: Json = False
) -> None:
    """Where a model's rollout stands, with its evidence and forecast; without a name, all rollouts."""
    home = opened(context)
    if model is not None:
        views = rollouts.arms(home, model)
        _emit(views) if json else _show_all(views)
        return
    views = rollouts.rollouts(home)
    if json:
        emit_json(views)
        return
    if not views:
        say("no rollouts yet: `fairlead deploy NAME@V` starts one")
        return
    rows = [(view.id, str(view.version), state(view.phase.value), instant(view.started_at), view.why) for view in views]
    table("", ("rollout", "version", "phase", "started (UTC)", "why"), rows)


def _show(view: RolloutView) -> None:
    say(
        f"{view.id}: version {view.version} against {view.champion or 'nothing'}, {view.strategy}, "
        f"started {instant(view.started_at)} UTC"
    )
    phase = state(view.phase.value).plain
    say(
        f"{phase}, {view.share:.0%} of traffic, {counted(view.requests_exposed, 'request')} answered by the new version"
    )
    if view.decision is not None:
        rows = [
            (
                reading.guardrail,
                state(reading.call.value),
                figure(reading.champion),
                figure(reading.canary),
                figure(reading.log_e_max, 2),
                figure(reading.threshold_log_e, 2),
            )
            for reading in view.decision.readings
        ]
        table(
            "",
            ("guardrail", "call", "champion", "canary", "evidence ln e", "threshold"),
            rows,
            ("champion", "canary", "evidence ln e", "threshold"),
        )
        if view.phase not in _ENDED:
            say(view.decision.forecast)
    if view.shadow is not None:
        show_shadow(view.shadow)
    say(view.why)


def promote(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME", help="NAME@V means one arm, or with --to the version.")],
    to: Annotated[str, typer.Option("--to", metavar="ENVIRONMENT", help="staging, or from there production.")] = "",
    expect: Annotated[
        int | None, typer.Option(metavar="V", help="With --to: only if version V holds it now; 0 for none.")
    ] = None,
    reason: Reason = "",
    json: Annotated[bool, typer.Option("--json", help="With --to: one JSON document on stdout.")] = False,
) -> None:
    """Makes the rollout's version the champion now; with --to, lets a version into an environment by its gate."""
    if to:
        entered = environments.promote_to(opened(context), model, to, expect, reason)
        emit_json(entered) if json else _say_entered(entered)
        return
    if expect is not None or json:
        raise UsageError("--expect and --json go with --to: say which environment the version is to enter")
    _ask(context, model, "promote", reason)


def _say_entered(entered: environments.Entered) -> None:
    name = f"{entered.model}@{entered.version}"
    gone = "" if entered.replaced is None or entered.environment == "production" else f", after {entered.replaced}"
    then = "deploy" if entered.environment == "production" else "gate"
    say(f"{name} entered {entered.environment}{gone}: next `fairlead {then} {name}`")


def _ask(context: typer.Context, model: str, verb: rollouts.Verb, reason: str) -> None:
    rollouts.operate(opened(context), model, verb, reason)
    said = (
        f"{verb} of {model} was asked for: `fairlead rollout {model.split('@', maxsplit=1)[0]}` shows what became of it"
    )
    say(said)


def _operator(verb: rollouts.Verb) -> Callable[..., None]:
    def command(
        context: typer.Context,
        model: Annotated[str, typer.Argument(metavar="NAME", help="NAME@V means one arm of several.")],
        reason: Reason = "",
    ) -> None:
        _ask(context, model, verb, reason)

    return command
