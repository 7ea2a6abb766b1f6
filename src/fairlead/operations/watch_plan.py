"""What is watched of a model, from which part of its bundle, and at which threshold: all of it without a setting."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from fairlead.config.group_rules import group_rules
from fairlead.config.watchpoints import stand_ins, watchpoints
from fairlead.core.bundle import GOLDEN, HELDOUT, PROFILE, Manifest
from fairlead.core.contract import Task
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.harm import HarmPolicy
from fairlead.core.impact import BOUNDS, Bound, bound_of, impact_of
from fairlead.core.listing import counted
from fairlead.core.report import SCORE, metric_name
from fairlead.errors import BundleError, NotFound
from fairlead.flows.watching.reference import PRIMARY
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.operations.watch_lines import LadderLayer, Watched, of_answers, of_columns, of_parts, of_schema
from fairlead.ports.registry import VersionInfo
from fairlead.stats.distances import DEFAULT
from fairlead.stats.profile import NumericProfile, TableProfile

_NUMBERS = ("psi", "js", "ks", "wasserstein", "null_rate", "rare", "outside")
_WORDS = ("psi", "js", "chi_squared", "null_rate", "rare", "unseen")
_TESTED = ("psi", "js", "ks", "wasserstein", "chi_squared", "null_rate")  # those with a p-value
_ALSO = {
    Task.BINARY: "accuracy, precision, recall, F1, log loss, Brier score, calibration error",
    Task.MULTICLASS: "per-class shares and the mean loss",
    Task.REGRESSION: "RMSE, R2, MAPE, bias",
}


class WatchPlan(Struct, frozen=True):
    """All that is watched of a version, and what that costs in tests."""

    model: str
    version: int
    window: str
    alpha: float
    tests: int  # p-values a window
    watched: tuple[Watched, ...]
    budget: str


def watch_plan(context: Context, model: str, version: str = "champion") -> WatchPlan:
    """The plan of a version. Raises `NotFound` and `BundleError`."""
    info = _version(context, model, version)
    manifest = context.bundles.manifest(info.bundle)
    try:
        text = (context.bundles.path(info.bundle) / PROFILE).read_bytes()
        profile = msgspec.json.decode(text, type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(
            f"the profile of {model}@{info.version} cannot be read ({error}): register it again"
        ) from None
    settings = context.settings
    known = settings.models.get(model)
    delay = known.labels.seconds if known else 14 * 86_400.0
    harm = HarmPolicy(cost=known.cost.matrix if known and known.cost else None)
    monitoring, budget = settings.monitoring, settings.alerting.budget
    lines = [
        of_schema(manifest, (*watchpoints(settings, model), *stand_ins(settings, model))),
        *_data(profile),
        of_columns(monitoring, profile, manifest),
        *_model(manifest, harm, delay),
        *of_parts(manifest, profile, group_rules(settings, model, float(monitoring.alpha))),
        *_upper(context, model),
        *_conditions(context, model),
    ]
    tests = sum(_tests(one) for one in profile.columns)
    said = "notices page once in 30 d without harm; `alerting.budget: 1/30d` also deals that out over the thresholds"
    if budget is not None:
        pages = f"{budget.pages:g} page{'s' * (budget.pages != 1)}"
        said = f"at most {pages} per {float(budget.per) / 86_400.0:g} d without harm (alerting.budget)"
    return WatchPlan(model, info.version, monitoring.said, float(monitoring.alpha), tests, tuple(lines), said)


def _version(context: Context, model: str, version: str) -> VersionInfo:
    """The version; the newest one where the model has no champion yet."""
    try:
        return resolve(context, f"{model}@{version}")
    except NotFound:
        if version != "champion":
            raise
        return resolve(context, f"{model}@{context.registry.versions(model)[-1].version}")


def _data(profile: TableProfile) -> list[Watched]:
    found = []
    for column in profile.columns:
        number = isinstance(column, NumericProfile)
        names = _NUMBERS if number else _WORDS
        limits = ", ".join(f"{name} {getattr(DEFAULT, name).critical:g}" for name in names)
        score = column.grid.name == SCORE
        found.append(
            Watched(
                "model" if score else "data",
                "the model's own score" if score else column.grid.name,
                f"{len(names)} distances to {counted(column.rows, 'reference row')}",
                f"critical: {limits}, and beyond chance",
                PROFILE,
            )
        )
    features = [one for one in found if one.layer == "data"]
    return [*features, *(one for one in found if one.layer == "model")]


def _tests(column: object) -> int:
    names = _NUMBERS if isinstance(column, NumericProfile) else _WORDS
    return sum(name in _TESTED for name in names)


def _model(manifest: Manifest, harm: HarmPolicy, delay: float) -> list[Watched]:
    found = []
    task = manifest.contract.task
    if HELDOUT in manifest.files:
        drops = f"{harm.warning_drop:.0%} down: warning, {harm.critical_drop:.0%}: harmful"
        days = f"{delay / 86_400.0:g} d"
        metric = metric_name(PRIMARY[task])
        found += [
            Watched("model", f"{metric}, estimated", "before labels", "leaves the held-out interval", HELDOUT),
            Watched("model", f"{metric}, realised", f"90 % of labels, or after {days}", drops, HELDOUT),
            Watched("model", _ALSO[task], "on the same labels", "shown, not judged", HELDOUT),
            *of_answers(task),
            Watched(
                "model", "mean loss since the promotion", "looked at with every label",
                f"above the held-out bound at {2 / harm.alpha:g} to 1", HELDOUT,
            ),
        ]  # fmt: skip
        if harm.cost is not None:
            found.append(
                Watched(
                    "business",
                    "money",
                    "cost of each wrong answer",
                    "told with each window and shift",
                    "models.NAME.cost",
                )
            )
        elif task is Task.BINARY:
            said = "none yet: state what false_positive and false_negative cost"
            found.append(Watched("business", "money", "cost of each wrong answer", said, "models.NAME.cost"))
    else:
        found.append(
            Watched("model", "performance", "no held-out rows in the bundle", "unmeasured", "register with --heldout")
        )
    if GOLDEN in manifest.files:
        found.append(Watched("model", "golden rows", "asked of every worker", "every answer as registered", GOLDEN))
    return found


def _upper(context: Context, model: str) -> list[Watched]:
    """What answers and events are held to; the events are those that were logged so far."""
    names = dict.fromkeys(BOUNDS)
    for entry in context.journal.read(model=model, kinds=("impact_judged",)):
        if isinstance(entry.fact, ImpactJudged):
            try:
                names |= dict.fromkeys(one.name for one in impact_of(entry.fact).figures)
            except msgspec.MsgspecError:
                continue
    found = [_line(name, bound_of(name)) for name in names]
    if len(names) == len(BOUNDS):
        found.append(
            Watched(
                "business",
                "revenue, conversion, complaints, …",
                "mean of a unit",
                "no events came yet: POST /v1/events",
                "log/events",
            )
        )
    return found


def _line(name: str, bound: Bound) -> Watched:
    sizes = {
        "ratio": f"{bound.warning:g}×, critical {bound.critical:g}×",
        "difference": f"{bound.warning:g} {bound.unit}, critical {bound.critical:g}",
        "relative": f"{bound.warning:.0%}, critical {bound.critical:.0%}",
    }
    way = {"more": "up", "less": "down", "either": "up or down"}[bound.worse]
    event = name not in BOUNDS
    how = "mean of a unit, 0 where it logs none" if event else "all answers to callers"
    layer: LadderLayer = bound.layer  # type: ignore[assignment]
    return Watched(
        layer,
        name.replace("_", " "),
        how,
        f"{way} by {sizes[bound.kind]}, and unusual",
        "log/events" if event else "log/predictions",
    )


def _conditions(context: Context, model: str) -> list[Watched]:
    settings = context.settings
    points = [(point, "settings") for point in watchpoints(settings, model)]
    points += [(point, "alerting.defaults") for point in stand_ins(settings, model)]
    return [
        Watched("conditions", point.condition.text, "each minute", point.severity, where) for point, where in points
    ]
