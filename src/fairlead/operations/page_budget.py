"""The budget of false pages of a model: how it is dealt out over what watches it, and what its looks have spent."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.core.alert import PAGING
from fairlead.core.event import VersionRegistered, WindowJudged, canonical
from fairlead.core.facts_act import BudgetCompiled
from fairlead.core.page_budget import Thresholds, Watched, compiled, spent, thresholds
from fairlead.core.report import Stage, report_of
from fairlead.errors import FairleadError
from fairlead.operations.context import Context
from fairlead.stats.budget import Ledger

_MONTH_SECONDS = 365.25 / 12 * 86_400.0
ACTOR = "budget"


def grants(context: Context, model: str) -> Thresholds:
    """The thresholds that a model is watched by. What the budget became is journalled, where it has changed."""
    ledger = dealt(context, model)
    budget = context.settings.alerting.budget
    if ledger is not None and budget is not None:
        told = Raw(canonical(ledger))
        last = None
        for entry in context.journal.read(model=model, kinds=("budget_compiled",)):
            if isinstance(entry.fact, BudgetCompiled):
                last = bytes(entry.fact.ledger)
        if last != bytes(told):
            fact = BudgetCompiled(model, float(budget.pages), float(budget.per), told, ledger.said())
            context.journal.append([fact], actor=ACTOR, at=context.clock.now())
    return thresholds(ledger, float(context.settings.monitoring.alpha))


def dealt(
    context: Context, model: str, stated: tuple[float, float] | None = None, seconds: float | None = None
) -> Ledger | None:
    """The budget dealt out over a model's monitors, with nothing spent; None where the settings state none. `stated`
    is another one, of this model alone: pages, and the seconds that they are for. `seconds` are other windows than the
    settings'."""
    budget = context.settings.alerting.budget
    if stated is not None:
        versions = _versions(context, model)
        return compiled(stated[0], _watched(context, model, stated[1], versions.get(model, ""), seconds))
    if budget is None:
        return None
    models = _versions(context, None if budget.across == "all" else model)
    shared = max(len(models), 1)
    watched = _watched(context, model, float(budget.per), models.get(model, ""), seconds)
    return compiled(budget.pages / shared, watched)


def balance(context: Context, model: str) -> Ledger | None:
    """The ledger with what the looks of the last period have spent."""
    ledger, budget = dealt(context, model), context.settings.alerting.budget
    if ledger is None or budget is None:
        return None
    now = context.clock.now()
    stages = dict.fromkeys(Stage, 0)
    for entry in context.journal.read(model=model, kinds=("window_judged",)):
        if entry.at > now - float(budget.per) and isinstance(entry.fact, WindowJudged):
            try:
                stages[report_of(entry.fact).stage] += 1
            except msgspec.MsgspecError:
                continue
    since = next(iter(context.journal.read(model=model, kinds=("version_registered",))), None)
    passed = 0.0 if since is None else min(now - since.at, float(budget.per))
    live = max(passed, 0.0) / float(context.settings.alerting.window)
    return spent(ledger, stages[Stage.CLOSED], stages[Stage.MATURED], int(since is not None), live)


def _versions(context: Context, model: str | None) -> dict[str, str]:
    """The last bundle of a model, or of each."""
    found: dict[str, str] = {}
    for entry in context.journal.read(model=model, kinds=("version_registered",)):
        if isinstance(entry.fact, VersionRegistered):
            found[entry.fact.model] = entry.fact.bundle
    return found


def _watched(context: Context, model: str, per: float, bundle: str, seconds: float | None = None) -> Watched:
    settings = context.settings
    try:
        features = len(context.bundles.manifest(bundle).contract.features) if bundle else 1
    except FairleadError:
        features = 1  # it cannot be watched either
    seconds = seconds or settings.monitoring.judged_plan.seconds or _MONTH_SECONDS  # a look each slide
    points = (*watchpoints(settings, model), *stand_ins(settings, model))
    paging = [point for point in points if point.severity in PAGING]
    return Watched(
        windows=per / seconds,
        features=max(features, 1),
        segments=2,  # the whole, and all of its classes and groups together
        conditions=len(paging),
        live_windows=per / float(settings.alerting.window),
    )
