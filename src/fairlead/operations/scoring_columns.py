"""Which columns of a table are read for a version, and what every row of it would be refused for."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from fairlead.adapters.sources.rows import RowInput
from fairlead.core.contract import Contract, Policy
from fairlead.core.listing import first_of
from fairlead.core.lookup import LookedUp
from fairlead.errors import TableError
from fairlead.operations.scoring_answers import FIXED, probability_names
from fairlead.operations.scoring_values import Scoring


class LookedUpBy(NamedTuple):
    """What is looked up for a version, and by which fields."""

    part: LookedUp
    entity: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The features."""
        return tuple(feature.name for feature in self.part.features)


def columns_of(
    source: RowInput, asked: Scoring, contract: Contract, looked: LookedUpBy | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The columns that are read, and the Arrow type of each that is kept. Raises `TableError` for one that is not
    there, or whose name the output has for something else."""
    if looked is not None:
        _check_entity(source, asked, contract, looked)
    _check_needed(source, asked, contract, looked.names if looked is not None else ())
    special = [("--id", asked.id), ("--unit", asked.unit), ("--timestamp", asked.timestamp)]
    named = [*special, *(("--keep", name) for name in asked.keep)]
    for option, name in named:
        if name is not None and name not in source.columns:
            raise TableError(f"{source.location} has no column {name!r} for {option}{_nearest(name, source.columns)}")
    taken = {*FIXED, *probability_names(contract)}
    for place, name in enumerate(asked.keep):
        if name in taken or name in asked.keep[:place]:
            raise TableError(f"the output has a column {name!r} already: leave --keep {name} out, or rename it")
    aside = looked.part.aside if looked is not None else ()
    wanted = [*contract.names, *aside, *(name for _, name in named if name is not None)]
    read = tuple(dict.fromkeys(name for name in wanted if name in source.columns))
    return read, {name: _kept_type(source, name) for name in asked.keep}


def _check_needed(source: RowInput, asked: Scoring, contract: Contract, looked_up: Sequence[str]) -> None:
    for feature in contract.features:
        if feature.name in source.columns or feature.name in looked_up:
            continue
        if feature.missing in (Policy.REJECT, Policy.FALLBACK):
            raise TableError(
                f"{source.location} has no column {feature.name!r}, which {asked.version.partition('@')[0]} needs"
                f"{_nearest(feature.name, source.columns)}"
            )


def _check_entity(source: RowInput, asked: Scoring, contract: Contract, looked: LookedUpBy) -> None:
    own = [name for name in looked.names if name in source.columns]
    if own and own[0] not in looked.part.asked.names:
        raise TableError(
            f"{source.location} has a column {own[0]!r}, which is looked up by {' and '.join(looked.entity)}: leave it "
            "out, or pass --no-lookup where the table holds all that is looked up"
        )
    if len(own) == len(looked.names) or (asked.unit is not None and looked.entity == (contract.unit,)):
        return
    for name in looked.entity:
        if name not in source.columns:
            raise TableError(
                f"{source.location} has no column {name!r}, by which {looked.names[0]!r} is looked up"
                f"{_nearest(name, source.columns)}"
            )


def _kept_type(source: RowInput, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    held = source.types.get(name, pa.string())
    return held.value_type if t.is_dictionary(held) else held


def _nearest(name: str, columns: Sequence[str]) -> str:
    near = get_close_matches(name, columns, n=3, cutoff=0.6)
    return f" (did you mean {', '.join(near)}?)" if near else f": it has {first_of(columns)}"
