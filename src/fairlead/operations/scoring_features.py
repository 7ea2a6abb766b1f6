"""A chunk's rows with the features that are looked up for them: each entity once, all of a chunk in one question.

A row comes out as `flows.features.with_features` makes it of a request, and what refuses a request there refuses the
row here, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.adapters.cells import value_of, values_of
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.contract import Contract, Feature, Kind
from fairlead.core.lookup import LookedUp
from fairlead.errors import ContractError, StateError
from fairlead.flows.lookups import DOWN, SLOW, Found, Key, Lookups, Unanswered, Wanted, named_unit, named_value
from fairlead.operations.scoring_chunk import PATH, Breach, breach, object_of

if TYPE_CHECKING:
    import pyarrow as pa

WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between two questions to a store that does not answer

Units = Sequence[str | None]
Find = Callable[[Sequence[Key]], Found]


class Filled(NamedTuple):
    """The rows that may be answered, with their features, by their places in the chunk; and why the others may not."""

    chunk: Chunk
    places: Sequence[int]
    broke: dict[int, Breach]


class Looking:
    """The look-ups of one part: in its own thread, patiently."""

    def __init__(self, lookups: Lookups, contract: Contract, part: LookedUp) -> None:
        """`part` is the version's."""
        self._lookups, self._contract, self.part = lookups, contract, part
        self._keys = {name: lookups.keys[name] for name in lookups.rules.entity}
        self._is_unit = tuple(self._keys) == (contract.unit,)
        self._is_away = False

    @property
    def counts(self) -> dict[str, int]:
        """Entities by what became of their look-up, without those that are none."""
        return {what: number for what, number in self._lookups.counted.outcomes.items() if number}

    def find(self, keys: Sequence[Key]) -> Found:
        """What is known of entities. A store that was away is not waited for again until it has answered.

        Raises `StateError` where it does not answer and the settings refuse a request then.
        """
        if not keys:
            return Found({})
        before = self._unanswered
        try:
            found = self._lookups.find_here(keys, () if self._is_away else WAITS, sleep)
        except Unanswered as fault:
            raise StateError(f"{fault}: what is done is kept, run the same again when the store is back") from None
        self._is_away = self._unanswered > before
        return found

    def fill(self, chunk: Chunk, units: Units, find: Find) -> Filled:
        """The chunk's rows as their version takes them; `units` has a text, where a row names its unit. `find` finds.
        Raises what that does."""
        if not self._is_unit:
            units = [None] * chunk.rows
        if chunk.table is None:
            return self._fill_lines(chunk, units, find)
        return self._fill_table(chunk, units, find)

    @property
    def _unanswered(self) -> int:
        outcomes = self._lookups.counted.outcomes
        return outcomes[SLOW] + outcomes[DOWN]

    # -- lines -----------------------------------------------------------------------------------------------------

    def _fill_lines(self, chunk: Chunk, units: Units, find: Find) -> Filled:
        lines, broke = list(chunk.lines), dict[int, Breach]()
        wanted: dict[int, Wanted] = {}
        for place, line in enumerate(lines):
            values = self._brought(line)
            if values is None:
                continue
            try:
                read = self._lookups.read(self.part, _raw(values), units[place], PATH)
            except ContractError as error:
                broke[place] = breach(error, values)
                continue
            assert read is not None, "it was written just now"
            wanted[place] = read
        found = find(list(dict.fromkeys(one.key for one in wanted.values() if one.key is not None)))
        for place, one in wanted.items():
            try:
                lines[place] = bytes(self._lookups.write(self.part, one, found))
            except ContractError as error:
                broke[place] = breach(error, self._brought(lines[place]))
        left = [place for place in range(chunk.rows) if place not in broke]
        return Filled(Chunk(len(left), lines=tuple(lines[place] for place in left)), left, broke)

    def _brought(self, line: bytes) -> dict[str, Any] | None:
        """What a line brings of what is asked; None where the contract is to say what is wrong with it."""
        found = object_of(line)
        if isinstance(found, ContractError):
            return None
        values = {name: found[name] for name in (*self._contract.names, *self.part.aside) if name in found}
        odd = any(isinstance(one, float) and not isfinite(one) for one in values.values())
        return None if odd else values

    # -- tables ----------------------------------------------------------------------------------------------------

    def _fill_table(self, chunk: Chunk, units: Units, find: Find) -> Filled:
        wanted = [one for one in self.part.features if one.name not in chunk.table.column_names]
        if not wanted:
            return Filled(chunk, range(chunk.rows), {})
        keys, wrong = self._entities(chunk, units)
        asked = list(dict.fromkeys(keys.values()))
        found = find(asked)
        cells = {key: self._cells(wanted, key, found) for key in asked}
        columns: list[list[Any]] = []
        left: list[int] = []
        for place, key in keys.items():
            held = cells[key]
            if isinstance(held, ContractError):
                wrong[place] = held
            else:
                left.append(place)
                columns.append(held)
        table = chunk.table if len(left) == chunk.rows else chunk.table.take(np.array(left, np.int64))
        for at, feature in enumerate(wanted):
            table = table.append_column(feature.name, _column(feature, [held[at] for held in columns]))
        typed = (*chunk.typed, *(one.name for one in wanted))
        given = self._given(chunk, sorted(wrong))
        broke = {place: breach(wrong[place], values) for place, values in given.items()}
        return Filled(Chunk(len(left), table, chunk.text, typed=typed), left, broke)

    def _entities(self, chunk: Chunk, units: Units) -> tuple[dict[int, Key], dict[int, ContractError]]:
        """Each row's entity, by place, and why a row has none."""
        held = {name: self._named(chunk, name, kind) for name, kind in self._keys.items()}
        keys: dict[int, Key] = {}
        wrong: dict[int, ContractError] = {}
        for place in range(chunk.rows):
            try:
                keys[place] = tuple(
                    named_unit(units[place], name, kind, f"{PATH}.{name}")
                    if (column := held[name]) is None
                    else named_value(column[place], kind, f"{PATH}.{name}")
                    for name, kind in self._keys.items()
                )
            except ContractError as error:
                wrong[place] = error
        return keys, wrong

    def _named(self, chunk: Chunk, name: str, kind: Kind) -> list[Any] | None:
        if name not in chunk.table.column_names:
            return None
        values = values_of(chunk.table.column(name))
        return [value_of(Feature(name, kind), one) for one in values] if chunk.text else values

    def _cells(self, wanted: Sequence[Feature], key: Key, found: Found) -> list[Any] | ContractError:
        try:
            return self._lookups.cells(wanted, key, PATH, found)
        except ContractError as error:
            return error

    def _given(self, chunk: Chunk, places: Sequence[int]) -> dict[int, dict[str, Any]]:
        """What some rows bring."""
        if not places:
            return {}
        kinds = {one.name: one for one in self.part.asked.features}
        table = chunk.table.take(places)
        columns = {}
        for name in (one for one in kinds if one in table.column_names):
            values = values_of(table.column(name))
            columns[name] = [value_of(kinds[name], one) for one in values] if chunk.text else values
        return {place: {name: values[at] for name, values in columns.items()} for at, place in enumerate(places)}


def _raw(values: Mapping[str, Any]) -> Raw:
    return Raw(msgspec.json.encode(values))


def _column(feature: Feature, values: Sequence[Any]) -> pa.Array:
    """Cells of a feature. What is not finite is null, as it is in JSON."""
    import pyarrow as pa

    if feature.kind is Kind.NUMBER:
        floats = [None if one is None else float(one) for one in values]
        return pa.array([one if one is None or isfinite(one) else None for one in floats], pa.float64())
    kinds = {Kind.INTEGER: pa.int64(), Kind.BOOLEAN: pa.bool_(), Kind.CATEGORY: pa.string()}
    return pa.array(values, kinds[feature.kind])
