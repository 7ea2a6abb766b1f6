"""A contract held against a table, a chunk at a time: which rows breach what, and what becomes of them.

Columns are looked at as a whole (`adapters.cells`); a row with a cell that this cannot judge, and a row that a rule is
not sure of, is examined by itself (`core.examine`). Either way a row has the fate that the gateway would give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from fairlead.adapters.cells import Judged, judge, plain, value_of, values_of
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Contract, Feature, Policy
from fairlead.core.decode import loads
from fairlead.core.examine import SEVERITY, Breach, Examiner, Fate, fate_by, fate_of
from fairlead.core.rule_columns import ColumnRule
from fairlead.errors import ContractError
from fairlead.ports.predictor import Cells

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]
FATES = tuple(Fate)


class Look(NamedTuple):
    """What was found in a chunk. `fates` (n,) are places in `FATES`; `breaches` gives the rows of each, ascending;
    `values` the value of a field in a row of the chunk, as it was given. `unread` counts lines that are no object."""

    fates: NDArray[np.int8]
    breaches: dict[Breach, Places]
    values: Mapping[str, Any]
    unread: int = 0


class ContractColumns:
    """One contract, made ready."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._open = tuple(_let_through(feature) for feature in contract.features)
        self._examiner = Examiner(contract)
        self._rules = [(rule, ColumnRule(rule, contract.features)) for rule in contract.rules]

    def look(self, chunk: Chunk) -> Look:
        """Holds the contract against a chunk."""
        if chunk.table is None:
            return self._lines(chunk)
        table, features = chunk.table, self.contract.features
        columns = {name: _whole(table.column(name)) for name in self.contract.names if name in table.column_names}
        judged = [judge(one, columns.get(one.name), chunk.rows, text=chunk.text) for one in self._open]
        odd = np.logical_or.reduce([one.odd for one in judged])
        found: dict[Breach, list[Places]] = {}
        fates = np.zeros(chunk.rows, np.int8)
        for feature, one in zip(features, judged, strict=True):
            for what, where in one.strange.items():
                _note(found, fates, Breach(feature.name, what, _policy(feature, what)), np.flatnonzero(where & ~odd))
        odd |= self._unsure(judged, fates, odd)
        self._one_by_one(chunk, columns, np.flatnonzero(odd), found, fates)
        return Look(fates, _sorted(found), columns)

    def _unsure(self, judged: Sequence[Judged], fates: NDArray[np.int8], odd: Mask) -> Mask:
        """Rows of which a rule is not sure; of a row that a value refuses none is asked."""
        if not self._rules:
            return np.zeros(len(odd), np.bool_)
        cells = [_imputed(feature, one) for feature, one in zip(self.contract.features, judged, strict=True)]
        values, missing = [one.values for one in cells], [one.missing for one in cells]
        sure = np.logical_and.reduce([rule.surely_holds(values, missing) for _, rule in self._rules])
        unsure: Mask = ~odd & (fates < SEVERITY[Fate.REFUSED]) & ~sure
        return unsure

    def _one_by_one(
        self,
        chunk: Chunk,
        columns: Mapping[str, Any],
        places: Places,
        found: dict[Breach, list[Places]],
        fates: NDArray[np.int8],
    ) -> None:
        """Examines rows, in the place of what their columns said of them."""
        if not places.size:
            return
        for breach, parts in found.items():
            found[breach] = [np.setdiff1d(part, places, assume_unique=True) for part in parts]
        held: dict[str, Sequence[object]] = {}
        for feature in self.contract.features:
            if feature.name in columns:
                values = values_of(columns[feature.name].take(places))
                held[feature.name] = [value_of(feature, one) for one in values] if chunk.text else values
        rows = (
            (dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)) if held else _empty(places)
        )
        self._examine(zip(places.tolist(), rows, strict=True), found, fates)

    def _lines(self, chunk: Chunk) -> Look:
        found: dict[Breach, list[Places]] = {}
        fates = np.zeros(chunk.rows, np.int8)
        rows = [_object(line) for line in chunk.lines]
        there = [(place, row) for place, row in enumerate(rows) if row is not None]
        self._examine(iter(there), found, fates)
        for place, row in enumerate(rows):
            if row is None:
                fates[place] = SEVERITY[Fate.REFUSED]
        names = self.contract.names
        values = {name: [None if row is None else row.get(name) for row in rows] for name in names}
        return Look(fates, _sorted(found), values, len(rows) - len(there))

    def _examine(
        self,
        rows: Iterator[tuple[int, Mapping[str, object]]],
        found: dict[Breach, list[Places]],
        fates: NDArray[np.int8],
    ) -> None:
        gathered: dict[Breach, list[int]] = {}
        for place, row in rows:
            breaches = self._examiner.breaches(row)
            fates[place] = SEVERITY[fate_of(breaches)]
            for breach in breaches:
                gathered.setdefault(breach, []).append(place)
        for breach, places in gathered.items():
            found.setdefault(breach, []).append(np.array(places, np.intp))


def shown_value(look: Look, field: str, place: int) -> object:
    """The value of a feature in a row, as it was given; None where it was not."""
    held = look.values.get(field)
    if held is None:
        return None
    return held[place] if isinstance(held, list) else held[place].as_py()


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of plain values, from which rows can be taken."""
    import pyarrow as pa

    return pa.chunked_array([plain(column)])


def _note(found: dict[Breach, list[Places]], fates: NDArray[np.int8], breach: Breach, places: Places) -> None:
    if places.size:
        found.setdefault(breach, []).append(places)
        fates[places] = np.maximum(fates[places], SEVERITY[fate_by(breach.policy)])


def _sorted(found: Mapping[Breach, Sequence[Places]]) -> dict[Breach, Places]:
    joined = {breach: np.sort(np.concatenate(parts)) for breach, parts in found.items() if parts}
    return {breach: places for breach, places in joined.items() if places.size}


def _let_through(feature: Feature) -> Feature:
    """The same feature with every policy at `warn`: what is strange is then marked and nothing is replaced."""
    warn = Policy.WARN
    return msgspec.structs.replace(feature, missing=warn, out_of_range=warn, unseen=warn)


def _policy(feature: Feature, what: str) -> Policy:
    policy: Policy = getattr(feature, what)
    return policy


def _imputed(feature: Feature, one: Judged) -> Cells:
    """A column as rules see it: with what its policies put in."""
    cells = one.cells
    for what, where in one.strange.items():
        if _policy(feature, what) is Policy.IMPUTE and feature.fill is not None:
            values = cells.values.copy()
            values[where] = feature.fill
            cells = Cells(values, cells.missing & ~where)
        elif _policy(feature, what) is Policy.IMPUTE:
            cells = Cells(cells.values, cells.missing | where)
    return cells


def _empty(places: Places) -> Iterator[dict[str, object]]:
    return ({} for _ in range(places.size))


def _object(line: bytes) -> Mapping[str, object] | None:
    """A line's object; None for a line that is none."""
    try:
        found: object = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            found = loads(line)
        except ContractError:
            return None
    return found if isinstance(found, Mapping) else None
