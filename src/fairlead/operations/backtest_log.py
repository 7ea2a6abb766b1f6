"""A backtest of a served model: its own log, or a table that its version answers, against its bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import inf, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.config.settings import Settings
from fairlead.core.alert import AlertPolicy
from fairlead.core.bundle import Manifest
from fairlead.core.contract import Task
from fairlead.core.listing import counted
from fairlead.core.window import DAY, WindowPlan
from fairlead.errors import NotFound, UsageError
from fairlead.flows.backtest import look_back
from fairlead.flows.backtest_answers import impacts_of, told_by_impacts
from fairlead.flows.backtest_rows import Rows, Tally, tallied
from fairlead.flows.watch import UNWATCHED
from fairlead.flows.watching.features import on_grid
from fairlead.flows.watching.harms import load_light
from fairlead.flows.watching.judge import Policy
from fairlead.flows.watching.reference import Reference, answers
from fairlead.operations.backtest import Tried, plan_of, report_of
from fairlead.operations.backtest_answers import answers_of, instants_of
from fairlead.operations.backtest_settings import Seen, alerts_told, drift_told, triggers_told
from fairlead.operations.backtest_values import BacktestReport, Budget
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.operations.prediction_log import logged_span, predictions_with_outcomes
from fairlead.operations.watch_policy import policy_tried
from fairlead.ports import Predictor
from fairlead.stats.columns import NumericColumn
from fairlead.stats.performance import Floats

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 65_536
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Version(Struct, frozen=True, eq=False):
    """A version as a backtest needs it: what it is compared with, and how it answers."""

    model: str
    number: int
    manifest: Manifest
    reference: Reference
    policy: Policy
    load: Callable[[], Predictor]


def open_version(context: Context, name: str, budget: Budget | None = None, window: str | None = None) -> Version:
    """`name`, `name@3` or `name@champion`, with the policy that the settings watch it by, or another budget and other
    windows would. Raises `NotFound`."""
    found = resolve(context, name if "@" in name else f"{name}@champion")
    stated = None if budget is None else (budget.pages, budget.per_seconds)
    policy = policy_tried(context, found.model, stated, None if window is None else plan_of(window).seconds)
    known = load_light(
        context.bundles, found.bundle, found.version, open_dataset, policy.harm, policy.widest, policy.groups
    )
    manifest = context.bundles.manifest(found.bundle)
    return Version(found.model, found.version, manifest, known, policy, lambda: context.bundles.load(found.bundle))


def budget_of(settings: Settings) -> Budget:
    """The settings' budget of pages; one in 30 days where none is set."""
    known = settings.alerting.budget
    return Budget() if known is None else Budget(float(known.pages), float(known.per))


def alerts_of(settings: Settings) -> AlertPolicy:
    """How often a standing alert is told again."""
    return AlertPolicy(repeat_seconds=float(settings.alerting.repeat_after))


def backtest_log(
    context: Context,
    name: str,
    *,
    days: float = 90.0,
    window: str | None = None,
    budget: Budget | None = None,
    folder: Path | None = None,
) -> BacktestReport:
    """Runs the watch, and what else the settings state, over the last `days` of a model's log, as one version answered
    it, against its bundle. They end with the newest answer: a replayed past has its own clock. The window is the
    settings', unless one is given, and so is the budget of pages, whose thresholds are tried. Relative paths of the
    settings begin in `folder` (left out: here). Raises `NotFound` for a model without a log, `UsageError` for no days.
    """
    if not days > 0:
        raise UsageError(f"--days is {days:g}: give some")
    version = open_version(context, name, budget, window)
    until = newest(context, version.model)
    logged = logged_answers(context, version, until - days * DAY, until)
    rows = rows_of(logged.mine, version.reference)
    plan = plan_for(context.settings, window)
    tallies = tallies_by(rows, version.reference, plan)
    past = look_back(version.model, version.reference, tallies, version.policy, plan.lateness_seconds)
    alerts, whose = alerts_of(context.settings), (version.model, version.number)
    answers = answers_of(context, version.model, logged.every, plan, budget)
    impacts = impacts_of(version.model, answers)
    beside = (
        told_by_impacts(impacts, past.windows, alerts),
        *alerts_told(context, whose, past, Seen(rows, answers, impacts), alerts),
        *drift_told(context, whose, logged.mine, past, alerts, folder or Path.cwd()),
        *triggers_told(context, whose, past, version.reference),
    )
    asked = (f"the reference of version {version.number}", plan, budget or budget_of(context.settings))
    tried = Tried(f"{version.model}@{version.number}", version.policy.alpha, alerts, beside)
    report = report_of(past, tallies, version.reference, asked, tried)
    return replace(report, notes=(*report.notes, *logged.notes, *untried(context.settings, window)))


def untried(settings: Settings, window: str | None) -> tuple[str, ...]:
    """What the settings state of windows, and a backtest does otherwise."""
    found = []
    if settings.monitoring.slide is not None and window is None:
        found.append("windows are judged one after another: monitoring.slide is not tried here")
    if settings.monitoring.reference != "training":
        found.append("windows are compared with the training data: monitoring.reference is not tried here")
    return tuple(found)


def newest(context: Context, model: str) -> float:
    """Just after the event time of a model's newest answer in the log. Raises `NotFound` where it has none."""
    span = logged_span(context, model)
    if span is None:
        raise NotFound(f"the log has no answer of {model} yet: it is judged on what it has answered")
    return span[1] + 0.001


def log_from_to(context: Context, model: str) -> str:
    """What the log has of a model, to be said where it was asked for something else."""
    span = logged_span(context, model)
    if span is None:
        return "it has none of that model"
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ") for at in span)
    return f"it has answers from {first} to {last}"


def logged_rows(context: Context, version: Version, since: float, until: float) -> tuple[Rows, tuple[str, ...]]:
    """What a version answered in a span of event time, with its outcomes; and what was left out. Raises `NotFound`."""
    logged = logged_answers(context, version, since, until)
    return rows_of(logged.mine, version.reference), logged.notes


class Logged(Struct, frozen=True, eq=False):
    """What stands in the log of a model in a span of event time: all records, those of one version that callers were
    answered by, and what was left out of these."""

    every: pa.Table
    mine: pa.Table
    notes: tuple[str, ...]


def logged_answers(context: Context, version: Version, since: float, until: float) -> Logged:
    """The same as it stands in the log."""
    table = predictions_with_outcomes(context, version.model, max(0.0, since), until)
    kept, others = _answered(table, version.number)
    if not kept.num_rows:
        hint = (
            f"; other versions answered {counted(others, 'request')}: name one, as in {version.model}@1"
            if others
            else ""
        )
        has = "" if others else f": {log_from_to(context, version.model)}"
        raise NotFound(f"the log has no answer of {version.model}@{version.number} in that time{hint}{has}")
    return Logged(table, kept, (f"{counted(others, 'answer')} of other versions left out",) if others else ())


def rows_of(table: pa.Table, reference: Reference) -> Rows:
    """Logged answers as rows. A feature that a record lacks, or that is of another type, is null."""
    decoded = [_object(text) for text in table["features"].to_pylist()]
    features = {
        grid.name: on_grid(grid, [row.get(grid.name) for row in decoded])
        for grid in reference.profile.grids
        if grid.name in reference.contract.names
    }
    score = _numbers(table["score"])
    decided = _classes(table["prediction"], table["prediction_number"], reference)
    truth = _classes(table["outcome"], table["outcome_number"], reference)
    seen = np.where(np.isnan(truth), inf, np.nan_to_num(instants_of(table["observed_at"]), nan=inf))
    return Rows(
        instants_of(table["timestamp"]),
        features,
        decided if reference.contract.task is Task.REGRESSION else score,
        decided,
        truth,
        seen,
    )


def tallies_by(rows: Rows, reference: Reference, plan: WindowPlan) -> list[Tally]:
    """The windows of rows in memory, in order of time."""
    return sorted(tallied(rows, reference, plan, 1), key=lambda one: one.window.starts_at)


def tuples_of(rows: Rows, manifest: Manifest) -> list[tuple[Any, ...]]:
    """The rows as the model takes them: null is None, whole numbers and truth values as the contract has them."""
    columns: list[list[Any]] = []
    for feature in manifest.contract.features:
        column = rows.features.get(feature.name)
        if column is None:
            columns.append([None] * rows.size)
        elif isinstance(column, NumericColumn):
            columns.append([_plain(value, feature.kind.value) for value in column.values.tolist()])
        else:
            names: list[str | None] = [*column.categories, None]
            columns.append([names[code] for code in column.codes.tolist()])
    return list(zip(*columns, strict=True))


def answered(rows: Rows, version: Version, predictor: Predictor) -> Rows:
    """The same rows, as a version answers them."""
    scores, decisions = [], []
    for start in range(0, rows.size, CHUNK):
        part = rows.take(np.arange(start, min(start + CHUNK, rows.size)))
        one, two = answers(version.reference, predictor, tuples_of(part, version.manifest))
        scores.append(np.asarray(one, np.float64))
        decisions.append(np.asarray(two, np.float64))
    empty: Sequence[Floats] = [np.empty(0)]
    return Rows(
        rows.at, rows.features, np.concatenate(scores or empty), np.concatenate(decisions or empty), rows.truth,
        rows.observed_at,
    )  # fmt: skip


def plan_for(settings: Settings, window: str | None) -> WindowPlan:
    """The settings' windows, unless others are asked for."""
    monitoring = settings.monitoring
    if window is not None:
        return plan_of(window, float(monitoring.lateness))
    return monitoring.plan


def served(table: pa.Table) -> pa.Table:
    """What callers were answered by a version: not what shadows said, nor failed, nor fell back."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = pc.and_(pc.equal(table["status"], 200), pc.is_null(table["shadow_of"]))
    aside = pc.is_in(table["arm"], value_set=pa.array(list(UNWATCHED)))
    return table.filter(pc.and_(mine, pc.invert(aside)))


def _answered(table: pa.Table, version: int) -> tuple[pa.Table, int]:
    """A version's own answers to callers, and how many others there were."""
    import pyarrow.compute as pc

    every = served(table)
    mine = every.filter(pc.equal(every["model_version"], version))
    return mine, every.num_rows - mine.num_rows


def _numbers(values: pa.ChunkedArray) -> Floats:
    return np.asarray(values.to_numpy(), np.float64)


def _classes(texts: pa.ChunkedArray, numbers: pa.ChunkedArray, reference: Reference) -> Floats:
    """Logged predictions or outcomes as the metrics take them."""
    if reference.contract.task is Task.REGRESSION:
        return _numbers(numbers)
    known = {text: reference.truth_of(text) for text in texts.unique().to_pylist()}
    return np.array([nan if (found := known[text]) is None else found for text in texts.to_pylist()])


def _object(text: str | None) -> dict[str, Any]:
    try:
        return _OBJECT.decode(text or "{}")
    except msgspec.MsgspecError:
        return {}


def _plain(value: float, kind: str) -> float | int | bool | None:
    if isnan(value):
        return None
    if kind == "boolean" and value in (0.0, 1.0):
        return bool(value)
    return int(value) if kind == "integer" and value == int(value) else value
