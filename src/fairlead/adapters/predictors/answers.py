"""What somebody's own code answers, as the port's probabilities or values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead.adapters.predictors.rows import Floats
from fairlead.core.contract import Contract, Task
from fairlead.core.inference import label_text
from fairlead.core.listing import counted
from fairlead.errors import BundleError


def understood(answer: Any, contract: Contract, rows: int) -> Floats:
    """(n, k) class probabilities, or (n, 1) values, of one answer for each of `rows` rows.

    Values; for two classes the last one's probability; a row of k probabilities, in the classes' order; a mapping
    (or a data frame's columns) of class -> probability; or a label, which is that class with probability 1. Raises
    `BundleError` for anything else.
    """
    named, table = _columns(answer)
    found = _plain(table, rows)
    if named and contract.task is not Task.REGRESSION:
        found = _ordered(found, named, contract)
    if contract.task is Task.REGRESSION:
        values = _numbers(found, contract).reshape(rows, -1)
        if values.shape[1] != 1:
            raise BundleError(f"the model answers {counted(values.shape[1], 'value')} per row: one is expected")
        return values
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 2:
        return _numbers(found, contract)
    if contract.task is Task.BINARY and _are_probabilities(found):
        last = found.astype(np.float64)
        return np.column_stack([1.0 - last, last])
    return _of_labels(found, contract)


def _columns(answer: Any) -> tuple[tuple[str, ...], Any]:
    """The columns' names where there are some, and the answer as rows."""
    if hasattr(answer, "columns") and hasattr(answer, "to_numpy"):  # a data frame
        names = tuple(label_text(name) for name in answer.columns)
        numbered = names == tuple(map(str, range(len(names))))
        return () if len(names) == 1 or numbered else names, answer.to_numpy()
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], Mapping):
        names = tuple(label_text(name) for name in answer[0])
        try:
            return names, [[row[name] for name in answer[0]] for row in answer]
        except (KeyError, TypeError) as error:
            raise BundleError(f"the model's answers do not all have {', '.join(names)}: name every class") from error
    return (), answer


def _plain(table: Any, rows: int) -> Any:
    """An array with as many rows as were asked. Raises `BundleError`."""
    try:
        found = np.asarray(table)
    except ValueError as error:
        raise BundleError(f"the model's answers are not all of one shape ({error}): answer every row alike") from error
    if found.ndim not in (1, 2) or len(found) != rows:
        shape = f"shape {found.shape}" if found.ndim else f"one {type(table).__name__}"
        raise BundleError(f"the model answers {shape} to {counted(rows, 'row')}: give one answer for each row")
    return found


def _ordered(found: Any, named: tuple[str, ...], contract: Contract) -> Any:
    if set(named) != set(contract.classes):
        raise BundleError(
            f"the model answers the classes {', '.join(named)}, but the target's are {', '.join(contract.classes)}: "
            "name them alike"
        )
    return found[:, [named.index(label) for label in contract.classes]]


def _numbers(found: Any, contract: Contract) -> Floats:
    try:
        values: Floats = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        what = "a value" if contract.task is Task.REGRESSION else "probabilities"
        raise BundleError(f"the model answers no numbers ({error}): {what} is expected of each row") from error
    width = len(contract.classes) or 1
    if contract.task is not Task.REGRESSION:
        if values.shape[1] != width:
            raise BundleError(
                f"the model answers {values.shape[1]} numbers per row: {width} probabilities are expected"
            )
        if not np.allclose(values.sum(axis=1), 1.0, atol=1e-4) or values.min(initial=0.0) < 0.0:
            raise BundleError("the model's probabilities of a row do not sum to 1: normalise them")
    return values


def _are_probabilities(found: Any) -> bool:
    return found.dtype.kind == "f" and bool(((found >= 0.0) & (found <= 1.0)).all())


def _of_labels(found: Any, contract: Contract) -> Floats:
    places = {label: at for at, label in enumerate(contract.classes)}
    texts = [label_text(label) for label in found.tolist()]
    if strange := sorted({text for text in texts if text not in places}):
        raise BundleError(
            f"the model answers {', '.join(strange[:3])}, which is no class of the target "
            f"({', '.join(contract.classes)}) and no probability: answer one of them"
        )
    answers = np.zeros((len(texts), len(places)))
    answers[np.arange(len(texts)), [places[text] for text in texts]] = 1.0
    return answers
