"""What a reference says of itself: the contract's features, the task and the classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.listing import first_of
from fairlead.errors import UsageError

MOST_CATEGORIES = 10_000
MOST_CLASSES_BY_NUMBER = 20


class Observed(Struct, frozen=True):
    """One column of the reference. `minimum`, `maximum` and `median` are of its numbers; `counts` of its other
    values, by text (for a number they are left empty)."""

    name: str
    kind: Kind
    nulls: int = 0
    minimum: float | None = None
    maximum: float | None = None
    median: float | None = None
    counts: dict[str, int] = {}


def infer_feature(seen: Observed) -> Feature:
    """The feature that a column describes: its kind, range, categories, and what `impute` would put in.

    Of more than 10,000 categories the most frequent are kept; the rest count as unseen.

    >>> infer_feature(Observed("nights", Kind.INTEGER, minimum=0.0, maximum=7.0, median=2.5)).fill
    2
    """
    kind, nullable = seen.kind, seen.nulls > 0
    if kind in (Kind.CATEGORY, Kind.BOOLEAN):
        # Ties go by the text, so that the same data give the same contract.
        frequent = sorted(seen.counts, key=lambda text: (-seen.counts[text], text))
        if kind is Kind.BOOLEAN:
            return Feature(seen.name, kind, nullable, fill=frequent[0] == "true" if frequent else None)
        kept = tuple(sorted(frequent[:MOST_CATEGORIES]))
        return Feature(seen.name, kind, nullable, categories=kept, fill=frequent[0] if frequent else None)
    fill = seen.median
    if fill is not None and kind is Kind.INTEGER:
        fill = round(fill)
    return Feature(seen.name, kind, nullable, seen.minimum, seen.maximum, fill=fill)


def label_text(value: Any) -> str:
    """A class label as text: what a contract, an answer and an outcome call it, whatever type carried it.

    >>> [label_text(value) for value in (1, 1.0, True, "yes", 2.5)]
    ['1', '1', 'true', 'yes', '2.5']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def infer_task(values: Iterable[Any]) -> Task:
    """The task of a target: two values are binary; text, or at most 20 whole numbers, are multiclass; else a value.

    Raises `UsageError` for a target with fewer than two values: there is nothing to predict.

    >>> infer_task([0, 1, 1]), infer_task(["a", "b", "c"]), infer_task([0.5, 1.5, 2.5])
    (<Task.BINARY: 'binary'>, <Task.MULTICLASS: 'multiclass'>, <Task.REGRESSION: 'regression'>)
    """
    distinct = set(values)
    if len(distinct) < 2:
        only = f"holds only {next(iter(distinct))!r}" if distinct else "is empty"
        raise UsageError(f"the target {only}: there is nothing to predict; give data with at least two outcomes")
    if len(distinct) == 2:
        return Task.BINARY
    if any(isinstance(value, str) for value in distinct):
        return Task.MULTICLASS
    whole = all(float(value).is_integer() for value in distinct)
    return Task.MULTICLASS if whole and len(distinct) <= MOST_CLASSES_BY_NUMBER else Task.REGRESSION


def infer_classes(values: Iterable[Any]) -> tuple[str, ...]:
    """The labels of a target as text, in their own order: numbers by size, text by code point.

    >>> infer_classes([10, 2, 2.0])
    ('2', '10')
    """
    distinct = set(values)
    ordered = sorted(distinct, key=str) if any(isinstance(value, str) for value in distinct) else sorted(distinct)
    return tuple(dict.fromkeys(label_text(value) for value in ordered))


def infer_contract(
    columns: Sequence[Observed], task: Task, target: str, classes: tuple[str, ...], unit: str | None
) -> Contract:
    """The contract of a model over its reference's columns, given in the model's order.

    Raises `UsageError` when the number of classes does not fit the task.
    """
    if task is Task.BINARY and len(classes) != 2:
        raise UsageError(
            f"a binary model has two classes, but {len(classes)} were found ({first_of(classes, 5)}): "
            "name the task (multiclass or regression), or the right target column"
        )
    if task is Task.MULTICLASS and len(classes) < 2:
        raise UsageError(f"a multiclass model has at least two classes, but {len(classes)} were found")
    features = tuple(infer_feature(column) for column in columns)
    return Contract(features, task, target, () if task is Task.REGRESSION else classes, unit)
