"""Rows as matrices of numbers, and a library's answers as the port's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Kind, Task
from fairlead.core.listing import counted
from fairlead.errors import BundleError
from fairlead.ports.predictor import Cells

Row = tuple[Any, ...]
Floats = NDArray[np.float64]
Codes = Mapping[Any, float]  # category -> its code

NAN = float("nan")


class Encoder:
    """(n, k) float64 of rows in the contract's order: nulls as NaN, categories as the model's own codes."""

    def __init__(self, contract: Contract, codes: Mapping[int, Codes], what: str) -> None:
        """`codes` are of the columns that the model itself knows as categories, by place.

        Raises `BundleError` where a feature of text meets a column that the model takes as a number.
        """
        texts = [f.name for at, f in enumerate(contract.features) if f.kind is Kind.CATEGORY and at not in codes]
        if texts:
            raise BundleError(
                f"the {what} model takes numbers, but {', '.join(texts)} holds text: train it on a column of pandas' "
                "category type, or encode before it"
            )
        self._codes = tuple(codes.items())
        self._width = len(contract.features)

    def matrix(self, rows: Sequence[Row]) -> Floats:
        """The rows. A category that the model does not know is NaN, as the libraries have it."""
        if not self._codes:
            return np.array(rows, np.float64).reshape(len(rows), self._width)
        return np.array([self._coded(row) for row in rows], np.float64)

    def stacked(self, columns: Sequence[Cells]) -> Floats:
        """The same from columns."""
        codes = dict(self._codes)
        return np.column_stack([_column(one, codes.get(at)) for at, one in enumerate(columns)])

    def _coded(self, row: Row) -> list[Any]:
        cells = list(row)
        for at, codes in self._codes:
            cells[at] = codes.get(cells[at], NAN)
        return cells


class MatrixPredictor:
    """Answers rows by a library that takes numbers: `answer` gives (n, outputs), or (n,), of an (n, k) matrix."""

    def __init__(self, encoder: Encoder, answer: Callable[[Floats], Floats], outputs: int) -> None:
        self._encoder = encoder
        self._answer = answer
        self._outputs = outputs

    def predict(self, rows: Sequence[Row]) -> Floats:
        """(n, k) class probabilities, or (n, 1) values."""
        if not rows:
            return np.empty((0, self._outputs))
        return shaped(self._answer(self._encoder.matrix(rows)), self._outputs)

    def predict_columns(self, columns: Sequence[Cells]) -> Floats:
        """The same from columns."""
        return shaped(self._answer(self._encoder.stacked(columns)), self._outputs)


def _column(cells: Cells, codes: Codes | None) -> Floats:
    """(n,) of one feature."""
    if codes is not None:
        return np.array([codes.get(cell, NAN) for cell in cells.listed()], np.float64)
    values = cells.values.astype(np.float64)  # a copy, which may be written to
    values[cells.missing] = NAN
    return values


def check_width(contract: Contract, width: int, what: str) -> None:
    """Raises `BundleError` unless the model has as many features as the contract."""
    if width != len(contract.features):
        raise BundleError(
            f"the {what} model takes {counted(width, 'feature')}, but the contract has "
            f"{len(contract.features)}: register it with the data that it was trained on"
        )


def check_task(contract: Contract, outputs: int, what: str) -> None:
    """Raises `BundleError` unless the model does the task; `outputs` is its number of classes, or 1 for a value."""
    wanted = 1 if contract.task is Task.REGRESSION else len(contract.classes)
    if outputs != wanted:
        does = "answers one value" if outputs == 1 else f"tells {counted(outputs, 'class', 'classes')} apart"
        asked = "one value" if wanted == 1 else f"the {wanted} classes {', '.join(contract.classes)}"
        raise BundleError(
            f"the {what} model {does}, but the contract asks for {asked}: name the right task and target, or bring "
            "data that has every class"
        )


def shaped(values: Any, outputs: int) -> Floats:
    """(n, k) of what a booster answers: one probability is that of the last class; several rows sum to 1."""
    found = np.asarray(values, np.float64)
    if outputs == 1:
        return found.reshape(-1, 1)
    if outputs == 2 and found.size == len(found):
        last = found.reshape(-1)
        return np.column_stack([1.0 - last, last])
    return found.reshape(len(found), -1)


def softmax(margins: Floats) -> Floats:
    """(n, k) probabilities of (n, k) raw scores."""
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def sigmoid(margins: Floats) -> Floats:
    """Probabilities of raw scores; large ones do not overflow."""
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * margins))
    return found
