"""Feature code: the same function over a training table and before the model, and a candidate that brings one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.features.code import packaged
from fairlead.adapters.features.model import FeaturedReader
from fairlead.adapters.features.table import Computed, as_column, computed, with_columns
from fairlead.adapters.tables import as_table
from fairlead.core.bundle import FEATURES, FeatureCode
from fairlead.core.inference import infer_feature
from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.flows.candidate import Candidate, Rows, contract_of
from fairlead.flows.feature_parity import check_stored, parity
from fairlead.ports.model_reader import ModelFacts, ModelReader


def compute_features(table: Any, code: str | Path) -> Any:
    """The table with the features that a function computes of each row, as the same kind of frame.

    `table`: a pandas or polars frame, an Arrow table, or a dict of columns. `code` names the function, as in
    `features.py:function`; it runs in this process. It is given one row at a time as a dict, a null or NaN as None,
    and returns a dict. Raises `UsageError` naming the row at which it fails.
    """
    source = packaged(code, None)
    data = ArrowDataset(as_table(table), "the table")
    made = computed(source, data, data.names, "the table").columns
    arrays = {name: as_column(name, cells, source) for name, cells in made.items()}
    library = type(table).__module__.partition(".")[0]
    if library == "pandas":
        return table.assign(**{name: array.to_pandas().to_numpy() for name, array in arrays.items()})
    if library == "polars":
        import polars as pl

        return table.with_columns(*(pl.Series(name, pl.from_arrow(array)) for name, array in arrays.items()))
    if isinstance(table, Mapping):
        return {**table, **made}
    return data.with_columns(arrays).table


def with_code(
    place: str, candidate: Candidate, rows: Rows, reader: ModelReader, trust: Collection[str]
) -> tuple[Candidate, ModelReader]:
    """A candidate that brings a function, and what reads its model: a request's fields in, the model's answers out.

    Raises `UsageError` where function, model and data do not belong together, or where a row's features come out
    otherwise than in the whole table; `UntrustedFormat` before anything has run.
    """
    source = packaged(place, trust)
    what = candidate.lineage.dataset
    aside = {candidate.target, candidate.unit, *candidate.ignored}
    assert isinstance(rows.described, ArrowDataset)
    made = computed(source, rows.described, [name for name in rows.described.names if name not in aside], what)
    check_stored(rows.described, made.columns, what)
    facts = reader.open(candidate.model).facts
    seen = _seen(candidate, facts, made, rows)
    fields = _fields(rows, made, seen)
    features = tuple(infer_feature(with_columns(rows.described, made.columns, source).observe(name)) for name in seen)
    source.names = tuple(made.columns)
    featured = FeaturedReader(reader, source, fields, features)
    candidate = msgspec.structs.replace(candidate, features=())
    contract = contract_of(candidate, rows.described, featured.open(candidate.model).facts)
    measured = parity(source, contract, rows.described, made.columns, what)
    computed(source, rows.heldout, fields, "the held-out rows")  # a row at which it fails is told here
    code = FeatureCode(f"{FEATURES}/{source.path.name}", source.call, source.names, features, measured)
    return msgspec.structs.replace(candidate, code=(source.path, code)), featured


def _seen(candidate: Candidate, facts: ModelFacts, made: Computed, rows: Rows) -> tuple[str, ...]:
    """What the model sees, by its own names, or as they were given, or all that is computed."""
    seen = facts.names or candidate.features or tuple(made.columns)
    name = candidate.model.name
    if missing := [one for one in seen if one not in made.columns and one not in rows.described.names]:
        raise UsageError(
            f"the model {name} takes {', '.join(missing)}, which neither the feature code computes "
            f"({', '.join(made.columns) or 'nothing'}) nor the reference has"
        )
    if facts.width not in (None, len(seen)):
        raise UsageError(
            f"the model {name} takes {counted(facts.width, 'feature')}, but the feature code gives it {len(seen)} "
            f"({', '.join(seen)}): name the features in the model's order"
        )
    if candidate.target in seen:
        raise UsageError(f"the target {candidate.target!r} is one of the model's features: name the right target")
    return seen


def _fields(rows: Rows, made: Computed, seen: tuple[str, ...]) -> tuple[str, ...]:
    """What a request holds: what the function reads, and what the model sees as it came."""
    wanted = made.read | {name for name in seen if name not in made.columns}
    return tuple(name for name in rows.described.names if name in wanted)
