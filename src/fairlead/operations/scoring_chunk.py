"""One chunk of rows: judged by the contract, answered, and laid out as output and log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from fairlead.adapters.cells import Judged, judge, value_of, values_of
from fairlead.adapters.sources.rows import Chunk
from fairlead.core.decode import Row, Strange, loads
from fairlead.core.rules import checked
from fairlead.errors import ContractError
from fairlead.flows.score import Answered, answer_columns, answer_many, rows_of
from fairlead.flows.warm import LiveVersion
from fairlead.ports.predictor import Cells

if TYPE_CHECKING:
    import pyarrow as pa


PATH = "features"  # what a row is called in errors


class Breach(NamedTuple):
    """Why a row is not answered, and what it brought; None for what is no row."""

    error: ContractError
    given: dict[str, Any] | None


def breach(error: ContractError, given: dict[str, Any] | None) -> Breach:
    """One that holds no frame: through it the chunk would hold itself."""
    error.__traceback__ = error.__context__ = None
    return Breach(error, given)


class Looked(NamedTuple):
    """A chunk's rows after the contract: those that have an answer to come, by place, with what was given for each by
    feature; why the others have none; and what was strange, by `feature what`."""

    places: Sequence[int]
    given: list[dict[str, Any]]
    answered: Answered
    broke: dict[int, Breach]
    strange: Counter[str]

    @property
    def refused(self) -> dict[int, str]:
        """The reasons, by place."""
        return {place: one.error.line for place, one in self.broke.items()}

    def at(self, places: Sequence[int], broke: dict[int, Breach]) -> Looked:
        """The same of the rows at `places` of a chunk whose others are `broke`."""
        moved = {places[place]: one for place, one in self.broke.items()} | broke
        return self._replace(places=[places[place] for place in self.places], broke=moved)


def look(live: LiveVersion, chunk: Chunk, *, given: bool) -> Looked:
    """Judges and answers a chunk. `given`: what was given is wanted, for the log."""
    if chunk.table is None:
        return _look_at_lines(live, chunk)
    return _look_at_table(live, chunk, given=given)


def objects(chunk: Chunk) -> list[Mapping[str, Any] | ContractError]:
    """The lines of a chunk, parsed; an error where one is no object."""
    return [object_of(line) for line in chunk.lines]


def object_of(line: bytes) -> Mapping[str, Any] | ContractError:
    """A line, parsed; an error where it is no object."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            found = loads(line)
        except ContractError as error:
            return error
    return found if isinstance(found, Mapping) else ContractError("the line is no object by column")


def _look_at_lines(live: LiveVersion, chunk: Chunk) -> Looked:
    names = live.manifest.contract.names
    rows: dict[int, Row] = {}
    given: list[dict[str, Any]] = []
    broke: dict[int, Breach] = {}
    strange: Counter[str] = Counter()
    for place, found in enumerate(objects(chunk)):
        if isinstance(found, ContractError):
            broke[place] = breach(found, None)
            continue
        values = {name: found[name] for name in names if name in found}
        try:
            rows[place], let = live.rows.check(values, PATH)
        except ContractError as error:
            broke[place] = breach(error, values)
            continue
        strange.update(_said(let))
        given.append(values)
    return Looked(list(rows), given, answer_many(live, list(rows.values())), broke, strange)


def _look_at_table(live: LiveVersion, chunk: Chunk, *, given: bool) -> Looked:
    features = live.manifest.contract.features
    table = chunk.table
    judged = [
        judge(feature, table.column(feature.name) if feature.name in table.column_names else None, chunk.rows,
              text=chunk.is_text(feature.name))
        for feature in features
    ]  # fmt: skip
    odd = np.logical_or.reduce([one.odd for one in judged]) if judged else np.zeros(chunk.rows, np.bool_)
    odd |= _broken(live, judged, chunk.rows)
    strange: Counter[str] = Counter()
    for feature, one in zip(features, judged, strict=True):
        for what, where in one.strange.items():
            if let := int((where & ~odd).sum()):
                strange[f"{feature.name} {what}"] += let
    slow, broke = _slow_look(live, chunk, np.flatnonzero(odd).tolist(), strange)
    fast = np.flatnonzero(~odd)
    if slow:
        return _mixed(live, judged, fast.tolist(), slow, Looked((), [], Answered(np.empty(0), {}), broke, strange))
    all_fast = fast.size == chunk.rows
    columns = [one.cells if all_fast else _picked(one.cells, fast) for one in judged]
    answered = answer_columns(live, columns, int(fast.size))
    return Looked(fast.tolist(), _given(live, judged, fast) if given else [], answered, broke, strange)


def _broken(live: LiveVersion, judged: Sequence[Judged], rows: int) -> NDArray[np.bool_]:
    """The rows that break a rule over several features: the slow look says which, and what comes of it."""
    contract = live.manifest.contract
    checks = [checked(rule, contract.features) for rule in contract.rules]
    if not checks:
        return np.zeros(rows, np.bool_)
    named = {place for check in checks for place in check.places}
    columns = [one.cells.listed() if place in named else repeat(None) for place, one in enumerate(judged)]
    sound = (all(check.holds(row) for check in checks) for row in zip(*columns, strict=False))
    return ~np.fromiter(sound, np.bool_, rows)


def _slow_look(
    live: LiveVersion, chunk: Chunk, places: Sequence[int], strange: Counter[str]
) -> tuple[dict[int, tuple[Row, dict[str, Any]]], dict[int, Breach]]:
    """Odd rows as the gateway reads them: those that pass, with what was given, and why the others do not."""
    if not places:
        return {}, {}
    picked = chunk.table.take(places)
    columns = {}
    for feature in live.manifest.contract.features:
        if feature.name in picked.column_names:
            held = values_of(picked.column(feature.name))
            columns[feature.name] = [value_of(feature, one) for one in held] if chunk.is_text(feature.name) else held
    passed: dict[int, tuple[Row, dict[str, Any]]] = {}
    broke: dict[int, Breach] = {}
    for at, place in enumerate(places):
        values = {name: held[at] for name, held in columns.items()}
        try:
            row, let = live.rows.check(values, PATH)
        except ContractError as error:
            broke[place] = breach(error, values)
            continue
        strange.update(_said(let))
        passed[place] = row, values
    return passed, broke


def _mixed(
    live: LiveVersion,
    judged: Sequence[Judged],
    fast: list[int],
    slow: dict[int, tuple[Row, dict[str, Any]]],
    found: Looked,
) -> Looked:
    """Some odd rows have passed: all rows go the way of a request, in their order."""
    where = np.array(fast, np.intp)
    rows = dict(zip(fast, rows_of([_picked(one.cells, where) for one in judged]), strict=True))
    given = dict(zip(fast, _given(live, judged, where), strict=True))
    rows |= {place: row for place, (row, _) in slow.items()}
    given |= {place: values for place, (_, values) in slow.items()}
    places = sorted(rows)
    answered = answer_many(live, [rows[place] for place in places])
    return found._replace(places=places, given=[given[place] for place in places], answered=answered)


def _given(live: LiveVersion, judged: Sequence[Judged], places: Any) -> list[dict[str, Any]]:
    names = live.manifest.contract.names
    return [dict(zip(names, row, strict=True)) for row in rows_of([_picked(one.given, places) for one in judged])]


def _picked(cells: Cells, places: Any) -> Cells:
    return Cells(cells.values[places], cells.missing[places])


def _said(strange: Sequence[Strange]) -> list[str]:
    return [f"{one.feature} {one.what}" for one in strange]


def column_of(chunk: Chunk, name: str) -> list[Any]:
    """A column of a chunk as Python values."""
    if chunk.table is not None:
        return values_of(chunk.table.column(name))
    return [None if isinstance(one, ContractError) else one.get(name) for one in objects(chunk)]


def kept(chunk: Chunk, name: str, held: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """A column that goes into the output as it is; of lines, and of a CSV file, as text."""
    import pyarrow as pa

    if chunk.table is None:
        return pa.array([_text(one) for one in column_of(chunk, name)], held)
    column = chunk.table.column(name)
    return column if column.type == held else column.cast(held)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
