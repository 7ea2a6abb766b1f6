"""A table of predictions and truths, read: which task, which classes, which rows can be measured.

How cells are read: null and NaN are missing. An infinite label, value or score is unusable and counted, as is the value
of a regression from 1e70 on: its square and the square's do not fit a float. Booleans are 0 and 1. Class labels may be
text, numbers or booleans; text that spells the other column's numbers (or true and false) is read as those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from fairlead.adapters.tables import to_columns
from fairlead.core.inference import label_text
from fairlead.core.listing import counted
from fairlead.errors import TableError, UsageError
from fairlead.stats.columns import LARGEST, CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance.maturity import Mask
from fairlead.stats.performance.measure import Floats

if TYPE_CHECKING:
    import pyarrow as pa

BINARY, MULTICLASS, REGRESSION = TASKS = ("binary", "multiclass", "regression")
MOST_CLASSES = 20  # as many whole numbers are classes; more are values
MISSING = "missing"
_SPELT = {"true": 1.0, "false": 0.0}


class Asked(Struct, frozen=True):
    """Which columns hold what. `probabilities` names a column for each class."""

    target: str
    prediction: str | None = None
    score: str | None = None
    probabilities: dict[str, str] | None = None
    task: str | None = None
    positive: str | None = None
    threshold: float = 0.5


class Rows(Struct, frozen=True, eq=False):
    """What is measured, one entry a row; nan is missing or unusable. Classes are numbered as in `classes`, of which the
    last is the positive one of a binary task. `probability` tells whether a score is one, in [0, 1]."""

    task: str
    why: str
    classes: tuple[str, ...]
    truth: Floats
    decided: Floats | None
    score: Floats | None
    probabilities: Floats | None  # (n, k)
    probability: bool
    odd_truth: Mask  # rows whose label is infinite
    odd_prediction: Mask

    @property
    def predicted(self) -> Mask:
        """Rows whose prediction is there in full."""
        kept = np.ones(self.truth.size, np.bool_)
        for part in (self.decided, self.score):
            if part is not None:
                kept &= ~np.isnan(part)
        if self.probabilities is not None:
            kept &= ~np.isnan(self.probabilities).any(axis=1)
        return kept


def named_probabilities(given: Mapping[Any, str] | Sequence[str] | None) -> dict[str, str] | None:
    """A column for each class: as given, or columns whose names end in the class after what they all begin with.

    >>> named_probabilities(["p_cat", "p_dog"])
    {'cat': 'p_cat', 'dog': 'p_dog'}
    """
    if given is None:
        return None
    if isinstance(given, str) or len(given) < 2:
        raise UsageError("probabilities: name one column for each class, as in {'cat': 'p_cat', 'dog': 'p_dog'}")
    if isinstance(given, Mapping):
        return {label_text(name): column for name, column in given.items()}
    names = list(given)
    first, last = min(names), max(names)
    same = next((at for at, (one, two) in enumerate(zip(first, last, strict=False)) if one != two), len(first))
    start = max(first.rfind(mark, 0, same) + 1 for mark in "_-. ")  # whole words only: cat and car share no beginning
    return {name[start:]: name for name in names}


def read_rows(tables: Sequence[pa.Table], asked: Asked) -> tuple[Rows, ...]:
    """The tables (the data, and a reference beside it) read alike, their classes numbered alike.

    Raises `TableError` for a column that is missing or holds something else than was asked, `UsageError` for a task
    that the columns cannot serve.
    """
    found = [_columns(table, asked) for table in tables]
    task, why = _task(found, asked)
    if asked.prediction is None and asked.score is None and asked.probabilities is None:
        raise UsageError("name what was predicted: a prediction, a score, or probabilities")
    if task == REGRESSION:
        return tuple(_regression(columns, why) for columns in found)
    labels = [_labels(columns, asked) for columns in found]
    classes = _classes(labels, asked, task)
    return tuple(
        _classified(columns, one, asked, (task, why, classes)) for columns, one in zip(found, labels, strict=True)
    )


def slices_of(column: Column, most: int = 50) -> tuple[tuple[str, ...], np.ndarray[Any, np.dtype[np.intp]]]:
    """The slices that a column cuts the rows into, and each row's. Text by value; numbers by value where there are at
    most 20 of them, else by quartile; the commonest `most` - 1, the others as one; missing as `missing`."""
    if isinstance(column, CategoricalColumn):
        names, place = np.unique(np.array([*column.categories, MISSING]), return_inverse=True)
        listed, place = names.tolist(), place[column.codes]  # code -1 is the last
    else:
        listed, place = _cut(column.values)
    counts = np.bincount(place, minlength=len(listed))
    kept = np.flatnonzero(counts > 0)
    if kept.size > most:
        kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
    mapped = np.full(len(listed), kept.size)
    mapped[kept] = np.arange(kept.size)
    others = int((counts > 0).sum()) - kept.size
    left = (f"{counted(others, 'other')}",) if others else ()
    return (*(listed[at] for at in kept.tolist()), *left), mapped[place]


def _cut(values: Floats) -> tuple[list[str], np.ndarray[Any, np.dtype[np.intp]]]:
    """Slices of numbers in their order, missing last."""
    there = ~np.isnan(values)
    distinct = np.unique(values[there])
    if distinct.size <= MOST_CLASSES:
        place = np.searchsorted(distinct, values)
        names = [label_text(value) for value in distinct.tolist()]
    else:
        cuts = np.unique(np.quantile(values[there], [0.25, 0.5, 0.75], method="lower"))
        edges = [f"{cut:.4g}" for cut in cuts.tolist()]
        inner = [f"{one} to {two}" for one, two in pairwise(edges)]
        names = [f"up to {edges[0]}", *inner, f"over {edges[-1]}"]
        place = np.searchsorted(cuts, values, side="left")
    return [*names, MISSING], np.where(there, place, len(names))


def _columns(table: pa.Table, asked: Asked) -> dict[str, Column]:
    names = {"target": asked.target, "prediction": asked.prediction, "score": asked.score}
    wanted = {role: name for role, name in names.items() if name is not None}
    wanted |= {f"p:{label}": name for label, name in (asked.probabilities or {}).items()}
    columns = dict(zip(wanted, to_columns(table, list(wanted.values())), strict=True))
    for role, column in columns.items():
        if role not in ("target", "prediction") and isinstance(column, CategoricalColumn) and not column.empty:
            raise TableError(f"column {column.name!r} holds text: a score is a number")
    return columns


def _values(column: Column) -> Floats:
    """Numbers of a column; of an empty text column, nothing."""
    return column.values if isinstance(column, NumericColumn) else np.full(column.rows, np.nan)


# -- the task ------------------------------------------------------------------------------------------------------


def _task(found: Sequence[dict[str, Column]], asked: Asked) -> tuple[str, str]:
    task, why = (asked.task, "as was asked") if asked.task else _inferred(found, asked)
    if task not in TASKS:
        raise UsageError(f"task is {task!r}: it is one of {', '.join(TASKS)}")
    if task == REGRESSION and asked.prediction is None:
        raise UsageError(f"{asked.target!r} is read as a value to predict ({why}): name the predicted values' column")
    if task != BINARY and asked.score is not None:
        raise UsageError(f"the task is {task} ({why}): a score is for two classes; name a prediction")
    if task != MULTICLASS and asked.probabilities is not None:
        raise UsageError(
            f"the task is {task} ({why}): probabilities are for several classes; name a score or a prediction"
        )
    return task, why


def _inferred(found: Sequence[dict[str, Column]], asked: Asked) -> tuple[str, str]:
    if asked.score is not None:
        return BINARY, "a score was named"
    if asked.probabilities is not None:
        return MULTICLASS, "probabilities of classes were named"
    columns = [columns["target"] for columns in found]
    if any(isinstance(column, CategoricalColumn) and not column.empty for column in columns):
        names = {name for column in columns if isinstance(column, CategoricalColumn) for name in _used(column)}
        size = len({name.strip().lower() for name in names} if _spelt(names) else names)
        return (BINARY if size <= 2 else MULTICLASS), f"the target is text with {counted(size, 'value')}"
    values = np.unique(np.concatenate([_values(columns[role]) for columns in found for role in _labelled(columns)]))
    values = values[np.isfinite(values)]
    if values.size <= 2 and np.isin(values, (0.0, 1.0)).all():
        return BINARY, "target and prediction are 0 and 1"
    if values.size <= MOST_CLASSES and (values == np.floor(values)).all():
        return MULTICLASS, f"target and prediction are {counted(values.size, 'whole number')}"
    return REGRESSION, "the target is numeric"


def _labelled(columns: Mapping[str, Column]) -> list[str]:
    return [role for role in ("target", "prediction") if role in columns]


def _used(column: CategoricalColumn) -> list[str]:
    codes = np.unique(column.codes)
    return [column.categories[code] for code in codes[codes >= 0].tolist()]


# -- values --------------------------------------------------------------------------------------------------------


def _regression(columns: Mapping[str, Column], why: str) -> Rows:
    for role in ("target", "prediction"):
        column = columns[role]
        if isinstance(column, CategoricalColumn) and not column.empty:
            raise TableError(f"column {column.name!r} holds text: a regression needs numbers")
    truth, odd = _usable(_values(columns["target"]), LARGEST)
    decided, unusable = _usable(_values(columns["prediction"]), LARGEST)
    return Rows(REGRESSION, why, (), truth, decided, None, None, False, odd, unusable)


def _usable(values: Floats, infinity: float = inf) -> tuple[Floats, Mask]:
    """The values with infinities as missing, and where those were."""
    infinite = np.abs(values) >= infinity
    return np.where(infinite, np.nan, values), infinite


# -- classes -------------------------------------------------------------------------------------------------------


class _Labels(Struct, frozen=True, eq=False):
    """A label column: each row's place in `names`, -1 missing, -2 unusable. Numbers are named as numbers."""

    names: tuple[str, ...]
    places: np.ndarray[Any, np.dtype[np.intp]]


def _labels(columns: Mapping[str, Column], asked: Asked) -> dict[str, _Labels]:
    roles = _labelled(columns)
    given = [columns[role] for role in roles if not columns[role].empty]
    mixed = len({type(column) for column in given}) > 1
    texts = [name for column in given if isinstance(column, CategoricalColumn) for name in _used(column)]
    found = {role: _label_column(columns[role], as_number=mixed or _spelt(texts)) for role in roles}
    if mixed and not set(found["target"].names) & set(found["prediction"].names):
        raise TableError(
            f"{asked.target!r} and {asked.prediction!r} share no label: one holds numbers, the other text "
            f"({', '.join(found['target'].names[:3])} against {', '.join(found['prediction'].names[:3])})"
        )
    return found


def _label_column(column: Column, *, as_number: bool) -> _Labels:
    if isinstance(column, CategoricalColumn):
        names = [_as_number(name) if as_number else name for name in column.categories]
        used = sorted({names[code] for code in np.unique(column.codes).tolist() if code >= 0})
        place = {name: at for at, name in enumerate(used)}
        lookup = np.array([*(place.get(name, -1) for name in names), -1], np.intp)
        return _Labels(tuple(used), lookup[column.codes])
    values = column.values
    finite = np.isfinite(values)
    distinct, at = np.unique(values[finite], return_inverse=True)
    places = np.where(np.isinf(values), -2, -1).astype(np.intp)
    places[finite] = at
    return _Labels(tuple(label_text(value) for value in distinct.tolist()), places)


def _spelt(names: Iterable[str]) -> bool:
    """Whether text says true and false, in whatever case."""
    return all(name.strip().lower() in _SPELT for name in names)


def _as_number(text: str) -> str:
    spelt = _SPELT.get(text.strip().lower())
    try:
        return label_text(float(text) if spelt is None else spelt)
    except ValueError:
        return text


def _classes(found: Sequence[Mapping[str, _Labels]], asked: Asked, task: str) -> tuple[str, ...]:
    truths = sorted({name for labels in found for name in labels["target"].names}, key=_order)
    names = sorted({*truths, *(name for labels in found for one in labels.values() for name in one.names)}, key=_order)
    if task == MULTICLASS:
        return _multiclass_names(names, asked)
    if set(names) <= {"0", "1"}:
        names = ["0", "1"]
    if asked.positive is not None:
        return _with_positive(names, truths, asked)
    if len(names) > 2:
        raise TableError(
            f"{asked.target!r} is read as two classes, but its labels and predictions are {', '.join(names[:6])}: "
            "name task='multiclass', or mend the odd one"
        )
    return tuple(names) if len(names) == 2 else ("0", names[0]) if names else ("0", "1")


def _with_positive(names: Sequence[str], truths: Sequence[str], asked: Asked) -> tuple[str, ...]:
    """The other classes become one: everything that is not the positive class."""
    positive = _as_number(str(asked.positive)) if set(names) <= {"0", "1"} else str(asked.positive)
    if positive not in names and truths:
        raise UsageError(f"positive is {positive!r}, but {asked.target!r} holds {', '.join(names[:6])}")
    others = [name for name in names if name != positive]
    if len(others) > 1:
        raise UsageError(f"{asked.target!r} holds {len(names)} classes: `positive` is for two; leave it out")
    return (others[0] if others else f"not {positive}", positive)


def _multiclass_names(names: Sequence[str], asked: Asked) -> tuple[str, ...]:
    if asked.probabilities is None:
        return tuple(names)
    unknown = [name for name in names if name not in asked.probabilities]
    if unknown:
        raise TableError(
            f"class {unknown[0]!r} of {asked.target!r} has no probability column: "
            f"probabilities are named for {', '.join(asked.probabilities)}"
        )
    return tuple(asked.probabilities)


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _classified(
    columns: Mapping[str, Column], labels: Mapping[str, _Labels], asked: Asked, plan: tuple[str, str, tuple[str, ...]]
) -> Rows:
    task, why, classes = plan
    truth, odd = _numbers_of(labels["target"], classes)
    decided, unusable = None, np.zeros(truth.size, np.bool_)
    if "prediction" in labels:
        decided, unusable = _numbers_of(labels["prediction"], classes)
    score, probabilities, probability = None, None, False
    if asked.score is not None:
        score, infinite = _usable(_values(columns["score"]))
        unusable = unusable | infinite
        there = score[~np.isnan(score)]
        probability = bool(((there >= 0) & (there <= 1)).all())
        if decided is None and probability:
            decided = np.where(np.isnan(score), np.nan, score >= asked.threshold)
    if asked.probabilities is not None:
        probabilities, infinite = _probabilities(columns, classes)
        unusable = unusable | infinite
        if decided is None:
            decided = np.where(np.isnan(probabilities).any(axis=1), np.nan, _argmax(probabilities))
    return Rows(task, why, classes, truth, decided, score, probabilities, probability, odd, unusable)


def _numbers_of(labels: _Labels, classes: tuple[str, ...]) -> tuple[Floats, Mask]:
    at = np.array([*(float(classes.index(name)) for name in labels.names), np.nan, np.nan])
    return at[labels.places], np.asarray(labels.places == -2)


def _probabilities(columns: Mapping[str, Column], classes: Sequence[str]) -> tuple[Floats, Mask]:
    p = np.column_stack([_values(columns[f"p:{name}"]) for name in classes])
    missing, infinite = np.isnan(p).any(axis=1), np.isinf(p).any(axis=1)
    off = ~missing & ~infinite & ((p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1) > 1e-3))
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise TableError(
            f"the probabilities of row {row + 1} sum to {p[row].sum():.4g}: in "
            f"{counted(int(off.sum()), 'row')} they are not at least 0 with the sum 1"
        )
    p[missing | infinite] = np.nan
    return p, np.asarray(infinite)


def _argmax(p: Floats) -> Floats:
    return np.asarray(np.nan_to_num(p, nan=-1.0).argmax(axis=1), np.float64)
