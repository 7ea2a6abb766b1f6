"""How a chunk is estimated: which method, its metrics, and beside them what its early labels say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.errors import MissingExtra
from fairlead.operations.estimate_read import Part, Places, Sides, picked, some
from fairlead.operations.estimate_values import Chunk, Reading
from fairlead.operations.performance_read import BINARY, MULTICLASS, Rows
from fairlead.stats import performance as metrics
from fairlead.stats.columns import SMALLEST
from fairlead.stats.drift import Level, compare
from fairlead.stats.estimate import (
    ErrorCurve,
    Heldout,
    HeldoutClasses,
    Weights,
    by_prediction,
    calibrated,
    density_ratio,
    error_model,
    estimate,
    estimate_by_prediction,
    estimate_classes,
    estimate_error,
    heldout,
    heldout_classes,
    prediction_powered,
    root,
)
from fairlead.stats.performance import UNDEFINED, Floats, Measure
from fairlead.stats.profile import TableProfile, profile

DRIFT_ALPHA = 0.01
MOVED_LEVEL = 0.99  # how sure the domain classifier must be that the inputs moved, for `auto` to weight
TINY = 1e-15
Losses = dict[str, tuple[Floats, Floats]]  # by metric: a row's loss, and its estimate


class _Errors(Struct, frozen=True, eq=False):
    """The error model of one metric: from features (m, d), the prediction last, to its estimate and each row's."""

    estimate: Callable[[Floats, float], tuple[Measure, Floats]]


class Plan(Struct, frozen=True, eq=False):
    """What was asked, and what was made of the reference once for all chunks."""

    method: str  # auto | cbpe | pape | dle
    level: float
    seed: int
    cost: Mapping[str, float] | None
    known: Heldout | HeldoutClasses | None = None
    errors: dict[str, _Errors] = {}
    profile: TableProfile | None = None


def planned(sides: Sides, plan: Plan) -> Plan:
    """The plan with what the reference teaches: calibrations, or error models, and the features' profile."""
    rng = np.random.default_rng(plan.seed)
    known = sides.reference
    if sides.names:
        plan = replace(plan, profile=profile(sides.columns[0]))
    if known.task == BINARY:
        return replace(plan, known=heldout(known.truth, _of(known.score)))
    if known.task == MULTICLASS:
        return replace(plan, known=_classes(known, rng, None))
    return replace(plan, errors=_error_models(sides, plan))


def measured(rows: Rows, level: float, cost: Mapping[str, float] | None) -> dict[str, Measure]:
    """The metrics that can be estimated, of labelled rows."""
    y, d = rows.truth, _of(rows.decided)
    if not y.size:
        return {}
    if rows.task == BINARY:
        s = _of(rows.score)
        found = {"auroc": metrics.auroc_interval(y, s, level), "auprc": metrics.auprc_interval(y, s, level)}
        for name in ("accuracy", "precision", "recall", "f1", "specificity"):
            found[name] = getattr(metrics, name)(y, d, level)
        found |= {"log_loss": metrics.log_loss(y, s, level), "brier": metrics.brier(y, s, level)}
        return found if cost is None else found | {"cost": metrics.cost_per_row(y, d, cost, level)}
    if rows.task == MULTICLASS:
        p = _of(rows.probabilities)
        matrix = metrics.confusion(y, d, p.shape[1])
        found = {"accuracy": metrics.accuracy(y, d, level)}
        for kind in ("f1", "precision", "recall"):
            found[f"macro_{kind}"] = metrics.averaged(matrix, kind, "macro", level)
        return found | {"macro_auroc": metrics.macro_auroc(y, p, level)}
    squared = metrics.mean_interval((d - y) ** 2, level)
    found = {"mae": metrics.mae(y, d, level), "rmse": metrics.rmse(y, d, level), "mse": squared}
    return found | {"mape": metrics.mape_interval(y, d, level)} if (y != 0).all() else found


def chunk_of(sides: Sides, part: Part, plan: Plan, reference: Mapping[str, Measure]) -> Chunk:
    """Everything of one chunk but its verdict. The seed is the plan's and the chunk's name."""
    rows = picked(sides.current, part.places)
    usable = np.flatnonzero(rows.predicted)
    rows, places = picked(rows, usable), part.places[usable]
    bare = Chunk(part.name, int(usable.size), int(part.places.size - usable.size), 0, plan.method, ())
    if not usable.size:
        return bare
    rng = np.random.default_rng([plan.seed, crc32(part.name.encode())])
    features = sides.features[1][places] if sides.names else np.empty((usable.size, 0))
    moved = _moved(sides, places, plan)
    method, weights, why = _method(sides, features, rows, plan)
    refused = why if weights is not None and not weights.usable else ""
    expected: dict[str, Measure] = {}
    losses: Losses = {}
    labelled = np.flatnonzero(~np.isnan(rows.truth))
    if not (refused and plan.method == "pape"):
        expected, losses = _estimated(sides, rows, features, (plan, weights if not refused else None), rng)
    realised = measured(picked(rows, labelled), plan.level, plan.cost)
    powered = _powered(losses, labelled, rows, plan.level)
    readings = tuple(
        Reading(name, known, expected.get(name, UNDEFINED), realised.get(name, UNDEFINED), powered.get(name, UNDEFINED))
        for name, known in reference.items()
    )
    return replace(
        bare,
        labels=int(labelled.size),
        method=method,
        readings=readings,
        effective=None if weights is None else weights.effective,
        clipped=0 if weights is None else weights.clipped,
        refused=refused,
        moved=moved,
    )


# -- which method --------------------------------------------------------------------------------------------------


def _method(sides: Sides, features: Floats, rows: Rows, plan: Plan) -> tuple[str, Weights | None, str]:
    """The method of a chunk, its weights, and why the weights may not be used."""
    if sides.reference.task not in (BINARY, MULTICLASS):
        return "dle", None, ""
    if plan.method == "cbpe" or not sides.names:
        return "cbpe", None, ""
    try:
        weights, moved = _weights(sides, features, rows, plan.seed)
    except MissingExtra:
        if plan.method == "pape":
            raise
        return "cbpe", None, ""  # auto does what it can; the report says which method it was
    if plan.method == "auto" and not moved:
        return "cbpe", None, ""
    if not weights.usable and plan.method == "auto":
        return "cbpe", weights, weights.reason
    return "pape", weights, weights.reason


def _weights(sides: Sides, features: Floats, rows: Rows, seed: int) -> tuple[Weights, bool]:
    """Density-ratio weights of the reference rows, and whether the two sides can be told apart at all."""
    from fairlead.adapters.boosting import cross_fitted

    old = np.hstack([sides.features[0], _outputs(sides.reference)])
    new = np.hstack([features, _outputs(rows)])
    live = np.repeat([0.0, 1.0], [len(old), len(new)])
    both = np.vstack([old, new])
    chance = cross_fitted(both, live, task="binary", categorical=sides.categorical, seed=seed)
    apart = metrics.auroc_interval(live, chance, MOVED_LEVEL)
    return density_ratio(chance[: len(old)], len(old), len(new)), apart.low > 0.5


def _outputs(rows: Rows) -> Floats:
    return _of(rows.score)[:, None] if rows.task == BINARY else _of(rows.probabilities)


def _moved(sides: Sides, places: Places, plan: Plan) -> tuple[str, ...] | None:
    if plan.profile is None:
        return None
    now = profile([some(column, places) for column in sides.columns[1]], plan.profile.grids)
    return tuple(one.name for one in compare(plan.profile, now, alpha=DRIFT_ALPHA) if one.level is not Level.NONE)


# -- the estimates -------------------------------------------------------------------------------------------------


def _estimated(
    sides: Sides, rows: Rows, features: Floats, how: tuple[Plan, Weights | None], rng: np.random.Generator
) -> tuple[dict[str, Measure], Losses]:
    """The metrics of a chunk, and of those that are means each row's loss with its estimate."""
    plan, weights = how
    values = None if weights is None else weights.values
    if rows.task == BINARY:
        known = plan.known if values is None else heldout(sides.reference.truth, _of(sides.reference.score), values)
        assert isinstance(known, Heldout)
        s, d = _of(rows.score), _of(rows.decided)
        found = estimate(s, known, 0.5, rng, plan.level, decided=d, cost=plan.cost).named()
        return found, _binary_losses(rows, known.curve(s), plan.cost)
    if rows.task == MULTICLASS:
        classes = plan.known
        if values is not None:
            classes = _classes(sides.reference, rng, values)
        assert isinstance(classes, HeldoutClasses)
        p, d = _of(rows.probabilities), _of(rows.decided)
        named = estimate_classes(p, classes, rng, plan.level, decided=d).named()
        codes = d.astype(np.intp)
        right = calibrated(p, classes.fitted, codes)[np.arange(len(p)), codes]
        return named, {"accuracy": ((rows.truth == d).astype(np.float64), right)}
    return _errors_of(rows, features, plan)


def _classes(known: Rows, rng: np.random.Generator, weight: Floats | None) -> HeldoutClasses:
    return heldout_classes(known.truth, _of(known.probabilities), rng, weight, decided=_of(known.decided))


def _binary_losses(rows: Rows, chance: Floats, cost: Mapping[str, float] | None) -> Losses:
    y, d, p = rows.truth, _of(rows.decided), np.clip(_of(rows.score), TINY, 1 - TINY)
    ones, zeros = -np.log(p), -np.log1p(-p)
    found = {
        "accuracy": ((y == d).astype(np.float64), d * chance + (1 - d) * (1 - chance)),
        "brier": ((p - y) ** 2, chance * (1 - p) ** 2 + (1 - chance) * p**2),
        "log_loss": (y * ones + (1 - y) * zeros, chance * ones + (1 - chance) * zeros),
    }
    if cost is not None:
        hits, falses, rights, misses = (cost.get(name, 0.0) for name in metrics.COSTS)
        one, zero = d * hits + (1 - d) * misses, d * falses + (1 - d) * rights
        found["cost"] = (y * one + (1 - y) * zero, chance * one + (1 - chance) * zero)
    return found


def _errors_of(rows: Rows, features: Floats, plan: Plan) -> tuple[dict[str, Measure], Losses]:
    d = _of(rows.decided)
    given = np.hstack([features, d[:, None]])
    found: dict[str, Measure] = {}
    losses: Losses = {}
    for name, size in _sizes(rows.truth, d).items():
        if name in plan.errors:
            found[name], each = plan.errors[name].estimate(given, plan.level)
            losses[name] = (size, each)
    if "mse" in found:
        found["rmse"] = root(found["mse"])
    return found, losses


def _error_models(sides: Sides, plan: Plan) -> dict[str, _Errors]:
    """One error model a metric: boosted from the features and the prediction, or, without features, the mean error by
    prediction. Raises `MissingExtra` for the first without scikit-learn."""
    known = sides.reference
    d = _of(known.decided)
    sizes = {name: size for name, size in _sizes(known.truth, d).items() if not np.isnan(size).any()}
    if not sides.names:
        return {name: _by_prediction(by_prediction(d, size)) for name, size in sizes.items()}
    given = np.hstack([sides.features[0], d[:, None]])
    return {name: _boosted(given, size, sides.categorical, plan.seed) for name, size in sizes.items()}


def _boosted(given: Floats, size: Floats, categorical: tuple[int, ...], seed: int) -> _Errors:
    from fairlead.adapters.error_model import fit_errors

    fitted = fit_errors(given, size, categorical=categorical, seed=seed)
    known = error_model(fitted.out_of_fold, size)

    def estimated(live: Floats, level: float) -> tuple[Measure, Floats]:
        expected = fitted.expected(live)
        return estimate_error(expected, known, level), expected.mean(axis=0)

    return _Errors(estimated)


def _by_prediction(curve: ErrorCurve) -> _Errors:
    def estimated(live: Floats, level: float) -> tuple[Measure, Floats]:
        each = np.interp(live[:, -1], curve.centres, curve.levels)
        return estimate_by_prediction(live[:, -1], curve, level), np.asarray(each, np.float64)

    return _Errors(estimated)


def _sizes(truth: Floats, predicted: Floats) -> dict[str, Floats]:
    error = np.abs(predicted - truth)
    relative = np.divide(error, np.abs(truth), out=np.full(error.size, np.nan), where=np.abs(truth) > SMALLEST)
    return {"mae": error, "mse": error**2, "mape": relative}


# -- early labels --------------------------------------------------------------------------------------------------


def _powered(losses: Losses, labelled: Places, rows: Rows, level: float) -> dict[str, Measure]:
    """The metrics that are means, over all rows, corrected by the labelled ones; none where all or none have labels."""
    if not 2 <= labelled.size < rows.truth.size - 1:
        return {}
    rest = np.setdiff1d(np.arange(rows.truth.size), labelled)
    found = {}
    for name, (loss, expected) in losses.items():
        if np.isfinite(loss[labelled]).all():
            found[name] = prediction_powered(loss[labelled], expected[labelled], expected[rest], level).measure
    if "mse" in found:
        found["rmse"] = root(found["mse"])
    return found


def _of(values: Floats | None) -> Floats:
    assert values is not None  # the reader has seen to it
    return values
