"""status: everything at a glance."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
import typer

from fairlead.core.verdict import Verdict, worst
from fairlead.errors import NotFound
from fairlead.faces.cli.alerts import spent_of
from fairlead.faces.cli.output import emit_json, leave, say, state, table
from fairlead.faces.cli.parts import show_parts
from fairlead.faces.cli.session import opened
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.operations.overview import LiveOverview, ModelView, Overview, RolloutView
from fairlead.operations.unseen import unseen_views
from fairlead.operations.watch_plan import WatchPlan, watch_plan

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(status)
    app.command()(watch)


def read(context: Context) -> Overview:
    """The overview of a home as of now."""
    return LiveOverview(context.journal, context.board, context.clock, partial(unseen_views, context.home)).read()


def model_view(context: Context, model: str) -> ModelView:
    """One model's overview. Raises `NotFound`."""
    view = read(context).model(model)
    if view is None:
        raise NotFound(f"there is no model {model!r} in this home: `fairlead models` lists them")
    return view


def status(context: typer.Context, json: Json = False) -> None:
    """Every model, worker and open incident, now."""
    home = opened(context)
    overview = read(home)
    names = {model.name for model in overview.models}
    view = alerts(home)
    budgets = [one for one in view.budgets if one.model in names]
    if json:
        more = {"budgets": budgets, "aims": view.aims}
        emit_json({**msgspec.to_builtins(overview), **msgspec.to_builtins(more)})
        return
    if not overview.models:
        say("no models yet: `fairlead register NAME --model PATH --reference DATA --target COLUMN` adds one")
        return
    rows = []
    for model in overview.models:
        arms = ", ".join(f"{arm.name} v{arm.version} {arm.share:.0%}" for arm in model.arms) or "nothing is served"
        rollout = "; ".join(f"{one.id}: {one.phase.value}" for one in _running(model)) or "none"
        rungs = worst(Verdict(rung.outcome, rung.reason) for rung in model.ladder[:2])
        rows.append((model.name, arms, rollout, state(rungs.outcome.value), str(len(model.open_incidents))))
    table("", ("model", "traffic", "rollout", "data and model", "open incidents"), rows, ("open incidents",))
    workers = [
        (str(worker.worker), str(worker.pid), str(worker.generation), state(worker.outcome.value), worker.reason)
        for worker in overview.workers
    ]
    if workers:
        table("", ("worker", "pid", "generation", "", ""), workers)
    else:
        say("no workers: `fairlead up` starts the gateway")
    if overview.unseen:
        shadows = [(f"{one.model}@{one.version}", state(one.outcome.value), one.reason) for one in overview.unseen]
        table("", ("shadow", "", ""), shadows)
    for line in (*map(spent_of, budgets), *(aim.said for aim in view.aims if aim.missing)):
        say(line)


def _running(model: ModelView) -> tuple[RolloutView, ...]:
    """The active rollout; of one with several arms every arm, one that has ended too."""
    return () if model.rollout is None else model.arms_of(model.rollout) or (model.rollout,)


def watch(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME")],
    plan: Annotated[
        bool, typer.Option("--plan", help="What is watched, from which part of the bundle, at which threshold.")
    ] = False,
    parts: Annotated[
        bool, typer.Option("--parts", help="Each class, each group and fairness, over the last windows.")
    ] = False,
    json: Json = False,
) -> None:
    """The four-layer ladder of a model, now. Read top-down for impact, bottom-up for cause."""
    if plan:
        _show_plan(watch_plan(opened(context), model), json=json)
        return
    view = model_view(opened(context), model)
    verdict = worst(Verdict(rung.outcome, rung.reason) for rung in view.ladder[:2])
    if parts:
        show_parts(view, json=json)
    elif json:
        emit_json(view.ladder)
    else:
        rows = [
            (str(rung.number), rung.name, state(rung.outcome.value), rung.reason)
            for rung in sorted(view.ladder, key=lambda rung: -rung.number)
        ]
        table("", ("layer", "", "", ""), rows)
        if view.parts.lines:
            say(f"by class, by group and fairness: `fairlead watch {model} --parts`")
    raise leave(verdict.outcome)


def _show_plan(plan: WatchPlan, *, json: bool) -> None:
    if json:
        emit_json(plan)
        return
    say(
        f"{plan.model}@{plan.version}: windows of {plan.window}; {plan.tests} tests a window share alpha {plan.alpha:g}"
    )
    say(plan.budget)
    table(
        "",
        ("layer", "what", "how", "threshold", "from"),
        [(one.layer, one.what, one.how, one.threshold, one.part) for one in plan.watched],
    )
