"""The champion and a challenger answer the same labelled rows; compared pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Task
from fairlead.core.cost import CostMatrix
from fairlead.core.evaluate import truth_of
from fairlead.core.worth import Side
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.subject import columns_of
from fairlead.flows.labelled import Labelled, as_columns
from fairlead.ports import BundleStore
from fairlead.ports.dataset import Dataset
from fairlead.stats.paired import auroc_difference, loss_difference
from fairlead.stats.performance import Measure, auroc

Floats = NDArray[np.float64]
_FEWEST_OF_A_CLASS = 10  # below, the normal interval of an AUROC says nothing
_FLOOR = 1e-15


class Answered(Struct, frozen=True, eq=False):
    """Labelled rows with both answers, (n, k) by the contract's classes, or (n, 1). `truth` (n,) holds class numbers,
    or values."""

    contract: Contract
    truth: Floats
    champion: Floats
    challenger: Floats
    thresholds: tuple[float, float]  # of the champion and the challenger
    span: tuple[float, float] | None  # of event time


@dataclass(frozen=True)
class Pair:
    """Two versions' bundles, by digest."""

    bundles: BundleStore
    champion: str
    challenger: str

    def answered(self, rows: Sequence[Labelled]) -> Answered:
        """What both say of rows of the log. Raises `BundleError` where the two answer different questions."""
        contract = self.bundles.manifest(self.challenger).contract
        columns = as_columns(rows, contract)
        truths = columns.pop(contract.target)
        features: list[tuple[Any, ...]] = list(zip(*columns.values(), strict=True))
        return self._answered(features, truths, (rows[0].at, rows[-1].at) if rows else None)

    def asked(self, table: Dataset) -> Answered:
        """What both say of a table with the contract's columns, target included. Raises `BundleError`."""
        contract = self.bundles.manifest(self.challenger).contract
        rows = table.tuples((*contract.names, contract.target), slice(None))
        return self._answered([row[:-1] for row in rows], [row[-1] for row in rows], None)

    def _answered(
        self, features: list[tuple[Any, ...]], truths: list[Any], span: tuple[float, float] | None
    ) -> Answered:
        own, other = self.bundles.manifest(self.challenger), self.bundles.manifest(self.champion)
        contract = own.contract
        order = _in_order(contract, other.contract)
        truth = truth_of(contract, truths)
        decides = (other.threshold, own.threshold)
        if not features:
            return Answered(contract, truth, np.empty((0, 1)), np.empty((0, 1)), decides, span)
        theirs = columns_of(contract, other.contract, features)
        champion = self.bundles.load(self.champion).predict(theirs)[:, order]
        return Answered(contract, truth, champion, self.bundles.load(self.challenger).predict(features), decides, span)


def compared(rows: Answered, cost: CostMatrix | None) -> Side:
    """Both on the same rows: AUROC (DeLong's interval) of two classes, log loss of several, squared error of values."""
    task, count = rows.contract.task, int(rows.truth.size)
    metric, figures = _METRICS[task]
    champion, challenger, gain = figures(rows) if count else (None, None, None)
    starts_at, ends_at = rows.span or (None, None)
    decided = [_decided(rows, side) for side in (0, 1)]
    flips = float(np.mean(decided[0] != decided[1])) if count and task is not Task.REGRESSION else None
    saved = _saved(rows.truth, decided, cost) if cost is not None and task is Task.BINARY else None
    return Side(count, metric, champion, challenger, gain, flips, saved, starts_at, ends_at)


def both(first: Answered, second: Answered | None) -> Answered:
    """The rows of two samples together."""
    if second is None or not second.truth.size:
        return first
    return Answered(
        first.contract,
        np.concatenate([first.truth, second.truth]),
        np.concatenate([first.champion, second.champion]),
        np.concatenate([first.challenger, second.challenger]),
        first.thresholds,
        None,
    )


def _saved(truth: Floats, decided: list[Floats], cost: CostMatrix) -> Measure | None:
    """What a row's decision costs less, on average; None below two rows."""
    champion, challenger = (_costs(truth, side, cost) for side in decided)
    found = loss_difference(challenger, champion)
    return found if found.defined else None


def _costs(truth: Floats, decided: Floats, cost: CostMatrix) -> Floats:
    wrong = np.where(decided > truth, cost.false_positive, cost.false_negative)
    return np.asarray(np.where(decided == truth, 0.0, wrong), np.float64)


def _decided(rows: Answered, side: int) -> Floats:
    answers = (rows.champion, rows.challenger)[side]
    if rows.contract.task is Task.BINARY:
        return np.asarray(answers[:, -1] >= rows.thresholds[side], np.float64)
    if rows.contract.task is Task.MULTICLASS and answers.size:
        return np.asarray(answers.argmax(axis=1), np.float64)
    return answers[:, 0]


def _binary(rows: Answered) -> tuple[float | None, float | None, Measure | None]:
    ones = int(rows.truth.sum())
    if min(ones, rows.truth.size - ones) < _FEWEST_OF_A_CLASS:
        return None, None, None
    old, new = rows.champion[:, -1], rows.challenger[:, -1]
    return auroc(rows.truth, old), auroc(rows.truth, new), auroc_difference(rows.truth, new, old)


def _multiclass(rows: Answered) -> tuple[float | None, float | None, Measure | None]:
    place, at = rows.truth.astype(np.intp), np.arange(rows.truth.size)
    old, new = (-np.log(np.maximum(side[at, place], _FLOOR)) for side in (rows.champion, rows.challenger))
    return _losses(old, new)


def _regression(rows: Answered) -> tuple[float | None, float | None, Measure | None]:
    return _losses((rows.champion[:, 0] - rows.truth) ** 2, (rows.challenger[:, 0] - rows.truth) ** 2)


def _losses(old: Floats, new: Floats) -> tuple[float, float, Measure | None]:
    gain = loss_difference(new, old)
    return float(old.mean()), float(new.mean()), gain if gain.defined else None


def _in_order(contract: Contract, theirs: Contract) -> list[int]:
    """The columns of the champion's answers in the challenger's order."""
    if contract.task is not theirs.task or set(contract.classes) != set(theirs.classes):
        raise BundleError(f"the champion answers another question: {theirs.task} of {theirs.target}")
    return [theirs.classes.index(label) for label in contract.classes] or [0]


_METRICS = {
    Task.BINARY: ("AUROC", _binary),
    Task.MULTICLASS: ("log loss", _multiclass),
    Task.REGRESSION: ("squared error", _regression),
}
