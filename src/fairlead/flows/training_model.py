"""What a version's answers to its held-out rows say: against a simple model, by group, and feature by feature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Task
from fairlead.core.training import Simple, Slice, Spread, quality, spread
from fairlead.errors import TableError
from fairlead.ports import Predictor
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.fairness import Counts
from fairlead.stats.paired import auroc_difference, loss_difference
from fairlead.stats.performance import Floats, auroc, mean_interval, proportion
from fairlead.stats.simple_model import CATEGORIES
from fairlead.stats.simple_model import answers as simple_answers

_MOST_COLUMNS = 200  # whose groups are counted
_MOST_VALUES = 20  # groups of a column
_FEW_NUMBERS = 10  # distinct values of a number, up to which each is a group
_FEWEST = 30  # rows of a slice
_MOST_SLICES = 200
_WORK = 4e8  # multiplications of one of a simple model's steps
_FLOOR = 1e-15

Labelled = tuple[Sequence[Column], Floats]
Group = tuple[str, str, NDArray[np.bool_]]  # column, value, which rows


def model_facts(contract: Contract, learned: Labelled, held: Labelled, answers: Floats) -> dict[str, Any]:
    """The version against logistic or ridge regression. Nothing where there is nothing to learn from or to compare."""
    classes = 0 if contract.task is Task.REGRESSION else len(contract.classes)
    columns, truth = learned
    if truth.size < _FEWEST or np.unique(truth).size < 2:
        return {}
    step = max(1, truth.size // _affordable(columns, classes))
    some = [_every(column, step) for column in columns]
    other = simple_answers(some, truth[::step], held[0], classes=classes)
    kind = "ridge regression" if contract.task is Task.REGRESSION else "logistic regression"
    found = _gain(contract.task, held[1], answers, other)
    if isinstance(found, UnsetType):
        return {}
    return {"simple": Simple(kind, *found)}


def _affordable(columns: Sequence[Column], classes: int) -> int:
    """Rows by which a step of the fit stays within its work."""
    width = sum(2 if isinstance(one, NumericColumn) else min(CATEGORIES, len(one.categories)) for one in columns)
    return int(min(10_000, max(500, _WORK / (max(width, 1) ** 2 * max(classes - 1, 1)))))


def _every(column: Column, step: int) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[::step])
    return CategoricalColumn(column.name, column.codes[::step], column.categories)


def _gain(task: Task, truth: Floats, own: Floats, other: Floats) -> tuple[str, float, float, Spread] | UnsetType:
    """Metric, the version's, the other's, and by how much the version is better."""
    if task is Task.BINARY:
        kept = spread(auroc_difference(truth, own[:, -1], other[:, -1]), truth.size)
        values = auroc(truth, own[:, -1]), auroc(truth, other[:, -1])
        return UNSET if isinstance(kept, UnsetType) else ("AUROC", *values, kept)
    if task is Task.MULTICLASS:
        at, place = np.arange(truth.size), truth.astype(np.intp)
        one, two = (-np.log(np.maximum(said[at, place], _FLOOR)) for said in (own, other))
    else:
        one, two = (own[:, 0] - truth) ** 2, (other[:, 0] - truth) ** 2
    kept = spread(loss_difference(one, two), truth.size)
    metric = "log loss" if task is Task.MULTICLASS else "squared error"
    return UNSET if isinstance(kept, UnsetType) else (metric, float(one.mean()), float(two.mean()), kept)


def heldout_facts(
    contract: Contract, heldout: Dataset, truth: Floats, answers: Floats, how: tuple[float, Sequence[str], str]
) -> dict[str, Any]:
    """Quality and decisions by group. `how` is the threshold, the declared segments, and the time column."""
    threshold, segments, time_column = how
    aside = {contract.target, contract.unit, time_column}
    names = [*segments, *(name for name in heldout.names if name not in aside and name not in segments)]
    groups = list(_groups(heldout, names[:_MOST_COLUMNS]))
    sliced = [one for one in groups if one[0] in segments or not one[1].startswith(_RANGE)][:_MOST_SLICES]
    if contract.task is Task.REGRESSION:
        away = float(np.abs(truth - np.median(truth)).mean())
        worth = 1.0 - np.abs(answers[:, 0] - truth) / away if away else np.zeros(truth.size)
        return {"slices": tuple(_slices(worth, sliced, rates=False))}
    decided = _decided(contract, answers, threshold)
    slices = tuple(_slices((decided == truth).astype(np.float64), sliced, rates=True))
    return {"slices": slices, "groups": _counted(contract, groups, truth, decided)}


_RANGE = "from "  # how the value of a group of numbers begins that was cut from more


def _groups(data: Dataset, names: Sequence[str]) -> Iterator[Group]:
    for name in names:
        try:
            (column,) = data.columns([name])
        except TableError:
            continue  # dates, lists: nothing that names a group
        for value, rows in _values(column):
            yield name, value, rows


def _values(column: Column) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The groups of one column, the largest first; a column of many texts names none."""
    if isinstance(column, CategoricalColumn):
        counts = np.bincount(column.codes + 1, minlength=len(column.categories) + 1)
        present = [int(code) - 1 for code in np.argsort(-counts, kind="stable") if counts[code]]
        if len(present) > _MOST_VALUES * 5:
            return
        for code in present[:_MOST_VALUES]:
            yield ("missing" if code < 0 else column.categories[code]), column.codes == code
        return
    yield from _numbers(column.values)


def _numbers(values: Floats) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    missing = np.isnan(values)
    kinds = np.unique(values[~missing])
    if kinds.size <= _FEW_NUMBERS:
        for kind in kinds:
            yield f"{kind:g}", values == kind
    else:
        cuts = np.unique(np.quantile(values[~missing], (0.25, 0.5, 0.75)))
        place = np.searchsorted(cuts, values, side="right")
        for number, start in enumerate([kinds[0], *cuts]):
            yield f"{_RANGE}{start:g}", (place == number) & ~missing
    if missing.any():
        yield "missing", missing


def _slices(worth: Floats, groups: Sequence[Group], *, rates: bool) -> Iterator[Slice]:
    """Each group against all others, by the mean of what each row (n,) is worth: right or wrong, or its skill.

    More than half of the rows are no group: what is usual is not served worse than the exception.
    """
    for column, value, rows in groups:
        if rows.sum() < _FEWEST or 2 * rows.sum() > rows.size:
            continue
        inside, outside = (_mean(worth[side], rates=rates) for side in (rows, ~rows))
        if not isinstance(inside, UnsetType) and not isinstance(outside, UnsetType):
            yield Slice(column, value, inside, outside)


def _mean(worth: Floats, *, rates: bool) -> Spread | UnsetType:
    return spread(proportion(float(worth.sum()), worth.size) if rates else mean_interval(worth), worth.size)


def _decided(contract: Contract, answers: Floats, threshold: float) -> NDArray[np.intp]:
    if contract.task is Task.BINARY:
        return np.asarray(answers[:, -1] >= threshold, np.intp)
    return np.asarray(answers.argmax(axis=1), np.intp)


def _counted(
    contract: Contract, groups: Sequence[Group], truth: Floats, decided: NDArray[np.intp]
) -> dict[str, dict[str, dict[str, Counts]]]:
    """By column, class and value: of two classes only the last is counted, the first is its mirror."""
    places = range(1, 2) if contract.task is Task.BINARY else range(len(contract.classes))
    found: dict[str, dict[str, dict[str, Counts]]] = {}
    for place in places:
        real, chosen = truth == place, decided == place
        cells = (real & chosen, ~real & chosen, real & ~chosen, ~real & ~chosen)
        for column, value, rows in groups:
            counts = Counts(*(int((cell & rows).sum()) for cell in cells))
            found.setdefault(column, {}).setdefault(contract.classes[place], {})[value] = counts
    return found


def importances(
    contract: Contract, predictor: Predictor, heldout: Dataset, truth: Floats, most: int
) -> dict[str, float]:
    """What shuffling one feature's values among at most so many rows costs of the quality (Breiman, 2001), below 0
    where it costs nothing: the same rows of the same data; one shuffle."""
    rng = np.random.default_rng(0)
    picked = np.sort(rng.permutation(truth.size)[:most])
    rows = heldout.tuples(contract.names, picked.tolist())
    base = quality(contract.task, truth[picked], predictor.predict(rows)).value
    found = {}
    for place, name in enumerate(contract.names):
        order = rng.permutation(len(rows))
        mixed = [(*row[:place], rows[other][place], *row[place + 1 :]) for row, other in zip(rows, order, strict=True)]
        lost = base - quality(contract.task, truth[picked], predictor.predict(mixed)).value
        if np.isfinite(lost):
            found[name] = lost
    return found
