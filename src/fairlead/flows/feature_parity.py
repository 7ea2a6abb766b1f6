"""Whether features come out the same for a row of the training table as for the same row in a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fairlead.core.bundle import Parity
from fairlead.core.contract import Contract
from fairlead.core.decode import RowDecoder, shown
from fairlead.errors import ContractError, UsageError
from fairlead.ports.dataset import Dataset
from fairlead.ports.features import FeatureSource

TOLERANCE = 1e-6  # of a number, relative above 1; whole numbers, texts and booleans must be the same
MOST_ROWS = 50_000  # rows that are computed again, at equal distances through the table

Columns = Mapping[str, Sequence[Any]]


def parity(source: FeatureSource, contract: Contract, data: Dataset, columns: Columns, what: str) -> Parity:
    """Computes rows of the table again as a request brings them: from JSON, each alone, the last first.

    `columns` is what the function made of the whole table. A function that looks at other rows, at the time, at chance
    or at what the request does not hold is found out. Raises `UsageError` naming the column, the row and both values.
    """
    decoder = RowDecoder(contract)
    step = -(-data.rows // MOST_ROWS)
    rows = data.tuples(contract.names, range(0, data.rows, step))
    seen, worst = 0, 0.0
    for place in reversed(range(len(rows))):
        index = place * step
        row = _as_asked(decoder, contract, rows[place])
        if row is None:
            continue
        seen += 1
        found = _alone(source, row, f"row {index} of {what}")
        for name, column in columns.items():
            worst = max(worst, _difference(name, index, what, column[index], found.get(name)))
    if not seen:
        raise UsageError(f"no row of {what} is one that the contract takes: parity of the features cannot be measured")
    return Parity(seen, worst, TOLERANCE)


def check_stored(data: Dataset, columns: Columns, what: str) -> None:
    """Compares what the table itself holds of the features with what the function computes. Raises `UsageError`."""
    for name in [name for name in columns if name in data.names]:
        for index, (held,) in enumerate(data.tuples([name], slice(None))):
            if distance(held, columns[name][index]) > TOLERANCE:
                raise UsageError(
                    f"{name!r} in row {index} of {what} is {shown(held)}, but the feature code computes "
                    f"{shown(columns[name][index])}: train on what it computes (fairlead.compute_features)"
                )


def distance(one: Any, other: Any) -> float:
    """How far two values lie apart: 0 for the same, relative above 1 for numbers, infinite for anything else.

    >>> distance(2, 2), distance(2.0, 2), distance("a", "b"), distance(None, 0.0), distance(100.0, 101.0)
    (0.0, 0.0, inf, inf, 0.009900990099009901)
    """
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    if one == other and (isinstance(one, bool) is isinstance(other, bool)):
        return 0.0
    if len(numbers) < 2 or not any(isinstance(value, float) for value in numbers):
        return float("inf")
    gap = abs(float(one) - float(other)) / max(1.0, abs(float(one)), abs(float(other)))
    return gap if gap == gap else float("inf")  # noqa: PLR0124 - NaN alone differs from itself


def _as_asked(decoder: RowDecoder, contract: Contract, cells: Sequence[Any]) -> dict[str, Any] | None:
    """The row as a request brings it; None where the contract refuses or changes it."""
    text = msgspec.json.encode(dict(zip(contract.names, cells, strict=True)))
    try:
        row, strange = decoder.decode(text)
    except ContractError:
        return None
    return None if strange else dict(zip(contract.names, row, strict=True))


def _alone(source: FeatureSource, row: dict[str, Any], where: str) -> Mapping[str, Any]:
    try:
        return source.features([row])[0]
    except Exception as error:  # the code is somebody's own: it may fail in any way
        text = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"the feature code computes {where} in the table, but fails on it in a request "
            f"({type(error).__name__}: {text}): name every field that it reads in INPUTS"
        ) from error


def _difference(name: str, index: int, what: str, expected: Any, came: Any) -> float:
    if hasattr(came, "item"):  # a scalar of NumPy's
        came = came.item()
    if isinstance(came, float) and came != came:  # noqa: PLR0124 - NaN alone differs from itself
        came = None
    gap = distance(expected, came)
    if gap > TOLERANCE:
        raise UsageError(
            f"{name!r} in row {index} of {what} is {shown(expected)} computed with the whole table, but {shown(came)} "
            f"computed as a request is (allowed: {TOLERANCE:g}): a feature may depend on nothing but its row's fields"
        )
    return gap
