"""Gradient boosting by scikit-learn (extra `sklearn`), handed to the statistics as arrays and functions.

Histogram boosting (Ke et al. 2017, as `HistGradientBoosting*`): NaN is a value of its own, categories are codes 0, 1, …
in the columns that `categorical` lists. Out-of-fold predictions never come from a model that has seen the row, so they
may be treated as fresh ones (Chernozhukov et al. 2018). Everything is fixed by `seed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.listing import counted
from fairlead.errors import MissingExtra

Floats = NDArray[np.float64]
Task = Literal["binary", "multiclass", "regression"]
Predict = Callable[[Floats], Floats]

MOST_CATEGORIES = 255  # beyond, a column of codes is read as numbers: the booster's bins are bytes
STOPPED_FROM = 1_000  # rows from which a tenth is held out to say when to stop
MOST_ROUNDS, FEW_ROUNDS = 200, 50
LOUDEST = 2_000  # rows of a fold that an importance is measured on, at most
TINY = 1e-15
SMALL = 2_000_000  # cells up to which threads cost more than they bring, most of all where others use the cores too


class Fitting(TypedDict, total=False):
    """What `cross_fit` may be told beside the data and the task."""

    weight: Floats | None
    categorical: Sequence[int]
    folds: int
    seed: int


class CrossFit(Struct, frozen=True, eq=False):
    """Out-of-fold predictions, and what made them.

    `predictions` has shape (n,), or (n, classes) for `multiclass`; `folds` (n,) is the fold that held each row out;
    `models` predicts by the model that did not see that fold.
    """

    task: Task
    predictions: Floats
    folds: NDArray[np.int64]
    models: tuple[Predict, ...]
    categorical: tuple[int, ...] = ()
    seed: int = 0

    def forward(self, features: Floats, labels: NDArray[Any]) -> Floats:
        """Predictions of each fold by a model of the folds before it alone: NaN in the first fold.

        Cross-fitted predictions depend on one another, for each fold also trained the others' models. What a fold is
        told here is fresh, given all that came before. `features` and `labels` are those that were fitted, unweighted.
        """
        x, y, classes = _checked(features, labels, self.task, None)
        plan = _Plan(self.task, self.categorical, self.seed)
        found = np.full(self.predictions.shape, np.nan)
        last = len(self.models) - 1
        rounds = ((self.folds < fold, self.folds == fold) for fold in range(1, last))
        _fit_each(_Rows(x, y, classes, None), plan, rounds, found)
        found[self.folds == last] = self.predictions[self.folds == last]
        return found

    def importances(self, features: Floats, labels: NDArray[Any], *, repeats: int = 3, seed: int = 0) -> Floats:
        """How much worse the held-out predictions get when a column is shuffled (Breiman 2001), shape (d,).

        In AUROC for `binary`, in log loss for `multiclass`, in mean squared error for `regression`; the mean over folds
        and `repeats`, on at most 2,000 rows of each fold. `features` and `labels` are those that were fitted. About 0
        for a column that does not matter; below 0 by chance.
        """
        rng = np.random.default_rng(seed)
        coded = labels if self.task == "regression" else np.unique(labels, return_inverse=True)[1]
        total, used = np.zeros(features.shape[1]), 0
        for fold, predict in enumerate(self.models):
            rows = np.flatnonzero(self.folds == fold)
            rows = rows if rows.size <= LOUDEST else np.sort(rng.choice(rows, LOUDEST, replace=False))
            truth, held = coded[rows], np.array(features[rows], dtype=np.float64)
            before = _badness(self.task, truth, predict(held))
            if np.isnan(before):
                continue
            used += 1
            for column in range(features.shape[1]):
                kept = held[:, column].copy()
                for _ in range(repeats):
                    held[:, column] = kept[rng.permutation(rows.size)]
                    total[column] += (_badness(self.task, truth, predict(held)) - before) / repeats
                held[:, column] = kept
        return total / max(used, 1)


def fit(
    features: Floats,
    target: NDArray[Any],
    *,
    task: Task,
    weight: Floats | None = None,
    categorical: Sequence[int] = (),
    seed: int = 0,
) -> Predict:
    """A function from features (m, d) to predictions.

    For `binary` (m,) probabilities of the greater of two labels, for `multiclass` (m, classes) in the labels' sorted
    order, for `regression` (m,) values. A target with one class is answered with that class. `weight` (n,) >= 0.
    Raises `ValueError` for shapes that do not fit, a target that is missing, infinite, or not of the task;
    `MissingExtra` without scikit-learn.

    >>> x = np.arange(200.0)[:, None]
    >>> predict = fit(x, x[:, 0] >= 100, task="binary")
    >>> predict(np.array([[5.0], [195.0]])).round(1).tolist()
    [0.0, 1.0]
    """
    x, y, classes = _checked(features, target, task, weight)
    return _fit(_Rows(x, y, classes, weight), _Plan(task, tuple(categorical), seed))


def cross_fitted(
    features: Floats,
    labels: NDArray[Any],
    *,
    task: Task,
    **how: Unpack[Fitting],
) -> Floats:
    """Out-of-fold predictions, as `cross_fit(...).predictions`: (n,), or (n, classes) for `multiclass`.

    >>> x = np.arange(200.0)[:, None]
    >>> found = cross_fitted(x, x[:, 0] >= 100, task="binary")
    >>> found.shape, bool(found[:90].max() < 0.5 < found[110:].min())
    ((200,), True)
    """
    return cross_fit(features, labels, task=task, **how).predictions


def cross_fit(
    features: Floats,
    labels: NDArray[Any],
    *,
    task: Task,
    weight: Floats | None = None,
    categorical: Sequence[int] = (),
    folds: int = 5,
    seed: int = 0,
) -> CrossFit:
    """Fits `folds` models, each on the rows outside one fold; folds are drawn class by class.

    With fewer rows than folds there are as many folds as rows. Raises as `fit`, and `ValueError` for fewer than 2 folds
    or rows.
    """
    x, y, classes = _checked(features, labels, task, weight)
    if folds < 2 or len(y) < 2:
        raise ValueError(f"{folds} folds of {counted(len(y), 'row')}: cross-fitting needs at least 2 of both")
    fold_of = _folds(y if classes else np.zeros(len(y), dtype=np.int64), min(folds, len(y)), seed)
    plan = _Plan(task, tuple(categorical), seed)
    found = np.empty((len(y), classes) if task == "multiclass" else len(y))
    rounds = ((fold_of != fold, fold_of == fold) for fold in range(min(folds, len(y))))
    models = _fit_each(_Rows(x, y, classes, weight), plan, rounds, found)
    return CrossFit(task, found, fold_of, models, tuple(categorical), seed)


class _Plan(Struct, frozen=True):
    task: Task
    categorical: tuple[int, ...]
    seed: int


class _Rows(Struct, frozen=True, eq=False):
    x: Floats
    y: NDArray[Any]
    classes: int
    weight: Floats | None

    def of(self, kept: NDArray[np.bool_]) -> _Rows:
        weight = None if self.weight is None else self.weight[kept]
        return _Rows(self.x[kept], self.y[kept], self.classes, weight)


def _fit_each(
    rows: _Rows, plan: _Plan, rounds: Iterable[tuple[NDArray[np.bool_], NDArray[np.bool_]]], found: Floats
) -> tuple[Predict, ...]:
    """A model for each round, of its first rows; what it predicts of the second ones is put into `found`."""
    models = []
    for taught, held in rounds:
        models.append(_fit(rows.of(taught), plan))
        found[held] = models[-1](rows.x[held])
    return tuple(models)


def _fit(rows: _Rows, plan: _Plan) -> Predict:
    """`y` holds codes 0 … classes - 1 of which some may be absent, or numbers where `classes` is 0."""
    x, y, classes = rows.x, rows.y, rows.classes
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    except ImportError as error:
        raise MissingExtra("scikit-learn", "sklearn", "a boosted model") from error
    void = np.isnan(x).all(axis=0)
    if void.any():  # a column without a value tells nothing, and cannot be cut into bins
        x = np.where(void, 0.0, x)
    present = np.unique(y) if classes else y[:0]
    if classes and present.size == 1:
        return _constant(plan.task, classes, int(present[0]))
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    stopped = len(y) >= STOPPED_FROM and (not classes or np.bincount(y)[present].min() >= 2)
    model = kind(
        max_iter=MOST_ROUNDS if stopped else FEW_ROUNDS,
        early_stopping=stopped,
        categorical_features=_few(x, plan.categorical),
        random_state=plan.seed,
    )
    with _threads(x):
        model.fit(x, y, sample_weight=rows.weight)
    highest = {column: float(np.nanmax(x[:, column], initial=-1.0)) for column in _few(x, plan.categorical) or ()}

    def answer(given: Floats) -> Floats:
        with _threads(given):
            found = (model.predict_proba if classes else model.predict)(_known(given, highest))
        found = np.asarray(found, dtype=np.float64)
        if plan.task == "binary":
            return found[:, 1]
        return _spread(found, present, classes) if classes else found

    return answer


def _known(given: Floats, highest: dict[int, float]) -> Floats:
    """A category that the fit did not see is missing."""
    if not any((given[:, column] > most).any() for column, most in highest.items()):
        return given
    given = given.copy()
    for column, most in highest.items():
        given[given[:, column] > most, column] = np.nan
    return given


def _threads(x: Floats) -> AbstractContextManager[Any]:
    """One thread for what is small, all of them for what is large; the results are the same."""
    return _controller().limit(limits=1 if x.size <= SMALL else None, user_api="openmp")  # type: ignore[no-any-return]


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _few(x: Floats, categorical: Sequence[int]) -> list[int] | None:
    few = [column for column in categorical if np.nanmax(x[:, column], initial=-1.0) < MOST_CATEGORIES]
    return few or None


def _constant(task: Task, classes: int, only: int) -> Predict:
    if task == "binary":
        return lambda given: np.full(len(given), float(only))
    return lambda given: np.tile(np.eye(classes)[only], (len(given), 1))


def _spread(found: Floats, present: NDArray[Any], classes: int) -> Floats:
    whole = np.zeros((len(found), classes))
    whole[:, present] = found
    return whole


def _folds(codes: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Rows shuffled, then dealt class by class, one row to each fold in turn."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(codes.size)
    order = order[np.argsort(codes[order], kind="stable")]
    dealt = np.empty(codes.size, dtype=np.int64)
    dealt[order] = np.arange(codes.size) % folds
    return dealt


def _checked(
    features: Floats, target: NDArray[Any], task: Task, weight: Floats | None
) -> tuple[Floats, NDArray[Any], int]:
    """Features as float64, the target as codes or numbers, and the number of classes (0 for a regression)."""
    x, y = np.asarray(features, dtype=np.float64), np.asarray(target)
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.size == 0:
        raise ValueError(f"features {x.shape} and target {y.shape} do not fit: pass (n, d) and (n,), with n and d > 0")
    if weight is not None and (weight.shape != y.shape or not (weight >= 0).all() or not weight.sum() > 0):
        raise ValueError(
            f"weights {weight.shape}: pass one for each of {counted(len(y), 'row')}, none negative or missing"
        )
    if task == "regression":
        y = y.astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError("a target value is missing or infinite: leave those rows out")
        return x, y, 0
    if y.dtype.kind == "f" and np.isnan(y).any():
        raise ValueError("a label is missing: leave those rows out")
    labels, codes = np.unique(y, return_inverse=True)
    if task == "binary" and labels.size > 2:
        raise ValueError(f"{labels.size} labels: a binary target has two, else the task is multiclass")
    if task == "binary" and labels.size == 1:  # which of the two it is, as far as it can be told
        return x, np.full(len(y), int(bool(labels[0])), dtype=np.int64), 2
    return x, codes.astype(np.int64), max(labels.size, 2) if task == "binary" else labels.size


def _badness(task: Task, truth: NDArray[Any], predicted: Floats) -> float:
    """1 - AUROC, log loss, or mean squared error; NaN where it is not defined."""
    if task == "regression":
        return float(np.mean((truth - predicted) ** 2))
    if task == "multiclass":
        return float(-np.log(np.maximum(predicted[np.arange(truth.size), truth], TINY)).mean())
    from scipy.stats import rankdata

    positive = truth == 1
    n, m = np.count_nonzero(positive), np.count_nonzero(~positive)
    if not n or not m:
        return float("nan")
    return 1.0 - float((rankdata(predicted)[positive].sum() - n * (n + 1) / 2) / (n * m))
