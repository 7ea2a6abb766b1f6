"""A registration's rows -> `TrainingFacts`: what a later gate asks of the training set and cannot look at any more.

Costs are bounded: at most some thousand rows are answered or fitted, whatever the table's size; all rows are looked at
only as columns. What goes wrong leaves its part unset, with the reason: a fact is no condition of a registration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Feature, Task
from fairlead.core.rules import checked
from fairlead.core.training import Split, SplitKind, Spread, TrainingFacts, Twins, quality, spread, truths
from fairlead.errors import FairleadError
from fairlead.flows.training_model import heldout_facts, importances, model_facts
from fairlead.flows.training_times import times
from fairlead.ports import Predictor
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.leakage import copies, row_hashes, single_score, sketch, twins
from fairlead.stats.performance import Floats

MOST_ROWS = 20_000  # looked at one by one, or for what a single feature tells
ANSWERED_ROWS = 5_000  # training rows that the model answers
IMPORTANCE_ROWS = 1_000  # held-out rows that it answers once more for each feature
FEWEST_ANSWERED = 300  # of fewer rows an importance is chance
SECONDS = 5.0  # that either may take about, by the time that some held-out rows took


@dataclass(frozen=True)
class Asking:
    """The model and what it answered: `truth` (n,) and `answers` (n, k) are of the held-out rows.

    `predictor` answers as the model does, and may be faster; `row_seconds` is what it takes for one of many rows.
    """

    predictor: Predictor
    truth: Floats
    answers: Floats
    row_seconds: float = 0.0

    def affordable(self, most: int, times: int = 1) -> int:
        """How many rows, at most, may be answered so many times each: a slow model gets fewer."""
        if self.row_seconds <= 0:
            return most
        return max(FEWEST_ANSWERED, min(most, int(SECONDS / (self.row_seconds * times))))


@dataclass(frozen=True)
class Trained:
    """What a registration has at hand."""

    contract: Contract
    reference: Dataset
    heldout: Dataset
    asking: Asking
    threshold: float
    split: SplitKind = "file"
    time_column: str = ""
    segments: tuple[str, ...] = ()
    dataset_named: bool = False

    @property
    def truth(self) -> Floats:
        """The held-out rows' truths (n,)."""
        return self.asking.truth

    @property
    def answers(self) -> Floats:
        """The answers to them (n, k)."""
        return self.asking.answers

    @property
    def classes(self) -> int:
        """How many; 0 for values."""
        return len(self.contract.classes) if self.contract.task is not Task.REGRESSION else 0

    @cached_property
    def labels(self) -> Floats:
        """The training rows' truths (n,), nan where there is none."""
        cells = [label for (label,) in self.reference.tuples([self.contract.target], slice(None))]
        return truths(self.contract.task, self.contract.classes, cells)

    @cached_property
    def known(self) -> NDArray[np.intp]:
        """The training rows whose truth is known."""
        return np.flatnonzero(~np.isnan(self.labels))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The training rows' features."""
        return self.reference.columns(self.contract.names)

    @cached_property
    def heldout_columns(self) -> tuple[Column, ...]:
        """The held-out rows' features."""
        return self.heldout.columns(self.contract.names)

    def sample(self, most: int) -> NDArray[np.intp]:
        """At most so many labelled training rows, at equal distances."""
        return self.known[:: -(-self.known.size // most)] if self.known.size > most else self.known


def training_facts(of: Trained) -> TrainingFacts:
    """Everything that can be known."""
    problems: dict[str, str] = {}
    found: dict[str, Any] = {"dataset_named": of.dataset_named}
    for part, measured in _PARTS.items():
        try:
            found |= measured(of)
        except FairleadError as error:
            problems[part] = error.line
        except Exception as error:  # noqa: BLE001 - a model is somebody else's code, and any table may be strange
            problems[part] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return TrainingFacts(**found, problems=problems)


def hashes_of(contract: Contract, columns: Sequence[Column], truth: Floats) -> NDArray[np.uint64]:
    """A hash (n,) of each row, outcome included, whatever its type in the table."""
    if contract.task is Task.REGRESSION:
        return row_hashes([*columns, NumericColumn(contract.target, truth)])
    codes = np.where(np.isnan(truth), -1, np.nan_to_num(truth)).astype(np.int32)
    return row_hashes([*columns, CategoricalColumn(contract.target, codes, contract.classes)])


def _split(of: Trained) -> dict[str, Any]:
    known, held = of.labels[of.known], of.truth
    gaps = []
    for own, other in _sides(of, known, held):
        error = sqrt(own.var() / max(own.size, 1) + other.var() / max(other.size, 1))
        gaps.append((abs(float(own.mean() - other.mean())), error))
    gap, error = max(gaps, key=lambda one: one[0] / one[1] if one[1] else one[0], default=(0.0, 0.0))
    unlabelled = int(of.labels.size - of.known.size)
    return {"split": Split(of.split, of.reference.rows, of.heldout.rows, gap, error, unlabelled)}


def _sides(of: Trained, known: Floats, held: Floats) -> list[tuple[Floats, Floats]]:
    """What is compared of both parts: each class's presence, or the values in standard deviations."""
    if not (known.size and held.size):
        return []
    if of.classes:
        return [((known == k).astype(np.float64), (held == k).astype(np.float64)) for k in range(of.classes)]
    scale = float(known.std()) or 1.0
    return [(known / scale, held / scale)]


def _twins(of: Trained) -> dict[str, Any]:
    own = hashes_of(of.contract, of.columns, of.labels)
    held = hashes_of(of.contract, of.heldout_columns, of.truth)
    seen = twins(held, own)
    every = spread(quality(of.contract.task, of.truth, of.answers), of.truth.size)
    fresh: Spread | UnsetType = UNSET
    if not seen.all():
        fresh = spread(quality(of.contract.task, of.truth[~seen], of.answers[~seen]), int((~seen).sum()))
    within, across = int(twins(own).sum()), int(seen.sum())
    found = Twins(own.size, within, held.size, across, every, fresh)
    return {"twins": found, "sketch": sketch(of.contract.names, own)}


def _values(of: Trained) -> dict[str, Any]:
    """Values that the contract does not know, and rules that rows break."""
    pairs = list(zip(of.contract.features, of.columns, strict=True))
    outside = {feature.name: count for feature, column in pairs if (count := _strangers(feature, column))}
    infinite = {
        column.name: count
        for column in of.columns
        if isinstance(column, NumericColumn) and (count := int(np.isinf(column.values).sum()))
    }
    return {"outside": outside, "infinite": infinite, "broken_rules": _broken(of)}


def _strangers(feature: Feature, column: Column) -> int:
    if isinstance(column, CategoricalColumn):
        listed = set(feature.categories)
        strange = [code for code, text in enumerate(column.categories) if text not in listed]
        return int(np.isin(column.codes, strange).sum()) if feature.categories else 0
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    return int(((column.values < low) | (column.values > high)).sum())


def _broken(of: Trained) -> dict[str, int]:
    rules = [checked(rule, of.contract.features) for rule in of.contract.rules]
    if not rules:
        return {}
    step = max(1, -(-of.reference.rows // MOST_ROWS))
    rows = of.reference.tuples(of.contract.names, range(0, of.reference.rows, step))
    return {check.rule.text: sum(not check.holds(row) for row in rows) for check in rules}


def _leaks(of: Trained) -> dict[str, Any]:
    picked = of.sample(MOST_ROWS)
    truth = of.labels[picked]
    some = [_taken(column, picked) for column in of.columns]
    scores = {column.name: single_score(column, truth, classes=of.classes) for column in some}
    return {
        "single": {name: score for name, score in scores.items() if np.isfinite(score)},
        "copies": copies(some, truth),
    }


def _taken(column: Column, rows: NDArray[np.intp]) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[rows])
    return CategoricalColumn(column.name, column.codes[rows], column.categories)


def _generalises(of: Trained) -> dict[str, Any]:
    picked = of.sample(of.asking.affordable(ANSWERED_ROWS))
    rows = of.reference.tuples(of.contract.names, picked.tolist())
    found: dict[str, Any] = {}
    if rows:
        said = of.asking.predictor.predict(rows)
        found["train_quality"] = spread(quality(of.contract.task, of.labels[picked], said), picked.size)
    found["heldout_quality"] = spread(quality(of.contract.task, of.truth, of.answers), of.truth.size)
    return found


def _modelled(of: Trained) -> dict[str, Any]:
    picked = of.sample(MOST_ROWS)
    some = [_taken(column, picked) for column in of.columns]
    return model_facts(of.contract, (some, of.labels[picked]), (of.heldout_columns, of.truth), of.answers)


def _held(of: Trained) -> dict[str, Any]:
    return heldout_facts(of.contract, of.heldout, of.truth, of.answers, (of.threshold, of.segments, of.time_column))


def _useful(of: Trained) -> dict[str, Any]:
    most = of.asking.affordable(IMPORTANCE_ROWS, len(of.contract.names) + 1)
    return {"importances": importances(of.contract, of.asking.predictor, of.heldout, of.truth, most)}


def _times(of: Trained) -> dict[str, Any]:
    return {"times": times(of.reference, of.heldout, of.time_column, {of.contract.target, of.contract.unit})}


_PARTS: dict[str, Callable[[Trained], dict[str, Any]]] = {
    "split": _split,
    "twins": _twins,
    "values": _values,
    "times": _times,
    "leaks": _leaks,
    "generalises": _generalises,
    "simple": _modelled,
    "groups": _held,
    "importances": _useful,
}
