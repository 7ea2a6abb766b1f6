"""What only a registration can know of a version: facts about its training rows, measured while they are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Literal

import numpy as np
from msgspec import UNSET, Struct, UnsetType

from fairlead.core.contract import Task
from fairlead.core.inference import label_text
from fairlead.stats.fairness import Counts
from fairlead.stats.leakage import Sketch
from fairlead.stats.performance import Floats, Measure, accuracy, auroc_interval, r2_interval

# How the held-out rows were set apart: a file of their own, the latest by time, or the last ones of the table.
SplitKind = Literal["file", "time", "last"]
QUALITY = {Task.BINARY: "AUROC", Task.MULTICLASS: "accuracy", Task.REGRESSION: "R2"}
# Of groups: an AUROC is low in a group that itself tells much, and an R2 in one whose values are alike.
SLICED = {Task.BINARY: "accuracy", Task.MULTICLASS: "accuracy", Task.REGRESSION: "skill (1 - MAE / MAD)"}


class Spread(Struct, frozen=True):
    """A measure that has a value, as JSON takes it. An end that has none is the value itself."""

    value: float
    low: float
    high: float
    rows: int = 0


class Split(Struct, frozen=True):
    """How the held-out rows were set apart. `gap` is the largest difference of a class's share between the two parts,
    or of the target's means in standard deviations; `error` is its standard error."""

    kind: SplitKind
    rows: int
    heldout_rows: int
    gap: float
    error: float
    unlabelled: int = 0  # training rows whose target is null, or none that the model knows


class Twins(Struct, frozen=True):
    """Rows that occur more than once, target included. `fresh` is the quality on the held-out rows that have no equal
    training row, `every` on all; unset where the rows do not define it."""

    rows: int
    within: int  # training rows with an equal training row
    heldout_rows: int
    across: int  # held-out rows with an equal training row
    every: Spread | UnsetType = UNSET
    fresh: Spread | UnsetType = UNSET


class Times(Struct, frozen=True):
    """The event times, as text. `early` are held-out rows before the last training row; `untimed` rows have no time.

    `column` is empty where none was named; `unnamed` are then columns that hold dates or times.
    """

    column: str = ""
    unnamed: tuple[str, ...] = ()
    train_first: str = ""
    train_last: str = ""
    heldout_first: str = ""
    heldout_last: str = ""
    early: int = 0
    untimed: int = 0
    problem: str = ""  # why they cannot be compared


class Simple(Struct, frozen=True):
    """The version against the simplest model, fitted on the same training rows, on the held-out rows. `gain` is
    positive where the version is better."""

    kind: str
    metric: str
    own: float
    other: float
    gain: Spread


class Slice(Struct, frozen=True):
    """A group of held-out rows against all others: the accuracy of each, or the skill in the errors of values."""

    column: str
    value: str
    inside: Spread
    outside: Spread


class TrainingFacts(Struct, frozen=True, omit_defaults=True):
    """Each is unset where it was not measured: in a bundle from before there was one, or where it cannot be."""

    split: Split | UnsetType = UNSET
    twins: Twins | UnsetType = UNSET
    times: Times | UnsetType = UNSET
    sketch: Sketch | UnsetType = UNSET  # which rows it was trained on
    broken_rules: dict[str, int] | UnsetType = UNSET  # rows that break each rule of the contract
    outside: dict[str, int] | UnsetType = UNSET  # rows out of a feature's range, or of a category that it does not list
    infinite: dict[str, int] | UnsetType = UNSET
    single: dict[str, float] | UnsetType = UNSET  # what each feature tells of the target by itself
    copies: tuple[str, ...] | UnsetType = UNSET  # features that are the target under another name
    train_quality: Spread | UnsetType = UNSET
    heldout_quality: Spread | UnsetType = UNSET
    simple: Simple | UnsetType = UNSET
    importances: dict[str, float] | UnsetType = UNSET  # what shuffling a feature costs of the quality
    slices: tuple[Slice, ...] | UnsetType = UNSET
    groups: dict[str, dict[str, dict[str, Counts]]] | UnsetType = UNSET  # by column, class and value
    dataset_named: bool | UnsetType = UNSET  # whether the user said which version of a data set it is
    problems: dict[str, str] = {}  # why a part could not be measured, by the part's name


def quality(task: Task, truth: Floats, answers: Floats) -> Measure:
    """The one figure by which parts of the data are compared: AUROC, accuracy or R2, of (n,) truths (class numbers, or
    values) and (n, k) answers. Higher is better, 1 is perfect; nan where the rows do not define it."""
    if task is Task.BINARY:
        return auroc_interval(truth, answers[:, -1])
    if task is Task.MULTICLASS:
        return accuracy(truth, answers.argmax(axis=1).astype(np.float64))
    return r2_interval(truth, answers[:, 0])


def spread(measure: Measure, rows: int) -> Spread | UnsetType:
    """A measure as it is kept; unset where it has no value, or no interval."""
    ends = (measure.value, measure.low, measure.high)
    return Spread(*ends, rows) if all(isfinite(end) for end in ends) else UNSET


def measure_of(found: Spread) -> Measure:
    """The measure again."""
    return Measure(found.value, found.low, found.high)


def truths(task: Task, classes: Sequence[str], labels: Sequence[object]) -> Floats:
    """Outcomes as numbers (n,): the class's place, or the value; nan for a null, for a label that the model does not
    know, and for what is no finite number."""
    if task is Task.REGRESSION:
        return np.array([_number(label) for label in labels], np.float64)
    places = {label: float(place) for place, label in enumerate(classes)}
    return np.array([places.get(label_text(label), np.nan) if label is not None else np.nan for label in labels])


def _number(label: object) -> float:
    value = float(label) if isinstance(label, int | float) else np.nan
    return value if isfinite(value) else np.nan
